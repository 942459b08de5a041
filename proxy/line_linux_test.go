package proxy

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"switchyard/policy"
	"switchyard/policy/policytest"
)

// A line of tenants is one tenant for its peers. Each one adopts the sessions of the one
// before, as in another process.
type line struct {
	t      testing.TB
	limits Limits
	policy func() *policy.Active
	wrap   func(*net.TCPConn) net.Conn // what the tenant is given of a connection
	mu     sync.Mutex                  // held while there is no tenant to serve a connection
	now    *Tenant
	addr   string
}

func newLine(t testing.TB, limits Limits) *line {
	return startLine(&line{t: t, limits: limits})
}

// startLine starts the first tenant, and a listener for it.
func startLine(l *line) *line {
	t := l.t
	if l.policy == nil {
		l.policy = func() *policy.Active { return policytest.Active(testRules()) }
	}
	if l.wrap == nil {
		l.wrap = func(conn *net.TCPConn) net.Conn { return conn }
	}
	l.now = l.newTenant()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.addr = listener.Addr().String()
	var accepting sync.WaitGroup
	accepting.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			l.mu.Lock()
			if l.now.Serve(l.wrap(conn.(*net.TCPConn)), func(bool) {}) != nil {
				conn.Close()
			}
			l.mu.Unlock()
		}
	})
	t.Cleanup(func() {
		listener.Close()
		accepting.Wait()
	})
	return l
}

func (l *line) newTenant() *Tenant {
	active := l.policy()
	tenant := NewTenant("default", active, l.limits, slog.New(slog.DiscardHandler))
	l.t.Cleanup(func() {
		tenant.Close()
		active.Close()
	})
	return tenant
}

// handOver replaces the tenant by one that adopts its sessions, and returns them.
func (l *line) handOver() (moving []Moving) {
	l.t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), generous)
	defer cancel()
	old, next := l.now, l.newTenant()
	if err := next.Freeze(ctx); err != nil {
		l.t.Fatal(err)
	}
	if err := old.Freeze(ctx); err != nil {
		l.t.Fatal(err)
	}
	var drained, closed int
	moving, drained, closed = old.Moving(1 << 30)
	if drained+closed > 0 {
		l.t.Errorf("%d sessions are drained and %d closed", drained, closed)
	}
	var chunks [][]byte
	old.ExportPresence(moving, func(chunk []byte) error {
		chunks = append(chunks, bytes.Clone(chunk))
		return nil
	})
	next.ImportLimits(journey(l.t, old.ExportLimits()))
	if err := next.Hub().Import(journey(l.t, old.Export(moving)), func() ([]byte, error) {
		chunk := chunks[0]
		chunks = chunks[1:]
		return chunk, nil
	}); err != nil {
		l.t.Fatal(err)
	}
	for _, m := range moving {
		conn := l.wrap(duplicate(l.t, m.Conn))
		if err := next.Adopt(conn, journey(l.t, m.State), m.Input, m.Due, func(bool) {}); err != nil {
			l.t.Fatal(err)
		}
	}
	old.Depart(ctx, moving)
	next.Thaw()
	l.now = next
	return moving
}

// journey returns v as another process would receive it.
func journey[T any](t testing.TB, v T) (received T) {
	b, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(b, &received)
	}
	if err != nil {
		t.Fatal(err)
	}
	return received
}

// duplicate returns a connection of the same socket. The caller closes it.
func duplicate(t testing.TB, conn net.Conn) *net.TCPConn {
	t.Helper()
	raw, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var fd int
	if cerr := raw.Control(func(old uintptr) { fd, err = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0) }); cerr != nil || err != nil {
		t.Fatal(cerr, err)
	}
	file := os.NewFile(uintptr(fd), "")
	defer file.Close()
	again, err := net.FileConn(file)
	if err != nil {
		t.Fatal(err)
	}
	return again.(*net.TCPConn)
}
