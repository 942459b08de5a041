package hub_test

import (
	"bytes"
	"errors"
	"testing"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/policy/policytest"
	. "switchyard/proxy/hub"
	"switchyard/proxy/hub/hubtest"
)

// A trappingPolicy traps when it classifies service 0x7777.
type trappingPolicy struct{ roleRules }

func (p trappingPolicy) Classify(s pdu.ServiceID, c pdu.CommandID) (policy.Verdict, error) {
	if s == 0x7777 {
		return 0, &policy.Fault{Kind: policy.FaultTrap, Err: errors.New("trap")}
	}
	return p.roleRules.Classify(s, c)
}

// Each PDU is judged once, however many runs a batch is cut into.
func TestJudgedOnce(t *testing.T) {
	g := policytest.Generation(trappingPolicy{roleRules{commonRules()}})
	h := New(policy.NewActive(g), farBehind)
	a := hubtest.Join(h)
	const n = 3 * MaxRuns
	a.Send(t, bytes.Repeat(pdu.Append(nil, 0x7777, 0x7777, 0, nil), n)) // each is a run of its own
	if got := g.Faults(policy.FaultTrap) + g.Faults(policy.FaultBudget); got != n || len(a.Notes) != n {
		t.Errorf("%d faults and %d notes of %d PDUs", got, len(a.Notes), n)
	}
	hubtest.Conserved(t, h)
}

// Lengthy does not call the policy. Where only a call would give the verdict, it says
// that the PDU may be lengthy.
func TestLengthyDoesNotAsk(t *testing.T) {
	r := commonRules()
	r[pdu.CID_MSG_READ_ACK] = abi.Consume | abi.InspectHeader
	g := policytest.Generation(trappingPolicy{roleRules{r}})
	h := New(policy.NewActive(g), farBehind)
	for name, p := range map[string][]byte{
		"inspected": pdu.Append(nil, pdu.SID_MSG, pdu.CID_MSG_READ_ACK, 0, make([]byte, VeryLengthy)),
		"unknown":   pdu.Append(nil, 0x7777, 0x7777, 0, make([]byte, LengthyBytes)),
	} {
		if !h.Lengthy(p, len(p)) {
			t.Errorf("%s: it may be lengthy", name)
		}
	}
	if n := g.Faults(policy.FaultTrap); n != 0 {
		t.Errorf("the policy was asked and failed %d times", n)
	}
}
