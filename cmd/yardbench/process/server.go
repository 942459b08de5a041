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

// Address is the placeholder in a server's arguments for the address to listen on. Host
// and Port are the placeholders for its parts.
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

// A Server is a process that accepts connections. The caller of Start has to Stop it.
type Server struct {
	Address string
	stop    time.Duration // how long it may take to end after SIGTERM
	cmd     *exec.Cmd
	output  *tail
	ended   chan struct{} // closed by wait, after it has set err
	err     error
}

// Start starts a command in the folder dir and waits until it accepts connections. In its arguments,
// {address}, {host} and {port} are replaced by a free address of this machine. The error has the end
// of what the server has printed.
func Start(ctx context.Context, dir string, command []string) (*Server, error) {
	var err error
	for range 3 { // another process may take the port before the server does
		var s *Server
		if s, err = start(ctx, dir, command); err == nil || ctx.Err() != nil {
			return s, err
		}
	}
	return nil, err
}

// start starts the command once, at a free address that replaces the placeholders in it.
func start(ctx context.Context, dir string, command []string) (*Server, error) {
	if len(command) == 0 {
		return nil, errors.New("a server needs a command; write one")
	}
	address, err := FreeAddress()
	if err != nil {
		return nil, err
	}
	s := &Server{Address: address, stop: stopTime, output: new(tail), ended: make(chan struct{})}
	words := fill(command, address)
	s.cmd = exec.Command(words[0], words[1:]...)
	s.cmd.Dir = dir
	s.cmd.Stdout, s.cmd.Stderr = s.output, s.output
	// The kernel kills the server when the load generator is killed.
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

// wait runs in a goroutine until the process ends. Stop waits for it.
func (s *Server) wait() {
	s.err = s.cmd.Wait()
	close(s.ended)
}

// FreeAddress returns an address that is not in use.
func FreeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// fill replaces the placeholders of address, host and port in the words of a command.
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
			return fmt.Errorf("%s ended before it accepted on %s: %v; it said:\n%s", s.cmd.Path, s.Address, s.err, s.output)
		case <-ctx.Done():
			return fmt.Errorf("%s does not accept on %s: %w; it said:\n%s", s.cmd.Path, s.Address, err, s.output)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// PID returns the process's number.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Output returns the end of the server's output.
func (s *Server) Output() string { return s.output.String() }

// Stop sends SIGTERM, and SIGKILL if the server does not end. The error says that the
// server had ended before.
func (s *Server) Stop() error {
	select {
	case <-s.ended:
		return fmt.Errorf("%s ended by itself: %v; it said:\n%s", s.cmd.Path, s.err, s.output)
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

// tailLen is how many bytes of a server's output are kept.
const tailLen = 4 << 10

// A tail keeps the end of what is written to it.
type tail struct {
	mu sync.Mutex // guards b, which a goroutine of os/exec writes
	b  []byte
}

// Write implements io.Writer. It keeps at most twice tailLen, so that it seldom copies.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, p...)
	if len(t.b) > 2*tailLen {
		t.b = append(t.b[:0], t.b[len(t.b)-tailLen:]...)
	}
	return len(p), nil
}

// String returns the last tailLen bytes that were written.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.b[max(len(t.b)-tailLen, 0):])
}
