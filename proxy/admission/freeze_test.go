package admission

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"switchyard/proxy/hub"
)

// Connections that arrive while the listener is frozen wait in the kernel, and are served
// afterwards.
func TestFreeze(t *testing.T) {
	h := open(t, Options{})
	h.dial()
	h.serves("main")
	for range 3 {
		if err := h.Freeze(t.Context()); err != nil {
			t.Fatal(err)
		}
		before := h.conserved().Accepted
		h.dial()
		h.dial()
		if got := h.conserved().Accepted; got != before {
			t.Errorf("accepted %d connections while frozen", got-before)
		}
		h.Thaw()
		h.serves("main")
		h.serves("main")
	}
	h.Thaw() // has no effect
	h.dial()
	h.serves("main")
}

// A handshake that is in progress continues while the listener is frozen.
func TestHandshakeGoesOnWhileFrozen(t *testing.T) {
	h := open(t, Options{ProxyFrom: networks("127.0.0.0/8"), HandshakeTimeout: testTimeout})
	conn := h.say("PROXY TCP4 10.0.0.1 10.0.0.2 ")
	eventually(t, func() bool { return h.Counts().Handshaking == 1 }, func() string { return "no handshake is in progress" })
	if err := h.Freeze(t.Context()); err != nil {
		t.Fatal(err)
	}
	conn.Write([]byte("1 2\r\n"))
	h.serves("main")
	h.Thaw()
}

// A frozen listener can be closed.
func TestCloseWhileFrozen(t *testing.T) {
	h := open(t, Options{})
	if err := h.Freeze(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.Close()
	h.Thaw()
}

// Refusals set a time at which the accept loop writes lines. That does not keep it from freezing.
func TestFreezeWhileRefusalsAreLogged(t *testing.T) {
	h := open(t, Options{})
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				h.wakeAt(time.Now().Add(time.Hour))
			}
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	if err := h.Freeze(ctx); err != nil {
		t.Fatal(err)
	}
	close(stop)
	<-stopped
	h.Thaw()
	h.dial()
	h.serves("main")
}

// blocking blocks in each call until it is released.
type blocking struct{ entered, release chan struct{} }

func (b blocking) block()                        { b.entered <- struct{}{}; <-b.release }
func (b blocking) End(net.Conn, hub.Reason) bool { b.block(); return false }
func (b blocking) Serve(_ net.Conn, _ func(bool)) error {
	b.block()
	return errors.New("refused")
}

// A listener that cannot freeze in time continues as if nothing had been.
func TestFreezeInVain(t *testing.T) {
	b := blocking{make(chan struct{}), make(chan struct{})}
	h := openFor(t, Options{}, func(string) Server { return b })
	over, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("no time left"))
	h.dial()
	<-b.entered
	if err := h.Freeze(over); err == nil || err.Error() != "listener "+h.Addr().String()+" is still accepting: no time left" {
		t.Errorf("while a connection is handed over: %v", err)
	}
	b.release <- struct{}{}
	<-h.rechecking // as recheckLoop does
	if err := h.Freeze(over); err == nil {
		t.Error("frozen while connections are checked again")
	}
	h.rechecking <- struct{}{}
	h.dial()
	<-b.entered
	b.release <- struct{}{}
	if err := h.Freeze(t.Context()); err != nil {
		t.Error(err)
	}
	h.Thaw()
}
