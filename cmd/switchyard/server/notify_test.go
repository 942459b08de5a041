package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"
)

// A service manager is a socket that receives messages, one after the other.
type serviceManager struct {
	t *testing.T
	*net.UnixConn
}

func listenForNotice(t *testing.T, name string) serviceManager {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return serviceManager{t, conn}
}

func (m serviceManager) next() string {
	m.t.Helper()
	m.SetReadDeadline(time.Now().Add(time.Minute))
	b := make([]byte, 4<<10)
	n, err := m.Read(b)
	if err != nil {
		m.t.Fatal(err)
	}
	return string(b[:n])
}

func supervisedBy(t *testing.T, w io.Writer, env ...string) *supervisor {
	t.Helper()
	s := newSupervisor(env, slog.New(slog.NewTextHandler(w, nil)))
	t.Cleanup(s.close)
	return s
}

func TestSupervisorReports(t *testing.T) {
	for _, name := range []string{filepath.Join(t.TempDir(), "notify"), fmt.Sprintf("@switchyard-test-%d", os.Getpid())} {
		t.Run(name[:1], func(t *testing.T) {
			m := listenForNotice(t, name)
			s := supervisedBy(t, t.Output(), "PATH=/bin", "NOTIFY_SOCKET="+name)
			before := monotonic()
			s.ready("serving\nMAINPID=1")
			s.reloading()
			s.ready("serving")
			s.stopping(time.Minute)
			for _, want := range []string{
				`^READY=1\nSTATUS=serving; MAINPID=1$`,
				`^RELOADING=1\nMONOTONIC_USEC=([0-9]+)\nSTATUS=reloading$`,
				`^READY=1\nSTATUS=serving$`,
				`^STOPPING=1\nEXTEND_TIMEOUT_USEC=75000000\nSTATUS=draining$`,
			} {
				got := m.next()
				found := regexp.MustCompile(want).FindStringSubmatch(got)
				if found == nil {
					t.Errorf("received %q, want %s", got, want)
				} else if len(found) > 1 {
					var usec int64
					fmt.Sscan(found[1], &usec)
					if at := time.Duration(usec) * time.Microsecond; at < before.Truncate(time.Microsecond) || at > monotonic() {
						t.Errorf("reloading at %v by the system's clock, want between %v and %v", at, before, monotonic())
					}
				}
			}
		})
	}
}

func TestStatusFitsIntoAMessage(t *testing.T) {
	name := filepath.Join(t.TempDir(), "notify")
	m := listenForNotice(t, name)
	s := supervisedBy(t, t.Output(), "NOTIFY_SOCKET="+name)
	s.ready(strings.Repeat("ä", 1<<20))
	got := m.next()
	if status, ok := strings.CutPrefix(got, "READY=1\nSTATUS=ä"); !ok || len(status) > 2<<10 || !utf8.ValidString(status) || !strings.HasSuffix(status, "ä ...") {
		t.Errorf("received %d bytes, %.40q", len(got), got)
	}
	for _, c := range []struct {
		lastErrors map[string]string
		want       string
	}{
		{nil, "serving"},
		{map[string]string{"configuration": "", "tenant acme": ""}, "serving"},
		{map[string]string{"tenant b": "gone", "configuration": "unknown key", "tenant a": ""}, "serving; refused: configuration: unknown key; refused: tenant b: gone"},
	} {
		if got := statusOf(c.lastErrors); got != c.want {
			t.Errorf("the status with %v is %q, want %q", c.lastErrors, got, c.want)
		}
	}
}

func TestWatchdogWhileAlive(t *testing.T) {
	name := filepath.Join(t.TempDir(), "notify")
	m := listenForNotice(t, name)
	var log bytes.Buffer
	s := supervisedBy(t, &log, "NOTIFY_SOCKET="+name, "WATCHDOG_USEC=20000", fmt.Sprintf("WATCHDOG_PID=%d", os.Getpid()))
	var dead atomic.Bool
	requested := make(chan struct{}, 1<<10)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	start := time.Now()
	running.Go(func() {
		s.watchdogLoop(ctx, func(context.Context) error {
			requested <- struct{}{}
			if dead.Load() {
				return errors.New("tenant acme: its log stands still")
			}
			return nil
		})
	})
	defer running.Wait()
	defer cancel()
	for range 3 {
		if got := m.next(); got != "WATCHDOG=1" {
			t.Fatalf("received %q, want WATCHDOG=1", got)
		}
	}
	if took := time.Since(start); took < 15*time.Millisecond {
		t.Errorf("fed three times within %v, want every 10ms", took)
	}
	dead.Store(true)
	for len(requested) > 0 {
		<-requested
	}
	<-requested // may have been requested before it was dead
	s.ready("a mark")
	for m.next() != "READY=1\nSTATUS=a mark" {
	}
	for range 3 {
		<-requested
	}
	s.ready("another")
	if got := m.next(); got != "READY=1\nSTATUS=another" {
		t.Errorf("received %q while the process is not alive", got)
	}
	cancel()
	running.Wait()
	if !strings.Contains(log.String(), "its log stands still") {
		t.Errorf("the log is %q, want the reason", log.String())
	}
}

func TestNoWatchdog(t *testing.T) {
	name := filepath.Join(t.TempDir(), "notify")
	listenForNotice(t, name)
	for _, env := range [][]string{
		{"WATCHDOG_USEC=20000"}, // no supervisor
		{"NOTIFY_SOCKET=" + name},
		{"NOTIFY_SOCKET=" + name, "WATCHDOG_USEC=0"},
		{"NOTIFY_SOCKET=" + name, "WATCHDOG_USEC=-1"},
		{"NOTIFY_SOCKET=" + name, "WATCHDOG_USEC=99999999999999999999"},
		{"NOTIFY_SOCKET=" + name, "WATCHDOG_USEC=20000", "WATCHDOG_PID=1"}, // meant for another process
	} {
		supervisedBy(t, t.Output(), env...).watchdogLoop(t.Context(), func(context.Context) error {
			t.Errorf("%q: requested whether it is alive", env)
			return nil
		})
	}
}

func TestSupervisorThatIsGone(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "notify")
	var log bytes.Buffer
	s := supervisedBy(t, &log, "NOTIFY_SOCKET="+name)
	s.ready("one")
	s.ready("two")
	if n := strings.Count(log.String(), "cannot be notified"); n != 1 {
		t.Errorf("logged %d failures, want once:\n%s", n, log.String())
	}
	m := listenForNotice(t, name)
	s.ready("three")
	if got := m.next(); got != "READY=1\nSTATUS=three" {
		t.Errorf("received %q, want the third message", got)
	}
	m.Close()
	os.Remove(name)
	s.ready("four")
	m = listenForNotice(t, name)
	s.ready("five")
	if got := m.next(); got != "READY=1\nSTATUS=five" {
		t.Errorf("received %q, want the fifth message", got)
	}
	if n := strings.Count(log.String(), "cannot be notified"); n != 2 {
		t.Errorf("logged %d failures, want twice:\n%s", n, log.String())
	}

	// A supervisor that receives nothing delays one message by notifyTime, and then fails it.
	for range 1 << 12 {
		if s.failed {
			break
		}
		s.ready("again")
	}
	if !s.failed {
		t.Error("messages to a supervisor that receives nothing never fail")
	}
	supervisedBy(t, t.Output()).ready("without a supervisor")
}
