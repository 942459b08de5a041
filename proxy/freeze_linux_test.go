package proxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"switchyard/pdu"
	"switchyard/proxy/hub"
)

// freezeNow freezes the tenant, and fails the test if that takes too long.
func freezeNow(t testing.TB, served *Tenant) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), generous)
	defer cancel()
	if err := served.Freeze(ctx); err != nil {
		t.Fatal(err)
	}
}

// expectStandstill checks that a frozen tenant does nothing, as far as that can be seen.
func expectStandstill(t *testing.T, served *Tenant) {
	t.Helper()
	look := func() (received uint64, written []uint64) {
		for _, s := range *served.sessions.Load() {
			if s.raw != nil {
				bytes, _ := s.seat.Written()
				written = append(written, bytes, uint64(s.input.pdus.Buffered()), uint64(len(s.input.unhandled)))
			}
		}
		return served.hub.Counts().Received, written
	}
	received, written := look()
	for range 20 {
		runtime.Gosched()
	}
	if later, writtenLater := look(); later != received || fmt.Sprint(writtenLater) != fmt.Sprint(written) {
		t.Errorf("%d PDUs were handled, %v became %v", later-received, written, writtenLater)
	}
}

// A freeze that does not succeed in time says what did not stop, and leaves no trace.
func TestFreezeThatFails(t *testing.T) {
	t.Parallel()
	served, join, release := holdLoop(t)
	_, a := join()
	_, b := join()
	late := errors.New("10 ms are over")
	ctx, cancel := context.WithTimeoutCause(context.Background(), 10*time.Millisecond, late)
	defer cancel()
	err := served.Freeze(ctx)
	if want := "the loop did not stop: 10 ms are over"; err == nil || !strings.HasSuffix(err.Error(), want) || !errors.Is(err, late) { // on a busy machine other goroutines as well
		t.Errorf("got %v, want %s", err, want)
	}
	release()
	a.say(message(others, 1, "after the freeze"))
	b.expect(message(others, 1, "after the freeze"))
	freezeNow(t, served)
	if err := served.Freeze(context.Background()); err == nil {
		t.Error("a frozen tenant was frozen again")
	}
	served.Thaw()
	served.Thaw()
	a.say(message(others, 2, "after another one"))
	b.expect(message(others, 2, "after another one"))
	served.stop()
	if err := served.Freeze(context.Background()); !errors.Is(err, ErrStopping) {
		t.Errorf("got %v, want ErrStopping", err)
	}
}

// What happens to connections during a freeze is noticed after it: one peer closes, one resets,
// one sends without an end, one connects. A frozen tenant can be closed.
func TestPeersDuringAFreeze(t *testing.T) {
	served, addr, _ := serve(t, patient(testLimits()))
	listener, closes, resets, floods := dial(t, addr), dial(t, addr), dial(t, addr), dial(t, addr)
	freezeNow(t, served)
	closes.say(message(others, 1, "last words"))
	closes.CloseWrite()
	go io.Copy(io.Discard, closes)
	resets.SetLinger(0)
	resets.Close()
	filled := make(chan int)
	go func() { // until the socket is full
		floods.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		sent := 0
		for {
			n, err := floods.Write(large)
			if sent += n; err != nil {
				filled <- sent
				return
			}
		}
	}()
	sent := <-filled
	late, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer late.Close()
	expectStandstill(t, served)
	if n := len(*served.sessions.Load()); n != 4 {
		t.Errorf("%d sessions, want 4 that last", n)
	}
	served.Thaw()
	floods.SetWriteDeadline(time.Now().Add(generous))
	floods.Write(large[sent%len(large):])
	words, flood := message(others, 1, "last words"), 0
	for r, got := pdu.NewReader(listener, 1<<20), 0; flood < (sent+len(large)-1)/len(large) || got == 0; {
		listener.SetReadDeadline(time.Now().Add(generous))
		batch, err := r.ReadBatch()
		if err != nil {
			t.Fatal(err)
		}
		for ; len(batch) > 0; batch = batch[pdu.ParseHeader(batch).Length:] {
			if int(pdu.ParseHeader(batch).Length) == len(words) {
				got++
			} else {
				flood++
			}
		}
	}
	eventually(t, "the ends are noticed", func() bool {
		c := served.hub.Counts()
		return c.Closed[hub.PeerClosed] == 1 && c.Closed[hub.PeerReset] == 1
	})
	words = message(others, 2, "first words")
	late.Write(words)
	listener.expect(words)
	freezeNow(t, served) // and closed by Cleanup
}

// A freeze writes to a paced peer at once what is too much to move, and no more than that. A peer that
// the machine does not run for a while looks as if it took nothing, so there are three attempts.
func TestFreezeOfPacedPeers(t *testing.T) {
	for attempt := 1; ; attempt++ {
		closed, left := freezePaced(t)
		switch {
		case closed == 0 && left > mostDue/2 && left <= mostDue:
			return
		case attempt == 3:
			t.Fatalf("%d sessions cannot move, and %d bytes are due; want 0, and little less than %d", closed, left, mostDue)
		}
	}
}

// freezePaced freezes a tenant while more is due to a paced peer than can move. It returns how many
// sessions cannot move, and how much is due in the end. After the freeze the peer gets the rest.
func freezePaced(t *testing.T) (closed int, left uint64) {
	const pdus, size = 40_000, 66
	served, addr, _ := serve(t, patient(testLimits()))
	peer, far := loopback(t)
	setPaced(t, far)
	s := newSession(served, far, func(bool) {})
	kernel := &fullWindow{session: s}
	s.kernel = kernel
	if err := served.enter(s); err != nil {
		t.Fatal(err)
	}
	read := make(chan int64)
	go func() {
		peer.SetReadDeadline(time.Now().Add(generous))
		n, _ := io.CopyN(io.Discard, peer, pdus*size)
		read <- n
	}()
	s.output.right.Lock() // until all of it is due
	dial(t, addr).say(bytes.Repeat(message(others, 1, string(make([]byte, size-pdu.HeaderLen))), pdus))
	eventually(t, "all is handled", func() bool { return served.hub.Counts().Received >= pdus })
	s.output.right.Unlock()
	freezeNow(t, served)
	_, _, closed = served.Moving(64 << 20)
	left = s.seat.Lag()
	served.Thaw()
	kernel.reads.Store(true)
	if n := <-read; n != pdus*size {
		t.Fatalf("the peer got %d bytes, want %d", n, pdus*size)
	}
	return closed, left
}

// A session that was told to end, or whose reader found the end, before the freeze ends after it.
func TestEndsDuringAFreeze(t *testing.T) {
	served, addr, _ := serve(t, patient(testLimits()))
	dial(t, addr)
	near, far := loopback(t)
	join(served, ownReader{far})
	freezeNow(t, served)
	for _, s := range *served.sessions.Load() {
		if !served.End(s.conn, hub.NotAllowed) {
			t.Error("not found")
		}
	}
	expectStandstill(t, served)
	served.Thaw()
	client{t, near}.expectEnd()
	eventually(t, "both end", func() bool { return served.hub.Counts().Closed[hub.NotAllowed] == 2 })
}

// A freeze counts like a stall: nothing is sent meanwhile, what has become due is sent at once
// afterwards, and nobody is closed for a silence that was the tenant's.
func TestTimeDuringAFreeze(t *testing.T) {
	inBubble(t, testLimits(), func(y bubble) {
		speaker := y.enter()
		quiet, received := listen(y.Tenant)
		const began, over = 20500 * time.Millisecond, 40500 * time.Millisecond
		time.Sleep(began)
		freezeNow(y.T, y.Tenant)
		go speaker.Write(message(others, 1, "during"))
		go quiet.Write(heartbeat)
		time.Sleep(over - began)
		y.Thaw()
		time.Sleep(2 * time.Second)
		y.expectCounts("nobody was closed", func(c hub.Counts) bool { return c.Received == 2 && len(c.Closed) == 0 })
		quiet.Close()
		atOnce := 0
		for _, a := range <-received {
			if began < a.at && a.at < over {
				y.Errorf("%s arrived after %v, during the freeze", a.what, a.at)
			}
			if a.at == over {
				atOnce++
			}
		}
		if atOnce == 0 {
			y.Error("nothing arrived at the end of the freeze")
		}
	})
}

// Frozen and thawed tenants keep no goroutines and no descriptors.
func TestFreezeLeavesNothing(t *testing.T) {
	served, addr, _ := serve(t, patient(testLimits()))
	dial(t, addr)
	_, far := loopback(t)
	join(served, ownReader{far})
	goroutines, files := runtime.NumGoroutine(), descriptors(t)
	for range 100 {
		freezeNow(t, served)
		served.Thaw()
	}
	eventually(t, "as many goroutines and descriptors as before", func() bool {
		return runtime.NumGoroutine() <= goroutines && descriptors(t) <= files
	})
}

// descriptors returns how many descriptors the process has open.
func descriptors(t *testing.T) int {
	t.Helper()
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(names)
}

// An ownReader is a connection that the loop cannot read from, like one with a PROXY header.
type ownReader struct{ *net.TCPConn }
