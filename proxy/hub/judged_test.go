package hub

import (
	"bytes"
	"errors"
	"testing"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/abi"
)

// A speechless policy is one that fails whenever it is asked about ids that nobody knows.
type speechless struct{ rules }

func (p speechless) Classify(s pdu.ServiceID, c pdu.CommandID) (policy.Verdict, error) {
	if s == 0x7777 {
		return 0, &policy.Fault{Kind: policy.FaultTrap, Err: errors.New("nothing comes to its mind")}
	}
	return p.rules.Classify(s, c)
}

// The policy is asked about each PDU once, however many different fates those of a batch
// have.
func TestJudgedOnce(t *testing.T) {
	g := policy.NewGeneration("test", "", speechless{commonRules()})
	h := New(policy.NewActive(g), farBehind)
	a := join(h)
	const n = 3 * maxRuns
	a.say(t, bytes.Repeat(pdu.Append(nil, 0x7777, 0x7777, 0, nil), n)) // each is a run of its own
	if got := g.Faults(policy.FaultTrap) + g.Faults(policy.FaultBudget); got != n || len(a.notes) != n {
		t.Errorf("%d faults and %d notes of %d PDUs", got, len(a.notes), n)
	}
	sum(t, h)
}

// Whether something is lengthy is known without the policy being asked; where only asking
// it would tell, nobody has to wait for what comes of it.
func TestLengthyDoesNotAsk(t *testing.T) {
	r := commonRules()
	r[pdu.CID_MSG_READ_ACK] = abi.Consume | abi.InspectHeader
	g := policy.NewGeneration("test", "", speechless{r})
	h := New(policy.NewActive(g), farBehind)
	for name, p := range map[string][]byte{
		"inspected":       pdu.Append(nil, pdu.SID_MSG, pdu.CID_MSG_READ_ACK, 0, make([]byte, veryLengthy)),
		"known by nobody": pdu.Append(nil, 0x7777, 0x7777, 0, make([]byte, lengthy)),
	} {
		if !h.Lengthy(p, len(p)) {
			t.Errorf("%s: it could be", name)
		}
	}
	if n := g.Faults(policy.FaultTrap); n != 0 {
		t.Errorf("the policy was asked and failed %d times", n)
	}
}
