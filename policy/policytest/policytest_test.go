//go:build full || race

package policytest_test

import (
	"errors"
	"testing"

	"switchyard/pdu"
	"switchyard/pdu/pdutest"
	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/policy/policytest"
)

var (
	data  = pdutest.Raw(pdu.CID_MSG_DATA, 1, []byte("body"))
	other = pdutest.Heartbeat()
)

func wantJudged(t *testing.T, g *policy.Generation, p []byte, want policy.Verdict) {
	t.Helper()
	if v, fault := g.Judge(p, 1, 0); v != want || fault != nil {
		t.Errorf("Judge = %v, %v; want %v", v, fault, want)
	}
}

func TestRules(t *testing.T) {
	g := policytest.Generation(policytest.Rules{pdu.CID_MSG_DATA: abi.BroadcastAll | abi.Log | abi.InspectBodyOf})
	defer g.Release()
	wantJudged(t, g, data, abi.BroadcastAll|abi.Log)
	wantJudged(t, g, other, abi.Drop)
}

func TestPolicy(t *testing.T) {
	p := policytest.Always(abi.Consume | abi.InspectHeader)
	active := policytest.Active(p)
	g := active.Acquire()
	wantJudged(t, g, data, abi.Consume)
	p.OnInspect = func(byIDs policy.Verdict, q policy.Question) (policy.Verdict, error) {
		if string(q.Body) == "body" {
			return 0, policytest.Trap("body")
		}
		return abi.Close, nil
	}
	wantJudged(t, g, other, abi.Close)
	if v, fault := g.Judge(data, 1, 0); v != abi.Consume || fault == nil || fault.Kind != policy.FaultTrap {
		t.Errorf("Judge = %v, %v; want consume and a trap", v, fault)
	}
	if c, i := p.Classified.Load(), p.Inspected.Load(); c != int64(len(pdu.Commands)) || i != 3 {
		t.Errorf("%d calls by ids, %d inspections; want %d, 3", c, i, len(pdu.Commands))
	}
	g.Release()
	if n := p.Closed.Load(); n != 0 {
		t.Errorf("closed %d times while in force", n)
	}
	active.Close()
	if n := p.Closed.Load(); n != 1 {
		t.Errorf("closed %d times, want once", n)
	}
}

func TestZeroPolicyDrops(t *testing.T) {
	wantJudged(t, policytest.Generation(new(policytest.Policy)), data, abi.Drop)
}

func TestFault(t *testing.T) {
	fault, ok := errors.AsType[*policy.Fault](policytest.Fault(policy.FaultFuel, "too long"))
	if !ok || fault.Kind != policy.FaultFuel || fault.Err.Error() != "too long" {
		t.Errorf("got %v", fault)
	}
}
