package hub_test

import (
	"errors"
	"testing"

	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/policy/policytest"
	. "switchyard/proxy/hub"
	"switchyard/proxy/hub/hubtest"
)

// limitedHub returns a hub whose policy is r, limited to the effects in may.
func limitedHub(t *testing.T, r policytest.Rules, may []string, otherwise string) *Hub {
	t.Helper()
	e, err := policy.ParseEffects(may, nil, otherwise)
	if err != nil {
		t.Fatal(err)
	}
	return New(policy.NewActive(policy.NewLimitedGeneration("limited", "", roleRules{r}, e)), farBehind)
}

// A verdict beyond the policy's limits is not carried out: the action that the limits
// give instead is carried out and counted, and the fault is noted.
func TestEffectFault(t *testing.T) {
	for name, says := range map[string]policy.Verdict{
		"by ids":           abi.Unicast | abi.ToSender<<abi.SelectorShift,
		"handled":          abi.Handle | abi.UserStatusUpdate<<abi.ArgumentShift,
		"role-set":         abi.Handle | abi.RoleSet<<abi.ArgumentShift,
		"by presence":      abi.Unicast | abi.ToUser<<abi.SelectorShift | 1<<abi.ArgumentShift,
		"closed":           abi.Close,
		"inspected":        abi.Drop | abi.InspectBodyOf, // roleRules say consume, which is not allowed either
		"to be inspected":  abi.BroadcastAll | abi.InspectBodyOf,
		"for what is sent": abi.BroadcastAll,
	} {
		t.Run(name, func(t *testing.T) {
			r := commonRules()
			r[others] = says
			testEffectFault(t, r)
		})
	}
}

func testEffectFault(t *testing.T, r policytest.Rules) {
	for _, tt := range []struct {
		otherwise    policy.Action
		back, across bool // the PDU comes to its sender, and to another peer
	}{
		{otherwise: policy.Drop},
		{otherwise: policy.Consume},
		{otherwise: policy.BroadcastExceptSender, across: true},
		{otherwise: policy.BroadcastAll, back: true, across: true},
		{otherwise: policy.Close},
	} {
		h := limitedHub(t, r, []string{"drop"}, tt.otherwise.String())
		a, b := hubtest.Join(h), hubtest.Join(h)
		m := message(others, 2, "")
		if err := h.Handle(a.Seat, m); errors.Is(err, ErrClose) != (tt.otherwise == policy.Close) {
			t.Errorf("%v: Handle = %v", tt.otherwise, err)
		}
		expectIf(t, "the sender", a, tt.back, m)
		expectIf(t, "another peer", b, tt.across, m)

		wantDropped, wantDone := Reason(""), uint64(1)
		if tt.otherwise == policy.Drop {
			wantDropped, wantDone = PolicyFault, 0
		}
		if len(a.Notes) != 1 {
			t.Fatalf("%v: noted %+v, want one fault", tt.otherwise, a.Notes)
		}
		if n := a.Notes[0]; n.Fault == nil || n.Fault.Kind != policy.FaultEffect || n.Verdict.Action() != tt.otherwise || n.Dropped != wantDropped {
			t.Errorf("%v: noted %+v, want a fault of kind effect", tt.otherwise, n)
		}
		c := h.Counts()
		if c.Received != 1 || c.Actions[tt.otherwise] != wantDone || c.Dropped[PolicyFault] != 1-wantDone || len(c.Actions)+len(c.Dropped) != 1 {
			t.Errorf("%v: counts %+v", tt.otherwise, c)
		}
	}
}

func expectIf(t *testing.T, who string, g *hubtest.Peer, comes bool, m []byte) {
	t.Helper()
	if comes {
		g.Expect(t, who, m)
	} else {
		g.Expect(t, who)
	}
}

// A handler beyond the limits changes nothing.
func TestEffectFaultOfAHandler(t *testing.T) {
	r := with(everyone, abi.Unicast|abi.ToUser<<abi.SelectorShift|1<<abi.ArgumentShift)
	for _, tt := range []struct {
		may   string
		comes bool
	}{{"handle", true}, {"handle online-user-info", true}, {"handle role-set", false}} {
		h := limitedHub(t, r, []string{tt.may, "unicast"}, "consume")
		a, b := hubtest.Join(h), hubtest.Join(h)
		b.Send(t, online(1))
		m := message(everyone, 1, "")
		a.Send(t, m)
		expectIf(t, tt.may+": the user's holder", b, tt.comes, m)
	}
}

// The action that is carried out instead keeps the sender's order.
func TestEffectFaultKeepsTheOrder(t *testing.T) {
	h := limitedHub(t, with(everyone, abi.Unicast), []string{"broadcast-except-sender"}, "broadcast-all")
	a, b := hubtest.Join(h), hubtest.Join(h)
	p := [][]byte{message(others, 1, "1"), message(everyone, 2, "2"), message(everyone, 3, "3"), message(others, 4, "4")}
	a.Send(t, p...)
	a.Expect(t, "the sender", p[1], p[2])
	b.Expect(t, "another peer", p...)
	if c := h.Counts(); c.Received != 4 || c.Actions[policy.BroadcastAll] != 2 || c.Actions[policy.BroadcastExceptSender] != 2 {
		t.Errorf("counts: %+v", c)
	}
}

// An audited policy is limited as well, and its verdicts beyond the limits are counted.
func TestEffectFaultOfTheAudited(t *testing.T) {
	e, err := policy.ParseEffects([]string{"unicast"}, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	h := newHub(commonRules())
	h.SetAudit(policy.NewLimitedGeneration("audited", "", commonRules(), e))
	a, b := hubtest.Join(h), hubtest.Join(h)
	m := message(others, 1, "")
	a.Send(t, m)
	b.Expect(t, "another peer", m)
	rows := h.Audit()
	if len(rows) != 1 || rows[0].Faults != 1 || rows[0].Sent.PDUs != 1 || rows[0].Audited.PDUs != 0 {
		t.Errorf("the audit says %+v, want a fault and nothing sent", rows)
	}
}
