package proxy

import (
	"bytes"
	"fmt"
	"testing"

	"switchyard/pdu"
	"switchyard/proxy/tenant"
)

// inLoop returns how many sessions the tenant's loop has.
func inLoop(t *Tenant) int {
	t.mu.Lock()
	l := t.loop
	t.mu.Unlock()
	if l == nil {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.members)
}

// A session leaves the loop while it has to wait, and comes back. Nothing that its peer
// sends meanwhile is lost or reordered.
func TestInAndOutOfTheLoop(t *testing.T) {
	limits := patient(testLimits())
	tenantServed, addr, _ := serve(t, limits)
	a, b := dial(t, addr), dial(t, addr)
	eventually(t, "both in the loop", func() bool { return inLoop(tenantServed) == 2 })
	n := 0
	talk := func() {
		for range 50 {
			m := message(others, uint16(n), fmt.Sprint("number ", n))
			a.say(m)
			b.expect(m)
			n++
		}
	}
	for range 5 {
		talk()
		limited := limits
		limited.Quota = tenant.Quota{Peer: tenant.Rates{PDUsIn: 100_000}}
		tenantServed.SetLimits(limited)
		talk()
		eventually(t, "the one that talks out of the loop", func() bool { return inLoop(tenantServed) == 1 })
		tenantServed.SetLimits(limits)
		talk()
		eventually(t, "both back in the loop", func() bool { return inLoop(tenantServed) == 2 })
	}
}

// The loop assembles PDUs of several peers, however large they are and however they are
// split.
func TestLoopPutsTogether(t *testing.T) {
	tenantServed, addr, _ := serve(t, patient(testLimits()))
	a, b, c := dial(t, addr), dial(t, addr), dial(t, addr)
	for _, size := range []int{0, 1, 1000, 64 << 10, 300 << 10, 900 << 10} {
		m := message(others, uint16(size), string(bytes.Repeat([]byte{byte(size)}, size)))
		for at, most := 0, len(m)-1; at < most; {
			n := min(most-at, 1+at/2)
			a.say(m[at : at+n])
			at += n
			c.say(message(others, 7, "in between"))
			b.expect(message(others, 7, "in between"))
		}
		a.say(m[len(m)-1:])
		b.expect(m)
	}
	if n := inLoop(tenantServed); n != 3 {
		t.Errorf("%d sessions in the loop, want all 3", n)
	}
}

// PDUs before an illegal length are handled, and the length ends the session at once,
// even if nothing more arrives.
func TestLoopEndsBehindABatch(t *testing.T) {
	t.Parallel()
	_, addr, lines := serve(t, patient(testLimits()))
	a, b := dial(t, addr), dial(t, addr)
	m := message(others, 1, "the last one")
	a.say(m, make([]byte, pdu.HeaderLen))
	b.expect(m)
	a.expectEnd()
	expectLine(t, lines, "bad-length")
}

// The loop notices that a session was closed, with or without input.
func TestCloseInTheLoop(t *testing.T) {
	served, addr, lines := serve(t, patient(testLimits()))
	a, b := dial(t, addr), dial(t, addr)
	for _, s := range *served.sessions.Load() {
		s.Close("test")
	}
	a.expectEnd()
	b.expectEnd()
	eventually(t, "all sessions have ended", func() bool { return len(*served.sessions.Load()) == 0 && inLoop(served) == 0 })
	expectLine(t, lines, "reason=test")
	c := dial(t, addr)
	c.say(pdu.Append(nil, pdu.SID_OTHER, pdu.CID_OTHER_HEARTBEAT, 0, nil))
	c.settle()
}

// A batch that takes long is handled outside of the loop, in the peer's order.
func TestLengthyOutsideOfTheLoop(t *testing.T) {
	served, addr, _ := serve(t, patient(testLimits()))
	a, b := dial(t, addr), dial(t, addr)
	eventually(t, "both in the loop", func() bool { return inLoop(served) == 2 })
	entered := func() int32 {
		served.loop.mu.Lock()
		defer served.loop.mu.Unlock()
		return served.loop.last
	}
	before := entered()
	users := bytes.Repeat([]byte("\x0a\x06\x08\x07\x10\x01\x18\x01"), 10_000)
	first, second := message(others, 1, "before"), message(others, 2, "behind")
	a.say(first, pdu.Append(nil, pdu.SID_OTHER, pdu.CID_OTHER_ONLINE_USER_INFO, 0, users), second)
	b.expect(first, second)
	eventually(t, "both in the loop again", func() bool { return inLoop(served) == 2 })
	if got := entered() - before; got != 1 {
		t.Errorf("sessions came to the loop %d times, want once", got)
	}
	if n := served.hub.Users(); n != 1 {
		t.Errorf("%d users, want 1", n)
	}
}
