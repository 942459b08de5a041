package proxy

import (
	"bytes"
	"net"
	"sync"
	"testing"
	"time"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/policy/policytest"
	"switchyard/proxy/hub"
	"switchyard/proxy/hub/hubtest"
	"switchyard/proxy/logtest"
)

// slow is a command whose PDUs the slow policy inspects.
const slow = everyone

// A slowPolicy takes a millisecond for each call. After the first calls, further ones wait
// for release.
type slowPolicy struct {
	policytest.Policy
	first   int64         // calls without a wait
	proceed chan struct{} // closed by release
	once    sync.Once
}

func newSlowPolicy(first int64) *slowPolicy {
	p := &slowPolicy{first: first, proceed: make(chan struct{})}
	rules := testRules()
	rules[slow] = abi.BroadcastExceptSender | abi.InspectHeader
	p.OnClassify = rules.Classify
	p.OnInspect = func(byIDs policy.Verdict, _ policy.Question) (policy.Verdict, error) {
		if p.Inspected.Load() > p.first {
			<-p.proceed
		}
		time.Sleep(time.Millisecond)
		return policytest.Final(byIDs), nil
	}
	return p
}

func (p *slowPolicy) release() { p.once.Do(func() { close(p.proceed) }) }

// numbered returns n PDUs of the slow command, with numbers.
func numbered(n int) (p []byte) {
	for i := range n {
		p = append(p, message(slow, uint16(i), "")...)
	}
	return p
}

// A slow policy that has much to decide about holds up nobody else: neither another peer,
// nor a new one, nor the liveness probe. A policy that replaces it decides about what is
// left.
func TestTurns(t *testing.T) {
	slowly := newSlowPolicy(2 * 16)
	active := policytest.Active(slowly)
	served, addr, _ := serveBy(t, patient(testLimits()), active)
	t.Cleanup(slowly.release)
	sender, reader := dial(t, addr), dial(t, addr)
	const n = 4000
	all := numbered(n)
	sender.say(all)
	eventually(t, "the policy waits", func() bool { return slowly.Inspected.Load() == slowly.first+1 })
	eventually(t, "the sender has left the loop", func() bool { return inLoop(served) == 1 })
	late := dial(t, addr)
	late.say(message(others, 9, "in between"))
	if err := served.Probe(); err != nil {
		t.Error(err)
	}
	rules := testRules()
	rules[slow] = abi.BroadcastExceptSender
	active.Install(policytest.Generation(rules))
	got := make([]byte, len(all)+pdu.HeaderLen+len("in between"))
	slowly.release()
	reader.expectAll(got)
	before, behind, found := bytes.Cut(got, message(others, 9, "in between"))
	if !found || !bytes.Equal(append(bytes.Clone(before), behind...), all) {
		t.Error("the PDUs are not complete or not in order")
	}
	if asked := slowly.Inspected.Load(); asked > slowly.first+callsPerLook {
		t.Errorf("the policy that was replaced decided about %d PDUs, want at most one more turn", asked)
	}
	eventually(t, "the sender is back in the loop", func() bool {
		sender.say(message(others, 1, ""))
		return inLoop(served) == 3
	})
}

// expectAll fills p with what arrives.
func (c client) expectAll(p []byte) {
	c.t.Helper()
	c.SetReadDeadline(time.Now().Add(generous))
	for n := 0; n < len(p); {
		m, err := c.Read(p[n:])
		if err != nil {
			c.t.Fatalf("after %d bytes of %d: %v", n, len(p), err)
		}
		n += m
	}
}

// A forced stop does not wait for the PDUs that are still to be decided about. They are
// counted as dropped.
func TestForcedBetweenTurns(t *testing.T) {
	slowly := newSlowPolicy(2 * 16)
	active := policytest.Active(slowly)
	served, addr, _ := serveBy(t, patient(testLimits()), active)
	t.Cleanup(slowly.release)
	sender := dial(t, addr)
	const n = 1000
	sender.say(numbered(n))
	eventually(t, "the policy waits", func() bool { return slowly.Inspected.Load() == slowly.first+1 })
	closed := make(chan struct{})
	go func() { served.Close(); close(closed) }()
	s := (*served.sessions.Load())[0]
	eventually(t, "it is told to stop", s.forced)
	slowly.release() // for the turn that is under way
	<-closed
	c := hubtest.Conserved(t, served.hub)
	if asked := slowly.Inspected.Load(); asked == n || c.Dropped[hub.SessionEnded] != uint64(n-asked) {
		t.Errorf("%d of %d PDUs were decided about, %d are counted as dropped", asked, n, c.Dropped[hub.SessionEnded])
	}
}

// A loop that stands still is noticed by the probe.
func TestProbeAsksTheLoop(t *testing.T) {
	stuck := newSlowPolicy(0)
	served, addr, _ := serveBy(t, patient(testLimits()), policytest.Active(stuck))
	t.Cleanup(stuck.release)
	a := dial(t, addr)
	a.say(numbered(1))
	eventually(t, "the loop is stuck", func() bool { return stuck.Inspected.Load() == 1 })
	probed := make(chan error)
	go func() { probed <- served.Probe() }()
	select {
	case err := <-probed:
		t.Errorf("the probe returned %v while the loop was stuck", err)
	case <-time.After(100 * time.Millisecond):
		stuck.release()
		if err := <-probed; err != nil {
			t.Error(err)
		}
		return
	}
	stuck.release()
}

// standStill starts a tenant whose loop stands still from the call of hold until that of
// proceed.
func standStill(t *testing.T, l Limits) (served *Tenant, addr string, lines *logtest.Lines, hold func() (proceed func())) {
	stuck := newSlowPolicy(0)
	served, addr, lines = serveBy(t, l, policytest.Active(stuck))
	t.Cleanup(stuck.release)
	holder := dial(t, addr)
	served.mu.Lock()
	served.loop.awaitTime.Store(int64(generous))
	served.mu.Unlock()
	return served, addr, lines, func() func() {
		holder.say(numbered(1))
		eventually(t, "the loop stands still", func() bool { return stuck.Inspected.Load() == 1 })
		return func() { stuck.release() }
	}
}

// What a peer sent over a connection that it has closed does not come back to its next
// one, even if the hub reads it only after both.
func TestOldWordsDoNotComeBack(t *testing.T) {
	served, addr, _, hold := standStill(t, patient(testLimits()))
	old, other := dial(t, addr), dial(t, addr)
	proceed := hold()
	words := bytes.Repeat(message(others, 1, string(make([]byte, 1000))), 10)
	old.say(words)
	old.Close()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	next := client{t, conn.(*net.TCPConn)}
	time.Sleep(20 * time.Millisecond) // in which it would get a seat if it did not wait
	proceed()
	next.settle() // nothing is due to it before the answer
	other.expect(numbered(1), words)
	hubtest.Conserved(t, served.hub)
}
