// Package bustest starts servers of the bus as processes, for tests. It needs Go to build
// cmd/yardbus.
package bustest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"switchyard/proxy/logtest"
)

// A Bus is a number of servers on the loopback.
type Bus struct {
	t       testing.TB
	flags   []string
	servers []*server
}

// A server is a process that can be started again.
type server struct {
	address, peer string
	store         string
	command       *exec.Cmd // nil if it does not run
	ended         chan struct{}
	log           *logtest.Lines
}

// Start starts n servers with the flags, which may add TLS and accounts. They end with the
// test. It does not wait until they have met: creating a stream fails until then.
func Start(t testing.TB, n int, flags ...string) *Bus {
	t.Helper()
	b := &Bus{t: t, flags: flags}
	for range n {
		b.servers = append(b.servers, &server{address: FreeAddress(t), peer: FreeAddress(t), store: t.TempDir(), log: new(logtest.Lines)})
	}
	for i := range b.servers {
		b.Restart(i)
		t.Cleanup(func() { b.Kill(i) })
	}
	t.Cleanup(func() {
		if t.Failed() {
			for i, s := range b.servers {
				t.Logf("server %d:\n%s", i, s.log)
			}
		}
	})
	return b
}

// Restart starts server i, with the identity that it had but without the records.
func (b *Bus) Restart(i int) {
	b.t.Helper()
	s := b.servers[i]
	args := append([]string{"--name", fmt.Sprintf("server%d", i), "--listen", s.address, "--store", s.store, "--memory", "256MiB"}, b.flags...)
	if len(b.servers) > 1 {
		var peers []string
		for _, other := range b.servers {
			peers = append(peers, other.peer)
		}
		args = append(args, "--peer-listen", s.peer, "--peers", strings.Join(peers, ","))
	}
	s.command = exec.Command(Program(b.t), args...)
	s.command.Stderr = s.log
	if err := s.command.Start(); err != nil {
		b.t.Fatal(err)
	}
	s.ended = make(chan struct{})
	go func(command *exec.Cmd, ended chan struct{}) { // waited for by Kill
		_ = command.Wait() // how it ended is in its log
		close(ended)
	}(s.command, s.ended)
	b.wait(i)
}

// wait waits until server i accepts.
func (b *Bus) wait(i int) {
	b.t.Helper()
	s := b.servers[i]
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		c, err := net.Dial("tcp", s.address)
		if err == nil {
			c.Close()
			return
		}
		select {
		case <-s.ended:
			b.t.Fatalf("server %d ended:\n%s", i, s.log)
		default:
		}
		if time.Now().After(deadline) {
			b.t.Fatalf("server %d does not accept: %v\n%s", i, err, s.log)
		}
	}
}

// Kill kills server i and waits until it is gone.
func (b *Bus) Kill(i int) { b.Signal(i, syscall.SIGKILL); <-b.servers[i].ended }

// Signal sends server i a signal.
func (b *Bus) Signal(i int, signal os.Signal) {
	b.t.Helper()
	if err := b.servers[i].command.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		b.t.Fatal(err)
	}
}

// Servers returns the addresses of the servers, with server i first.
func (b *Bus) Servers(i int) (addresses []string) {
	for j := range b.servers {
		addresses = append(addresses, "nats://"+b.servers[(i+j)%len(b.servers)].address)
	}
	return addresses
}

// Admin returns a connection to the bus for what hubs do not do.
func (b *Bus) Admin(options ...nats.Option) nats.JetStreamContext {
	b.t.Helper()
	conn, err := nats.Connect(strings.Join(b.Servers(0), ","), append(options, nats.MaxReconnects(-1), nats.ReconnectWait(100*time.Millisecond))...)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(conn.Close)
	js, err := conn.JetStream()
	if err != nil {
		b.t.Fatal(err)
	}
	return js
}

// Leader returns the server that leads the stream, once one does.
func (b *Bus) Leader(js nats.JetStreamContext, stream string) int {
	b.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		info, err := js.StreamInfo(stream)
		if err == nil && info.Cluster != nil {
			for i := range b.servers {
				if info.Cluster.Leader == fmt.Sprintf("server%d", i) {
					return i
				}
			}
		}
		if time.Now().After(deadline) {
			b.t.Fatalf("stream %s has no leader: %v", stream, err)
		}
	}
}

// ProgramVariable is the environment variable with the path of the server, for tests that run in
// a process of their own. Without it, Program builds the server.
const ProgramVariable = "SWITCHYARD_TEST_YARDBUS"

// Program returns the path of the server, which is built once.
func Program(t testing.TB) string {
	t.Helper()
	if path := os.Getenv(ProgramVariable); path != "" {
		return path
	}
	built.once.Do(func() {
		// Not by the path of this file, which a program that is built with -trimpath does not know.
		root, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "switchyard").Output()
		if err != nil {
			built.err = fmt.Errorf("find the folder of the module: %w", err)
			return
		}
		var dir string
		if dir, built.err = os.MkdirTemp("", "yardbus"); built.err != nil {
			return
		}
		built.path = filepath.Join(dir, "yardbus")
		module := filepath.Join(strings.TrimSpace(string(root)), "cmd/yardbus")
		if out, err := exec.Command("go", "-C", module, "build", "-o", built.path, ".").CombinedOutput(); err != nil {
			built.err = fmt.Errorf("build yardbus: %w\n%s", err, out)
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.path
}

var built struct {
	once sync.Once
	path string
	err  error
}

// Main runs the tests of a package that starts servers, and removes the program.
func Main(m *testing.M) int {
	defer func() {
		if built.path != "" {
			os.RemoveAll(filepath.Dir(built.path))
		}
	}()
	return m.Run()
}

// FreeAddress returns an address of the loopback on which nothing listens. Its port is below those
// that systems choose from by themselves, so that no connection takes it before the server does, or
// while the server is restarted.
func FreeAddress(t testing.TB) string {
	t.Helper()
	for range 1000 {
		address := fmt.Sprintf("127.0.0.1:%d", 10_000+rand.IntN(20_000))
		if _, used := addresses.LoadOrStore(address, true); used {
			continue
		}
		if l, err := net.Listen("tcp", address); err == nil {
			l.Close()
			return address
		}
	}
	t.Fatal("no port from 10000 to 29999 is free")
	return ""
}

var addresses sync.Map // that this process has chosen
