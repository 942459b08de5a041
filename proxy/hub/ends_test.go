package hub_test

import (
	"fmt"
	"testing"

	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/policy/policytest"
	. "switchyard/proxy/hub"
	"switchyard/proxy/hub/hubtest"
)

// Sessions that end in a stage of connections are counted by the side of their peer, but for those
// that the server or an operator ends.
func TestEndsOfSessions(t *testing.T) {
	for _, unit := range []policy.Unit{policy.UnitUser, policy.UnitConnection} {
		split := &policy.Split{Stable: policytest.Generation(policytest.Always(abi.BroadcastAll)), Candidate: policytest.Generation(policytest.Always(abi.Drop)), Salt: 3, Unit: unit}
		tally := new(policy.Tally)
		h := New(policy.NewActive(policy.NewStage(split, 0.5, tally)), farBehind)
		var want [2]uint64
		on := policy.NewStage(split, 0.5, new(policy.Tally)).Stage()
		var peers []*hubtest.Peer
		for i := range 20 {
			name := fmt.Sprintf("10.0.0.%d", i)
			p := hubtest.Join(h)
			p.SetIdentity(name)
			peers = append(peers, p)
			if side := on.ConnectionSide(policy.ConnectionKey(name)); side != policy.Alike {
				want[side-policy.Stable]++
			}
		}
		health := h.Connect(&hubtest.Peer{}, nil)
		health.SetIdentity("10.0.0.1")
		if got, want := h.CandidateShare(on), float64(want[1])/20; got != want {
			t.Errorf("%v of the sessions are on the candidate's side, want %v", got, want)
		}
		for i, p := range peers {
			p.Leave([]Reason{PeerReset, PeerClosed, SlowConsumer, WriteTimeout, IdleTimeout}[i%5])
		}
		h.Leave(health)
		health.Release(PeerClosed) // it was not a session yet
		for _, why := range []Reason{Drained, RolledBack, Forced, Handover, NotAllowed, ClosedBy} {
			p := hubtest.Join(h)
			p.SetIdentity("10.0.0.1")
			p.Leave(why)
		}
		if got := h.Weighed(tally).Ended; got != want || (unit == policy.UnitConnection) != (want[0] > 4 && want[1] > 4) {
			t.Errorf("unit %d: %v have ended, want %v", unit, got, want)
		}
	}
}
