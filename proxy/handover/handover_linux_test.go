package handover

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestEverythingMoves(t *testing.T) {
	flat(t)
	o, n := newOld(t, 2*mostTogether+3), &taker{}
	t.Cleanup(n.close)
	moved, ofOld, ofNew := run(t, o, n)
	want := Counts{Listeners: 1, Processes: 1, Tenants: 2, Sessions: len(o.sessions), Presence: len(o.presence)}
	if ofOld != nil || ofNew != nil || moved != want {
		t.Fatalf("old: %v, new: %v; moved %+v, want %+v", ofOld, ofNew, moved, want)
	}
	if o.frozen != 1 || o.thawed != 0 {
		t.Errorf("frozen %d times, thawed %d times; want 1, 0", o.frozen, o.thawed)
	}
	if got := strings.Join(n.tenants, " "); got != `{"name":"empty"} {"name":"main"}` || n.process != `"generation 7"` || string(n.presence) != string(o.presence) {
		t.Errorf("tenants %s, presence %q", got, n.presence)
	}
	for i, s := range n.sessions {
		input, due := bytesOf(i)
		if s.number != i || !bytes.Equal(s.input, input) || !bytes.Equal(s.due, due) {
			t.Errorf("session %d arrives as number %d with %d and %d bytes, want %d and %d", i, s.number, len(s.input), len(s.due), len(input), len(due))
		}
	}
}

// Connections and the listener work in the new process once the old one has closed its own.
func TestSocketsGoOn(t *testing.T) {
	flat(t)
	o, n := newOld(t, 3), &taker{}
	t.Cleanup(n.close)
	if _, ofOld, ofNew := run(t, o, n); ofOld != nil || ofNew != nil {
		t.Fatal(ofOld, ofNew)
	}
	for i, d := range o.sessions {
		if isBlocking(t, d.server) {
			t.Errorf("the socket of session %d blocks", i)
		}
		d.server.Close()
		exchange(t, d.client, n.sessions[i].conn)
		exchange(t, n.sessions[i].conn, d.client)
	}
	o.listener.Close()
	d := dial(t, n.listener)
	exchange(t, d.client, d.server)
}

// exchange sends a few bytes.
func exchange(t testing.TB, from, to net.Conn) {
	t.Helper()
	const text = "are you there"
	if _, err := io.WriteString(from, text); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(text))
	if _, err := io.ReadFull(to, got); err != nil || string(got) != text {
		t.Fatalf("received %q, %v", got, err)
	}
}

func isBlocking(t testing.TB, c syscall.Conn) (blocking bool) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) {
		flags, err := unix.FcntlInt(fd, unix.F_GETFL, 0)
		if err != nil {
			t.Error(err)
		}
		blocking = flags&unix.O_NONBLOCK == 0
	}); err != nil {
		t.Fatal(err)
	}
	return blocking
}

// Whatever the new process refuses, the old one is told why, and goes on.
func TestNewProcessRefuses(t *testing.T) {
	for at, step := range map[string]Step{
		"Offer": StepOffer, "Listener": StepReady, "Process": StepReady, "Tenant": StepReady, "Presence": StepReady,
		"Session 0": StepReady, "Session 5": StepReady, "Session 102": StepReady, "Ready": StepReady,
	} {
		t.Run(at, func(t *testing.T) {
			flat(t)
			o, n := newOld(t, mostTogether+5), &taker{refuses: map[string]error{at: errors.New("too " + at)}}
			t.Cleanup(n.close)
			_, ofOld, ofNew := run(t, o, n)
			n.close()
			var refused *RefusedError
			var failed *Error
			if !errors.As(ofOld, &refused) || refused.Why != "too "+at || !errors.As(ofOld, &failed) {
				t.Fatalf("the old process: %v", ofOld)
			}
			if failed.Step != step && failed.Step != StepSend {
				t.Errorf("failed at step %s, want %s", failed.Step, step)
			}
			if ofNew == nil || ofNew.Error() != "too "+at {
				t.Errorf("the new process: %v", ofNew)
			}
			if o.frozen != o.thawed {
				t.Errorf("frozen %d times, thawed %d times", o.frozen, o.thawed)
			}
			for _, d := range o.sessions {
				exchange(t, d.client, d.server)
				exchange(t, d.server, d.client)
			}
		})
	}
}
