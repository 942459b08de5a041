//go:build full || race

package proxy

import (
	"testing"
	"time"

	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/policy/policytest"
	"switchyard/proxy/hub"
	"switchyard/proxy/hub/hubtest"
	"switchyard/proxy/tenant"
)

// Everything that peers say arrives once and in order, although their tenant is frozen again and
// again, and nothing changes while it is frozen.
func TestFreezeUnderTraffic(t *testing.T) {
	t.Parallel()
	freezeUnderTraffic(t, 10)
}

// inspected returns a policy that judges so slowly that a batch takes several turns.
func inspected() policy.Policy {
	rules := testRules()
	rules[others] |= abi.InspectHeader
	return &policytest.Policy{OnClassify: rules.Classify, OnInspect: func(byIDs policy.Verdict, _ policy.Question) (policy.Verdict, error) {
		time.Sleep(turnTime / 8)
		return policytest.Final(byIDs), nil
	}}
}

func freezeUnderTraffic(t *testing.T, times int) {
	for name, test := range map[string]struct {
		limits Limits
		rules  policy.Policy
		slowed hub.Reason // what makes readers pause
		size   int
		atOnce int // bytes on their way, at least those of which a reader pauses
	}{
		"in the loop":   {patient(testLimits()), testRules(), "", 100, 300_000},
		"with a quota":  {quotaLimits(), testRules(), hub.OverQuotaPDUs, 100, 600_000},
		"with full log": {patient(fullLimits(tenant.Slow)), testRules(), hub.LogFull, 60_000, 60_000_000},
		"in slow turns": {patient(testLimits()), inspected(), "", 100, 30_000},
	} {
		t.Run(name, func(t *testing.T) {
			served, _, _ := serveBy(t, test.limits, policytest.Active(test.rules))
			pauses := func() bool { return test.slowed == "" || served.hub.Counts().Slowed[test.slowed] > 0 }
			converse(t, served, 3, test.size, test.atOnce, pauses, func() {
				for range times {
					freezeNow(t, served)
					expectStandstill(t, served)
					served.Thaw()
					received := served.hub.Counts().Received
					eventually(t, "it goes on", func() bool { return served.hub.Counts().Received > received })
				}
				served.SetLimits(patient(testLimits())) // so that the rest takes no time
			})
			hubtest.Conserved(t, served.Hub())
		})
	}
}

func quotaLimits() Limits {
	l := patient(testLimits())
	l.Quota = tenant.Quota{Peer: tenant.Rates{PDUsIn: 1000}}
	return l
}

// A peer that takes nothing does not hold up a freeze, although a goroutine waits for its socket,
// and its write timeout continues afterwards.
func TestFreezeWithPeersThatTakeNothing(t *testing.T) {
	t.Parallel()
	for _, timeout := range []time.Duration{0, time.Hour} {
		l := patient(testLimits())
		l.WriteTimeout, l.LagSoft = timeout, 0
		served, addr, _ := serve(t, l)
		a := dial(t, addr)
		lagging := dial(t, addr)
		var said []byte
		for i := range 100 {
			said = append(said, message(others, uint16(i), string(large))...)
		}
		a.say(said)
		a.settle()
		s := (*served.sessions.Load())[1]
		eventually(t, "a goroutine catches up", func() bool { return !s.output.right.TryLock() || unlock(s) })
		freezeNow(t, served)
		if s.output.broken.Load() || s.reason.Load() != nil {
			t.Fatal("the connection that lags has ended")
		}
		served.Thaw()
		lagging.expect(said)
	}
}

// unlock gives back a right that was not taken by another goroutine, and returns false.
func unlock(s *session) bool {
	s.output.right.Unlock()
	return false
}
