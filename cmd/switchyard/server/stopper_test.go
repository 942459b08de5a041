package server

import (
	"context"
	"errors"
	"io"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"switchyard/proxy/config"
)

// The drain begins with the first signal or an operator's request, and ends with the second
// signal or its time; then the server has abandonTime left.
func TestStopper(t *testing.T) {
	const drain = syscall.Signal(0) // stands for the operator's request
	type event struct {
		at time.Duration
		s  syscall.Signal
	}
	for name, c := range map[string]struct {
		drainTime        time.Duration
		events           []event
		requests, forces time.Duration
	}{
		"the time of the drain":          {60 * time.Second, []event{{time.Second, syscall.SIGTERM}}, time.Second, 61 * time.Second},
		"an interrupt waits less":        {60 * time.Second, []event{{time.Second, syscall.SIGINT}}, time.Second, time.Second + interruptTime},
		"an interrupt waits no longer":   {2 * time.Second, []event{{time.Second, syscall.SIGINT}}, time.Second, 3 * time.Second},
		"a second signal":                {60 * time.Second, []event{{1 * time.Second, syscall.SIGTERM}, {3 * time.Second, syscall.SIGINT}}, time.Second, 3 * time.Second},
		"a request and a signal":         {60 * time.Second, []event{{0, drain}, {2 * time.Second, syscall.SIGTERM}}, 0, 60 * time.Second},
		"a request and an interrupt":     {60 * time.Second, []event{{0, drain}, {2 * time.Second, syscall.SIGINT}}, 0, 2*time.Second + interruptTime},
		"a request and two signals":      {60 * time.Second, []event{{0, drain}, {2 * time.Second, syscall.SIGTERM}, {4 * time.Second, syscall.SIGTERM}}, 0, 4 * time.Second},
		"a signal, a request, a signal":  {60 * time.Second, []event{{0, syscall.SIGTERM}, {2 * time.Second, drain}, {5 * time.Second, syscall.SIGTERM}}, 0, 5 * time.Second},
		"an interrupt, almost over":      {60 * time.Second, []event{{0, drain}, {58 * time.Second, syscall.SIGINT}}, 0, 60 * time.Second},
		"an interrupt, already forced":   {60 * time.Second, []event{{0, drain}, {60*time.Second + abandonTime/2, syscall.SIGINT}}, 0, 60 * time.Second},
		"many signals end as one second": {60 * time.Second, []event{{0, syscall.SIGTERM}, {time.Second, syscall.SIGTERM}, {1500 * time.Millisecond, syscall.SIGTERM}}, 0, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, start := newStopper(), time.Now()
				s.drainTime.Store(int64(c.drainTime))
				signals, drained := make(chan os.Signal), make(chan struct{})
				go s.watch(signals, drained, nil)
				go func() {
					for _, e := range c.events {
						time.Sleep(e.at - time.Since(start))
						if e.s == drain {
							close(drained)
						} else {
							signals <- e.s
						}
					}
				}()
				<-s.requested.Done()
				if at := time.Since(start); at != c.requests {
					t.Errorf("requested at %v, want %v", at, c.requests)
				}
				if why := context.Cause(s.requested); why != errStopRequested {
					t.Errorf("requested because of %v", why)
				}
				<-s.forced.Done()
				if at := time.Since(start); at != c.forces {
					t.Errorf("forced at %v, want %v", at, c.forces)
				}
				<-s.abandoned.Done()
				if at := time.Since(start); at != c.forces+abandonTime {
					t.Errorf("abandoned at %v, want %v", at, c.forces+abandonTime)
				}
			})
		})
	}
}

// A second signal ends the server even if something in it never ends: here, reading the
// configuration.
func TestSecondSignalEndsWhateverIsUnderWay(t *testing.T) {
	t.Parallel()
	signalling.Lock()
	defer signalling.Unlock()
	loading := make(chan struct{})
	defer close(loading)
	load := func() (*config.Config, string, error) {
		for range 2 {
			syscall.Kill(os.Getpid(), syscall.SIGTERM)
			time.Sleep(time.Millisecond) // the kernel merges signals that are pending at the same time
		}
		<-loading
		return nil, "", errors.New("too late")
	}
	if err := Serve(load, nil, nil, io.Discard); !errors.Is(err, ErrForced) {
		t.Errorf("Serve returned %v, want %v", err, ErrForced)
	}
}
