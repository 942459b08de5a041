package handover

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

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
	hears(t, to, text)
}

// hears reads exactly that text.
func hears(t testing.TB, conn net.Conn, want string) {
	t.Helper()
	conn.SetReadDeadline(time.Now().Add(testTimeout))
	got := make([]byte, len(want))
	if n, err := io.ReadFull(conn, got); err != nil || string(got) != want {
		t.Fatalf("received %q (%v), want %q", got[:n], err, want)
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

// Whatever the new process refuses, the old one is told why, and continues.
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
			o.works(t)
		})
	}
}

// What cannot be frozen in time, or not at all, is not thawed either.
func TestFreezeFails(t *testing.T) {
	for _, test := range []struct {
		old  old
		want string
	}{
		{old{freeze: errors.New("a session is writing")}, "freeze: a session is writing"},
		{old{hang: true}, "freeze: not everything stopped after 10ms"},
	} {
		from, to := pair(t)
		done := make(chan error)
		go func() { done <- to.TakeOver(t.Context(), &taker{}) }()
		if _, err := from.Ask(t.Context(), Hello{}, patient); err != nil {
			t.Fatal(err)
		}
		_, err := from.HandOver(t.Context(), &test.old, Limits{Freeze: 10 * time.Millisecond, Ready: testTimeout})
		if err == nil || err.Error() != test.want || test.old.thawed != 0 {
			t.Errorf("error %v, want %q; thawed %d times", err, test.want, test.old.thawed)
		}
		if err := <-done; !errors.Is(err, ErrAborted) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("the new process: %v", err)
		}
	}
}

// A part that cannot be sent is reported once, with its own error.
func TestSendFails(t *testing.T) {
	flat(t)
	o := newOld(t, 3)
	o.fails = errors.New("session 3 has no record")
	var first, second taker
	t.Cleanup(first.close)
	t.Cleanup(second.close)
	_, ofOld, ofNew := run(t, o, &first)
	if ofOld == nil || ofOld.Error() != "send: session 3 has no record" || o.thawed != 1 || !errors.Is(ofNew, ErrAborted) {
		t.Errorf("old: %v, new: %v, thawed %d times", ofOld, ofNew, o.thawed)
	}
	closed := newOld(t, 1)
	closed.sessions[0].server.Close()
	if _, ofOld, _ := run(t, closed, &second); !errors.Is(ofOld, net.ErrClosed) || closed.thawed != 1 {
		t.Errorf("with a closed connection: %v", ofOld)
	}
}

// A stop of either process ends the handover before go.
func TestStopMeanwhile(t *testing.T) {
	stop := errors.New("told to stop")
	t.Run("old", func(t *testing.T) {
		o := newOld(t, 1)
		from, to := pair(t)
		ctx, cancel := context.WithCancelCause(t.Context())
		go func() {
			await(to, kindHello)
			offer(to)
			await(to, kindEnd)
			cancel(stop)
		}()
		if _, err := from.Ask(ctx, Hello{}, patient); err != nil {
			t.Fatal(err)
		}
		if _, err := from.HandOver(ctx, o, patient); !errors.Is(err, stop) || o.thawed != 1 {
			t.Errorf("error %v, want %v; thawed %d times", err, stop, o.thawed)
		}
	})
	t.Run("new", func(t *testing.T) {
		from, to := pair(t)
		ctx, cancel := context.WithCancelCause(t.Context())
		done := make(chan error)
		go func() { done <- to.TakeOver(ctx, &taker{}) }()
		if _, err := from.Ask(t.Context(), Hello{}, patient); err != nil {
			t.Fatal(err)
		}
		cancel(stop)
		if err := <-done; !errors.Is(err, stop) {
			t.Errorf("the new process: %v, want %v", err, stop)
		}
		if err := from.receiveAnswer(kindReady, new(Counts)); err == nil || !strings.Contains(err.Error(), stop.Error()) {
			t.Errorf("the old process hears %v", err)
		}
	})
}

// A new process that is told to stop once it is ready leaves the decision to the old one.
func TestStopWhenReady(t *testing.T) {
	file := open(t)
	flat(t)
	from, to := pair(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- to.TakeOver(ctx, &taker{}) }()
	if _, err := from.Ask(t.Context(), Hello{}, patient); err != nil {
		t.Fatal(err)
	}
	from.say(kindEnd, Counts{})
	if err := from.receiveAnswer(kindReady, new(Counts)); err != nil {
		t.Fatal(err)
	}
	cancel()
	raw(from, headOf(kindGo, 1, 0, 0), file) // with a descriptor, which changes nothing
	if err := <-done; err != nil {
		t.Errorf("the old process said go, and the new one does not serve: %v", err)
	}
}

// A process that could not load its files says so instead of an offer.
func TestRefuseInsteadOfAnOffer(t *testing.T) {
	from, to := pair(t)
	to.Refuse(errors.New("the policy is not there"))
	_, err := from.Ask(t.Context(), Hello{}, patient)
	if err == nil || err.Error() != "offer: the new process refused: the policy is not there" {
		t.Error(err)
	}
}
