//go:build linux

package process

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// behaviour is an environment variable that turns the test binary into a server.
const behaviour = "YARDBENCH_TEST_SERVER"

func TestMain(m *testing.M) {
	switch os.Getenv(behaviour) {
	case "ends":
		fmt.Println("no such thing as", os.Args[1:])
		os.Exit(3)
	case "stubborn":
		signal.Ignore(syscall.SIGTERM)
		fallthrough
	case "serves":
		serve(os.Args[len(os.Args)-1])
	}
	goleak.VerifyTestMain(m)
}

// serve accepts connections until the process is killed, or a connection sends a byte.
func serve(address string) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	for {
		conn, err := l.Accept()
		if err != nil {
			os.Exit(1)
		}
		go func() {
			if n, _ := conn.Read(make([]byte, 1)); n > 0 {
				os.Exit(4)
			}
		}()
	}
}

func startSelf(t *testing.T, what string) (*Server, error) {
	t.Helper()
	t.Setenv(behaviour, what)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return Start(t.Context(), t.TempDir(), []string{exe, "--host=" + Host, "--port=" + Port, Address})
}

func TestServer(t *testing.T) {
	for _, what := range []string{"serves", "stubborn"} {
		s, err := startSelf(t, what)
		if err != nil {
			t.Fatal(err)
		}
		s.stop = time.Minute
		if what == "stubborn" {
			s.stop = 10 * time.Millisecond
		}
		conn, err := net.Dial("tcp", s.Address)
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
		if m, err := MemoryOf(s.PID()); err != nil || m.Resident <= 0 || m.Peak < m.Resident {
			t.Errorf("%s: memory is %+v, %v", what, m, err)
		}
		if n, err := Descriptors(s.PID()); err != nil || n < 3 {
			t.Errorf("%s: it has %d descriptors, %v", what, n, err)
		}
		if n, err := Threads(s.PID()); err != nil || n < 1 {
			t.Errorf("%s: it has %d threads, %v", what, n, err)
		}
		if cpu, err := CPU(s.PID()); err != nil || cpu <= 0 {
			t.Errorf("%s: CPU time is %v, %v", what, cpu, err)
		}
		if err := s.Stop(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if err := syscall.Kill(s.PID(), 0); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("%s: the process is still there: %v", what, err)
		}
		if _, err := CPU(s.PID()); err == nil {
			t.Errorf("%s: it takes CPU time after its end", what)
		}
		if _, err := MemoryOf(s.PID()); err == nil {
			t.Errorf("%s: it takes memory after its end", what)
		}
	}
}

func TestServerThatEndsByItself(t *testing.T) {
	s, err := startSelf(t, "serves")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", s.Address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.Write([]byte("x"))
	<-s.ended
	if err := s.Stop(); err == nil || !strings.Contains(err.Error(), "exit status 4") {
		t.Errorf("stopped with %v", err)
	}
}

func TestServerThatDoesNotStart(t *testing.T) {
	if _, err := startSelf(t, "ends"); err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "no such thing as [--host=127.0.0.1 --port=") {
		t.Errorf("started: %v", err)
	}
	if _, err := Start(t.Context(), t.TempDir(), []string{"/nowhere/at/all"}); err == nil {
		t.Error("a server that is not there starts")
	}
	if _, err := Start(t.Context(), t.TempDir(), nil); err == nil {
		t.Error("a server without a command starts")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Start(ctx, t.TempDir(), []string{"sleep", "60"}); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled start ends with %v", err)
	}
}

// The CPU time of the machine grows by at least what this process uses.
func TestCPU(t *testing.T) {
	own, err := OwnCPU()
	if err != nil {
		t.Fatal(err)
	}
	machine, err := MachineCPU()
	if err != nil {
		t.Fatal(err)
	}
	const spend = 100 * time.Millisecond
	now := own
	for now-own < spend {
		if now, err = OwnCPU(); err != nil {
			t.Fatal(err)
		}
	}
	later, err := MachineCPU()
	if err != nil || later-machine < spend-2*tick {
		t.Errorf("the machine took %v, %v, while this process took %v", later-machine, err, spend)
	}
}

func TestTailKeepsTheEnd(t *testing.T) {
	var s tail
	for i := range 3000 {
		fmt.Fprintf(&s, "line %d\n", i)
	}
	if got := s.String(); len(got) > tailLen || !strings.HasSuffix(got, "line 2998\nline 2999\n") || len(s.b) > 3*tailLen {
		t.Errorf("kept %d bytes of %d: …%s", len(got), len(s.b), got[max(len(got)-30, 0):])
	}
}

// Established shows the view of the server: a client that has not read does not see the
// end.
func TestEstablished(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	address := l.Addr().(*net.TCPAddr).AddrPort()
	var ports []uint16
	var served []net.Conn
	for range 2 {
		c, err := net.Dial("tcp", address.String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		ports = append(ports, c.LocalAddr().(*net.TCPAddr).AddrPort().Port())
		s, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		served = append(served, s)
	}
	served[0].Close()
	there, err := Established(address)
	if err != nil || len(there) != 1 || !there[ports[1]] {
		t.Errorf("established are %v, %v; want only %d", there, err, ports[1])
	}
	if there, err := Established(netip.MustParseAddrPort("127.0.0.1:1")); err != nil || len(there) != 0 {
		t.Errorf("without a server, established are %v, %v", there, err)
	}
}
