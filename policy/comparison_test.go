package policy_test

import (
	"errors"
	"testing"

	"switchyard/pdu"
	. "switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/policy/policytest"
)

func TestTripwires(t *testing.T) {
	const info, role, status = abi.Handle | abi.OnlineUserInfo<<32, abi.Handle | abi.RoleSet<<32, abi.Handle | abi.UsersStatusRequest<<32
	failed := func(Verdict, Question) (Verdict, error) { return 0, policytest.Trap("trapped") }
	large := func(Verdict, Question) (Verdict, error) {
		return 0, &Fault{Kind: FaultBody, ByLimit: true, Err: errors.New("too large")}
	}
	noRoom := func(Verdict, Question) (Verdict, error) { return 0, policytest.Fault(FaultBody, "no room") }
	says := func(v Verdict) func(Verdict, Question) (Verdict, error) {
		return func(Verdict, Question) (Verdict, error) { return v, nil }
	}
	for name, tt := range map[string]struct {
		stable, candidate func(Verdict, Question) (Verdict, error)
		trip              Trip
	}{
		"another verdict":          {says(abi.BroadcastAll), says(abi.Drop), NoTrip},
		"a fault":                  {says(abi.BroadcastAll), failed, TripFault},
		"a fault of both":          {failed, failed, NoTrip},
		"a fault of the stable":    {failed, says(abi.Drop), NoTrip},
		"a body above the limit":   {says(abi.BroadcastAll), large, NoTrip},
		"no room for a body":       {says(abi.BroadcastAll), noRoom, TripFault},
		"a fault, stable by limit": {large, failed, TripFault},
		"above the limit of both":  {large, large, NoTrip},
		"close":                    {says(abi.BroadcastAll), says(abi.Close), TripClose},
		"close by both":            {says(abi.Close), says(abi.Close), NoTrip},
		"a handler of presence":    {says(abi.BroadcastAll), says(info), TripPresence},
		"no handler of presence":   {says(role), says(abi.BroadcastAll), TripPresence},
		"another one":              {says(role), says(info), TripPresence},
		"a handler that only asks": {says(abi.BroadcastAll), says(status), NoTrip},
	} {
		inspects := policytest.Always(abi.Consume | abi.InspectHeader).OnClassify
		for _, share := range []float64{0, 1} {
			stable, candidate := &policytest.Policy{OnClassify: inspects, OnInspect: tt.stable}, &policytest.Policy{OnClassify: inspects, OnInspect: tt.candidate}
			g, s := stageOf(t, stable, candidate, share)
			wantSide, wantPolicy := Candidate, Policy(candidate)
			if share == 0 || tt.trip != NoTrip {
				wantSide, wantPolicy = Stable, stable
			}
			alone := policytest.Generation(wantPolicy)
			want, wantFault := alone.Judge(from(otherCommand, 1), 1, 0)
			v, fault, c := compared(g, from(otherCommand, 1), 0)
			if v != want || (fault != nil) != (wantFault != nil) || c.Side != wantSide || s.Tripped() != tt.trip {
				t.Errorf("%s, share %v: %v, %v on side %d, tripped by %q; want %v on side %d, tripped by %q", name, share, v, fault, c.Side, s.Tripped(), want, wantSide, tt.trip)
			}
			if _, _, c := compared(g, from(alikeCommand, 1), 0); tt.trip != NoTrip && c.Side != Stable {
				t.Errorf("%s: the candidate is obeyed after the trip", name)
			}
		}
	}
}

// What the operator accepts trips nothing, and a fault or close trips nothing if it is tolerated;
// but the stable generation is obeyed about that PDU.
func TestAcceptedAndTolerated(t *testing.T) {
	g, s := stageOf(t, policytest.Always(abi.BroadcastAll), policytest.Always(abi.Close), 1)
	s.SetRules(&Rules{Accept: map[pdu.CommandID]bool{otherCommand: true}})
	if v, _, c := compared(g, from(otherCommand, 1), 0); v != abi.Close || c.Trip != TripClose || s.Tripped() != NoTrip {
		t.Errorf("accepted: %v, %v", v, s.Tripped())
	}
	if v, _, _ := compared(g, from(alikeCommand, 1), 0); v != abi.BroadcastAll || s.Tripped() != TripClose {
		t.Errorf("not accepted: %v, %v", v, s.Tripped())
	}
	g, s = stageOf(t, policytest.Always(abi.BroadcastAll), policytest.Always(abi.Close), 1)
	s.SetRules(&Rules{TolerateCloses: true})
	if v, _, c := compared(g, from(otherCommand, 1), 0); v != abi.BroadcastAll || c.Trip != TripClose || s.Tripped() != NoTrip {
		t.Errorf("tolerated to close: %v, %v", v, s.Tripped())
	}
	s.SetRules(new(Rules)) // which hold from the next PDU on
	if compared(g, from(otherCommand, 1), 0); s.Tripped() != TripClose {
		t.Errorf("tolerated no longer: %v", s.Tripped())
	}
	fails := &policytest.Policy{OnClassify: func(pdu.ServiceID, pdu.CommandID) (Verdict, error) { return 0, policytest.Trap("trapped") }}
	g, s = stageOf(t, policytest.Always(abi.BroadcastAll), fails, 1)
	s.SetRules(&Rules{TolerateFaults: true})
	if v, fault, c := compared(g, from(otherCommand, 1), 0); v != abi.BroadcastAll || fault != nil || c.Trip != TripFault || s.Tripped() != NoTrip {
		t.Errorf("tolerated: %v, %v, %v", v, fault, s.Tripped())
	}
}

// After a trip the stable generation is obeyed, in every stage of the release.
func TestTripEndsRelease(t *testing.T) {
	g, s := stageOf(t, policytest.Always(abi.BroadcastAll), policytest.Always(abi.Drop), 1)
	next := NewStage(s, 0.99, new(Tally))
	defer next.Release()
	if v, _, _ := compared(g, from(otherCommand, 1), 0); v != abi.Drop {
		t.Errorf("before: %v, want the candidate's", v)
	}
	s.Trip(TripBudget)
	s.Trip(TripStopped)
	for _, g := range []*Generation{g, next} {
		if v, _, c := compared(g, from(otherCommand, 1), 0); v != abi.BroadcastAll || c.Side != Stable || s.Tripped() != TripBudget {
			t.Errorf("after: %v on side %d, tripped by %q", v, c.Side, s.Tripped())
		}
	}
}

// A metered policy inspects everything, and each inspection uses that much fuel.
type metered struct {
	policytest.Policy
	fuel uint64
}

func (m *metered) Reserve(uint64) (Reserved, error) { return meteredInstance{m}, nil }

type meteredInstance struct{ *metered }

func (meteredInstance) Release()       {}
func (i meteredInstance) Fuel() uint64 { return i.fuel }

// The generation that is not obeyed is not called once the quota is used up, until the
// breaker is reset; unless the candidate says what cannot be taken back.
func TestQuota(t *testing.T) {
	inspects := policytest.Always(abi.Consume | abi.InspectHeader).OnClassify
	says := abi.Drop
	m := &metered{Policy: policytest.Policy{OnClassify: inspects}, fuel: 60}
	other := &metered{Policy: policytest.Policy{OnClassify: inspects, OnInspect: func(Verdict, Question) (Verdict, error) { return Verdict(says), nil }}, fuel: 60}
	for share, pair := range map[float64][2]*metered{0: {m, other}, 1: {other, m}} {
		g, s := stageOf(t, pair[0], pair[1], share)
		s.SetRules(&Rules{Quota: 100})
		s.Fuel = 1000
		before := pair[0].Inspected.Load() + pair[1].Inspected.Load()
		for range 10 {
			compared(g, from(otherCommand, 1), 0)
		}
		if got := pair[0].Inspected.Load() + pair[1].Inspected.Load() - before; got != 12 {
			t.Errorf("share %v: %d inspections of 10 PDUs, want 10 and 2 within the quota", share, got)
		}
		_, _, c := compared(g, pdu.Append(nil, pdu.SID_MSG, otherCommand, 1, nil), 0)
		if c.Stable.Asked == c.Candidate.Asked {
			t.Errorf("share %v: both were asked above the quota", share)
		}
		g.ResetBreaker()
		if _, _, c = compared(g, from(otherCommand, 1), 0); !c.Stable.Asked || !c.Candidate.Asked || c.Stable.Fuel != 60 || c.Candidate.Fuel != 60 {
			t.Errorf("share %v: after the reset %+v", share, c)
		}
	}
	unknown := policytest.Always(abi.Drop)
	g, s := stageOf(t, policytest.Always(abi.Consume), unknown, 0)
	s.SetRules(&Rules{Quota: 100})
	s.Fuel = 60
	before := unknown.Classified.Load()
	for range 10 {
		compared(g, from(0x9999, 1), 0)
	}
	if got := unknown.Classified.Load() - before; got != 2 {
		t.Errorf("%d calls by ids beyond the memo, want 2 within the quota", got)
	}
	g, s = stageOf(t, m, other, 1)
	s.SetRules(&Rules{Quota: 1})
	compared(g, from(otherCommand, 1), 0)
	says = abi.Close
	if v, _, c := compared(g, from(otherCommand, 1), 0); v != abi.Consume || !c.Stable.Asked || s.Tripped() != TripClose {
		t.Errorf("close above the quota: %v, %v", v, s.Tripped())
	}
}
