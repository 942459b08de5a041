package proxy

import (
	"testing"

	"switchyard/pdu"
	"switchyard/pdu/pdutest"
	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/policy/policytest"
	"switchyard/proxy/hub"
)

// What a peer has sent under the policy's rate limits counts in the other process, too.
func TestLimitsMove(t *testing.T) {
	chat, receipt := pdu.CID_MSG_DATA, pdu.CID_MSG_READ_NOTIFY
	rules := testRules()
	rules[chat] = policy.Verdict(abi.BroadcastExceptSender).WithLimit(1)
	rules[receipt] = policy.Verdict(abi.BroadcastExceptSender).WithLimit(2)
	few := policy.Rate{PDUs: 1, Period: policy.Minute, Burst: 5}
	limited := twoLimits{rules, policy.RateLimits{{Peer: few}, {Tenant: few}}}
	l := startLine(&line{t: t, limits: patient(testLimits()), policy: func() *policy.Active { return policytest.Active(limited) }})
	a, b := dial(t, l.addr), dial(t, l.addr)
	b.settle()
	dropped := uint64(0)
	for _, want := range []uint64{0, 2, 8, 14} { // five of each pass, and one more in a minute
		for range 3 {
			a.say(pdutest.Raw(chat, 1, nil))
			a.say(pdutest.Raw(receipt, 1, nil))
		}
		a.settle()
		if dropped = l.now.Hub().Counts().Dropped[hub.OverLimit]; dropped > want || dropped+2 < want {
			t.Errorf("%d PDUs were over a limit, want %d", dropped, want)
		}
		l.handOver()
	}
}

type twoLimits struct {
	policytest.Rules
	limits policy.RateLimits
}

func (l twoLimits) RateLimits() policy.RateLimits { return l.limits }
