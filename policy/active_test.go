package policy

import (
	"fmt"
	"sync"
	"testing"

	"switchyard/pdu"
	"switchyard/policy/abi"
)

// TryAcquire returns the generation in force, and nil after Close.
func TestTryAcquire(t *testing.T) {
	j := NewActive(NewGeneration("first", "", always(abi.Drop)))
	if g := j.TryAcquire(); g == nil || g.Name != "first" {
		t.Fatalf("got %+v", g)
	} else {
		g.Release()
	}
	var acquiring sync.WaitGroup
	for range 4 {
		acquiring.Go(func() {
			for g := j.TryAcquire(); g != nil; g = j.TryAcquire() {
				g.Classify(pdu.SID_MSG, 0xffff)
				g.Release()
			}
		})
	}
	for i := range 200 {
		j.Install(NewGeneration(fmt.Sprint(i), "", always(abi.Consume)))
	}
	j.Close()
	acquiring.Wait() // ends only if TryAcquire returns nil after Close
	if g := j.TryAcquire(); g != nil {
		t.Errorf("after Close: %+v", g)
	}
}

// Enforce returns what Judge would return, and counts nothing.
func TestEnforce(t *testing.T) {
	g := NewLimitedGeneration("test", "", always(abi.Consume), effects(t, []string{"unicast"}, nil, "close"))
	before := g.Faults(FaultEffect)
	v, fault := g.Enforce(pdu.SID_MSG, pdu.CID_MSG_DATA, abi.BroadcastAll)
	if v != abi.Close || fault == nil || fault.Kind != FaultEffect || g.Faults(FaultEffect) != before {
		t.Errorf("got %v, %v and %d faults more", v, fault, g.Faults(FaultEffect)-before)
	}
	if v, fault := g.Enforce(pdu.SID_MSG, pdu.CID_MSG_DATA, abi.Unicast); v != abi.Unicast || fault != nil {
		t.Errorf("got %v, %v", v, fault)
	}
	if g.Policy() == nil {
		t.Error("there is no policy")
	}
}
