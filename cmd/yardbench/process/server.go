//go:build linux

package process

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Address is what stands in a server's arguments for the address that it is to listen
// on; Host and Port stand for its parts.
const (
	Address = "{address}"
	Host    = "{host}"
	Port    = "{port}"
)

// How long a server may take.
const (
	startTime = 30 * time.Second // until it accepts connections
	stopTime  = 5 * time.Second  // until it has ended, before it is killed
)

// A Server is a process that was started here and accepts connections. Who started it
// has to Stop it.
type Server struct {
	Address string
	stop    time.Duration // that it may take to end when it is asked to
	cmd     *exec.Cmd
	said    *tail
	ended   chan struct{} // closed by wait, after err was written
	err     error
}

// Start starts a command, in whose words {address}, {host} and {port} are replaced by a
// free address of this machine, in the folder dir, and waits until it accepts
// connections there.
func Start(ctx context.Context, dir string, command []string) (*Server, error) {
	var err error
	for range 3 { // somebody else may take the port before the server does
		var s *Server
		if s, err = start(ctx, dir, command); err == nil || ctx.Err() != nil {
			return s, err
		}
	}
	return nil, err
}

func start(ctx context.Context, dir string, command []string) (*Server, error) {
	if len(command) == 0 {
		return nil, errors.New("a server needs a command; write one")
	}
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	s := &Server{Address: address, stop: stopTime, said: new(tail), ended: make(chan struct{})}
	words := fill(command, address)
	s.cmd = exec.Command(words[0], words[1:]...)
	s.cmd.Dir = dir
	s.cmd.Stdout, s.cmd.Stderr = s.said, s.said
	// A server does not outlive a load generator that is killed.
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start server: %w", err)
	}
	go s.wait()
	if err := s.accepts(ctx); err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

// wait is a goroutine for as long as the process runs. Stop waits for it.
func (s *Server) wait() {
	s.err = s.cmd.Wait()
	close(s.ended)
}

// freeAddress returns an address that nobody listens on now.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().String(), nil
}

func fill(command []string, address string) []string {
	host, port, _ := net.SplitHostPort(address)
	r := strings.NewReplacer(Address, address, Host, host, Port, port)
	words := make([]string, len(command))
	for i, w := range command {
		words[i] = r.Replace(w)
	}
	return words
}

// accepts waits until the server accepts a connection.
func (s *Server) accepts(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", s.Address)
		if err == nil {
			conn.Close()
			return nil
		}
		select {
		case <-s.ended:
			return fmt.Errorf("%s ended before it accepted on %s: %v; it said:\n%s", s.cmd.Path, s.Address, s.err, s.said)
		case <-ctx.Done():
			return fmt.Errorf("%s does not accept on %s: %w; it said:\n%s", s.cmd.Path, s.Address, err, s.said)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// PID is the number of the process.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Said returns the last lines of what the server printed.
func (s *Server) Said() string { return s.said.String() }

// Stop asks the server to end, and ends it if it does not. The error is a server that
// had ended before.
func (s *Server) Stop() error {
	select {
	case <-s.ended:
		return fmt.Errorf("%s ended by itself: %v; it said:\n%s", s.cmd.Path, s.err, s.said)
	default:
	}
	s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.ended:
	case <-time.After(s.stop):
		s.cmd.Process.Kill()
		<-s.ended
	}
	return nil
}

// tailLen is how much of what a server prints is kept.
const tailLen = 4 << 10

// A tail keeps the end of what is written to it.
type tail struct {
	mu sync.Mutex // guards b: the process's output comes from a goroutine of os/exec
	b  []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, p...)
	if len(t.b) > 2*tailLen {
		t.b = append(t.b[:0], t.b[len(t.b)-tailLen:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.b[max(len(t.b)-tailLen, 0):])
}
