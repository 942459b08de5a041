package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"

	"github.com/nats-io/nats-server/v2/server"
)

// serve runs the server until a signal has stopped it or it fails:
//
//	first signal    the server leaves: it hands over the streams that it leads, tells its hubs to go to
//	                another server one after the other, and ends (nats-server calls that lame duck mode)
//	second signal   it ends at once
//	a fatal fault   it ends, and so does this process: a supervisor starts it again
//
// The server runs in goroutines of its own, which stopped and handing wait for.
func serve(s *settings, signals <-chan os.Signal, stderr io.Writer) error {
	o, err := s.options()
	if err != nil {
		return err
	}
	n, err := server.NewServer(o)
	if err != nil {
		return codedError{exitData, fmt.Errorf("start the server: %w", err)}
	}
	l := &logger{log: slog.New(slog.NewTextHandler(stderr, nil)), failed: make(chan string, 1)}
	n.SetLoggerV2(l, false, false, false)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		n.Start()
		n.WaitForShutdown()
	}()
	return wait(n, l, signals, stopped)
}

// wait waits for the end of the server, and returns why it ended: nil only if a signal asked for it
// and everything was handed over.
func wait(n *server.Server, l *logger, signals <-chan os.Signal, stopped <-chan struct{}) error {
	var handing sync.WaitGroup
	var forced error
	asked := false
	for {
		select {
		case <-signals:
			if asked {
				forced = codedError{exitForced, fmt.Errorf("stopped before what this server led was handed over")}
				n.Shutdown()
				continue
			}
			asked = true
			handing.Go(n.LameDuckShutdown)
		case fault := <-l.failed:
			n.Shutdown()
			<-stopped
			handing.Wait()
			return failure(fault)
		case <-stopped:
			handing.Wait()
			if !asked {
				return codedError{exitForced, fmt.Errorf("the server stopped by itself")}
			}
			return forced
		}
	}
}

// failure gives a fault that the server calls fatal its exit code. Only its text says what it is
// about, so tests bring both kinds about: another version of nats-server may write another text.
func failure(fault string) error {
	if strings.Contains(strings.ToLower(fault), "listening on") || strings.Contains(fault, "start monitoring") {
		return codedError{exitUnavailable, fmt.Errorf("%s: choose another address, or stop what listens there", fault)}
	}
	return codedError{exitInternal, fmt.Errorf("%s", fault)}
}

// A logger writes what the server logs. It implements server.Logger of nats-server, which calls it on
// any goroutine. Debug and trace are never asked for.
type logger struct {
	log    *slog.Logger
	failed chan string // receives the first fault that the server calls fatal; the server sends, wait receives
}

func (l *logger) Noticef(format string, v ...any) { l.log.Info(fmt.Sprintf(format, v...)) }
func (l *logger) Warnf(format string, v ...any)   { l.log.Warn(fmt.Sprintf(format, v...)) }
func (l *logger) Errorf(format string, v ...any)  { l.log.Error(fmt.Sprintf(format, v...)) }
func (l *logger) Debugf(string, ...any)           {}
func (l *logger) Tracef(string, ...any)           {}

// Fatalf does not end the process, as nats-server's own logger does, so that wait can end it in
// order.
func (l *logger) Fatalf(format string, v ...any) {
	select {
	case l.failed <- fmt.Sprintf(format, v...):
	default:
	}
}
