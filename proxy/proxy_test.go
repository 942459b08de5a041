package proxy

import (
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"switchyard/proxy/hub"
)

// Parallel tests wait for timers and sockets, not for a core.
func TestMain(m *testing.M) {
	flag.Set("test.parallel", "16")
	goleak.VerifyTestMain(m)
}

func TestRoute(t *testing.T) {
	_, addr, _ := serve(t, patient(testLimits()))
	a, b, c := dial(t, addr), dial(t, addr), dial(t, addr)
	m, all := message(others, 1, "to others"), message(everyone, 2, "to all")
	a.say(m, all)
	a.expect(all)
	b.expect(m, all)
	c.expect(m, all)
}

// An illegal length closes that connection and no other. PDUs before it are handled, and
// their answers still arrive.
func TestBadLength(t *testing.T) {
	t.Parallel()
	for name, length := range map[string]uint32{
		"0": 0, "1": 1, "15": 15, "above the maximum": 1<<20 + 1, "2^31-1": 1<<31 - 1, "2^31": 1 << 31, "2^32-1": 1<<32 - 1,
	} {
		t.Run(name, func(t *testing.T) {
			_, addr, lines := serve(t, patient(testLimits()))
			a, b := dial(t, addr), dial(t, addr)
			good := message(everyone, 1, "good")
			bad := append(binary.BigEndian.AppendUint32(nil, length), make([]byte, 12)...)
			a.say(good, bad, message(others, 2, "ignored"))
			a.expect(good)
			a.expectEnd()
			b.expect(good)
			b.settle()
			a.Close()
			expectLine(t, lines, "reason=bad-length")
		})
	}
}

// A peer that is closed while much of its input is unread still gets what is due to it,
// before the end.
func TestBadLengthInFrontOfMuch(t *testing.T) {
	tenant, addr, _ := serve(t, patient(testLimits()))
	a := dial(t, addr)
	good := message(everyone, 1, "good")
	a.Write(append(good, make([]byte, 2<<20)...)) // the hub may close the connection before it has taken all
	eventually(t, "the session leaves", func() bool { return tenant.Hub().Counts().Sessions == 0 })
	a.expect(good)
	a.expectEnd()
}

// Data that is followed at once by the end of the stream is handled. The connection is
// closed after its output is written.
func TestEndBehindData(t *testing.T) {
	for name, end := range map[string]func(client){
		"close":      func(c client) { c.Close() },
		"half-close": func(c client) { c.CloseWrite() },
	} {
		t.Run(name, func(t *testing.T) {
			tenant, addr, _ := serve(t, patient(testLimits()))
			a, b := dial(t, addr), dial(t, addr)
			m := message(everyone, 1, "last PDU")
			a.say(m)
			end(a)
			b.expect(m)
			if name == "half-close" {
				a.expect(m)
				a.expectEnd()
			}
			eventually(t, "the session ends", func() bool { return tenant.Hub().Counts().Sessions == 1 })
		})
	}
}

// What a peer sent before it reset the connection is routed.
func TestResetLosesNothingThatArrived(t *testing.T) {
	tenant, addr, _ := serve(t, patient(testLimits()))
	b := dial(t, addr)
	for i := range 20 {
		a := dial(t, addr)
		m := message(others, uint16(i), "before the reset")
		a.say(m)
		b.expect(m) // it has arrived; now the rest of the connection goes
		a.SetLinger(0)
		a.Close()
	}
	eventually(t, "the sessions end", func() bool { return tenant.Hub().Counts().Sessions == 1 })
	b.settle()
}

func TestPolicyCloses(t *testing.T) {
	_, addr, lines := serve(t, patient(testLimits()))
	a, b := dial(t, addr), dial(t, addr)
	m := message(everyone, 1, "before")
	a.say(m, message(goAway, 0, ""), message(everyone, 1, "after"))
	a.expect(m)
	a.expectEnd()
	b.expect(m)
	b.settle()
	a.Close()
	expectLine(t, lines, "reason=policy-close")
}

// A peer that never reads is closed as a slow consumer, and delays no other peer.
func TestSlowConsumer(t *testing.T) {
	l := patient(testLimits())
	l.LagHard = 2 << 20
	tenant, addr, lines := serve(t, l)
	a, b, stalled := dial(t, addr), dial(t, addr), dial(t, addr)
	stalled.SetReadBuffer(4 << 10)
	m := message(others, 1, strings.Repeat("x", 64<<10))
	for n := 0; tenant.Hub().Counts().Sessions == 3; n++ {
		if n > 2000 {
			t.Fatal("128 MiB sent and the peer that does not read is still there")
		}
		a.say(m)
		b.expect(m)
	}
	eventually(t, "it is counted", func() bool { return tenant.Hub().Counts().Discarded[hub.SlowConsumer] > 0 })
	a.settle()
	b.settle()
	expectLine(t, lines, "reason=slow-consumer")
}

// A peer that stops reading for a while gets everything when it reads on, in order.
func TestStalledPeerCatchesUp(t *testing.T) {
	_, addr, _ := serve(t, patient(testLimits()))
	a, b, stalled := dial(t, addr), dial(t, addr), dial(t, addr)
	const n = 500
	var sent [][]byte
	for i := range n {
		m := message(others, uint16(i), strings.Repeat("x", 20<<10+i))
		sent = append(sent, m)
		a.say(m)
		b.expect(m)
	}
	stalled.expect(sent...)
	stalled.settle()
}

// A peer that takes nothing for the write timeout is closed.
func TestWriteTimeout(t *testing.T) {
	l := patient(testLimits())
	l.WriteTimeout = 50 * time.Millisecond
	tenant, addr, lines := serve(t, l)
	a, stalled := dial(t, addr), dial(t, addr)
	stalled.SetReadBuffer(4 << 10)
	m := message(others, 1, strings.Repeat("x", 1<<19))
	for range 20 {
		a.say(m)
	}
	eventually(t, "the peer is closed", func() bool { return tenant.Hub().Counts().Sessions == 1 })
	expectLine(t, lines, "reason=write-timeout")
	a.settle()
}

// Drain routes what has arrived, writes what is due, also to a peer that reads late,
// and ends every connection with the end of the stream. Beside other tests, the late peer could take
// nothing for a second, and be given up.
func TestDrain(t *testing.T) {
	tenant, addr, _ := serve(t, patient(testLimits()))
	a, b, late := dial(t, addr), dial(t, addr), dial(t, addr)
	var sent [][]byte
	for i := range 200 {
		sent = append(sent, message(others, uint16(i), strings.Repeat("y", 10<<10)))
	}
	a.say(sent...)
	done := make(chan error)
	ctx, cancel := context.WithTimeout(context.Background(), generous)
	defer cancel()
	go func() { done <- tenant.Drain(ctx, 0) }()
	b.expect(sent...)
	late.expect(sent...)
	b.expectEnd()
	late.expectEnd()
	a.expectEnd()
	if err := <-done; err != nil {
		t.Errorf("Drain: %v", err)
	}
	c := tenant.Hub().Counts()
	if c.Pending != 0 || c.Due != c.Delivered || c.Sessions != 0 {
		t.Errorf("after the drain: %+v", c)
	}
}

// A drain that a peer holds up ends when its context does.
func TestDrainGivesUp(t *testing.T) {
	tenant, addr, _ := serve(t, patient(testLimits()))
	a, stalled := dial(t, addr), dial(t, addr)
	stalled.SetReadBuffer(4 << 10)
	m := message(others, 1, strings.Repeat("x", 1<<19))
	for range 20 {
		a.say(m)
	}
	a.settle()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	if err := tenant.Drain(ctx, 0); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Drain = %v, want the deadline", err)
	}
	tenant.Close()
	if c := tenant.Hub().Counts(); c.Sessions != 0 || c.Discarded[hub.Forced] == 0 || c.Due != c.Delivered+c.Discarded[hub.Forced] {
		t.Errorf("after the close: %+v", c)
	}
}
