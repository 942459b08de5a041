package policy_test

import (
	"encoding/binary"
	"errors"
	"math"
	"sync"
	"testing"

	"switchyard/pdu"
	. "switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/policy/policytest"
)

const (
	alikeCommand = pdu.CID_MSG_DATA
	otherCommand = pdu.CID_MSG_READ_NOTIFY
)

// users says that every message command has its user in field 1.
func users() *UserFields {
	u := new(UserFields)
	for c := range pdu.CommandID(0x100) {
		u[0x0300+c] = 1
	}
	return u
}

// from returns a PDU about the user.
func from(c pdu.CommandID, user uint32) []byte {
	return pdu.Append(nil, pdu.SID_MSG, c, 1, binary.AppendUvarint([]byte{1 << 3}, uint64(user)))
}

// stageOf returns a stage of both policies, which are closed when it is released.
func stageOf(t testing.TB, stable, candidate Policy, share float64) (*Generation, *Split) {
	s := &Split{Stable: policytest.Generation(stable), Candidate: policytest.Generation(candidate), Salt: 7, Users: users()}
	g := NewStage(s, share, new(Tally))
	s.Stable.Release()
	s.Candidate.Release()
	t.Cleanup(g.Release)
	return g, s
}

// compared judges p by the stage and returns the comparison.
func compared(g *Generation, p []byte, connection uint64) (v Verdict, fault *Fault, c Comparison) {
	b := g.Begin(1, 0)
	defer b.Release()
	b.Compare(&c, connection)
	v, fault = b.Judge(p)
	return v, fault, c
}

func TestStageMemo(t *testing.T) {
	stable := policytest.Rules{alikeCommand: abi.BroadcastAll, otherCommand: abi.BroadcastAll, 0x0305: abi.BroadcastAll | abi.InspectHeader}
	candidate := policytest.Rules{alikeCommand: abi.BroadcastAll, otherCommand: abi.BroadcastAll | abi.Log, 0x0305: abi.BroadcastAll | abi.InspectHeader}
	g, _ := stageOf(t, stable, candidate, 1)
	for c, want := range map[pdu.CommandID]int{alikeCommand: 0, 0x0309: 0, 0x07ff: 0, otherCommand: 1, 0x0305: 1, 0x9999: 1} {
		b := g.Begin(1, 0)
		var both Comparison
		b.Compare(&both, 0)
		got, fault := b.Judge(from(c, 1))
		b.Release()
		if v, found := g.Recall(pdu.SID_MSG, c); b.Affected() != want || found != (want == 0) || fault != nil {
			t.Errorf("%v: %d affected PDUs, want %d; the memo has %v, %v; %v", c, b.Affected(), want, v, found, fault)
		}
		if want := policytest.Final(candidate[c]); got != want {
			t.Errorf("%v: %v, want %v", c, got, want)
		}
	}
	if g.Name != "test" || g.Stage() == nil || g.Obeyed(Candidate) == g.Obeyed(Stable) {
		t.Error("the stage does not name its generations")
	}
}

// Rows on which both agree, and rows with different verdicts by ids, never ask a policy
// twice.
func TestStageAsksOnce(t *testing.T) {
	stable, candidate := policytest.Always(abi.BroadcastAll), policytest.Always(abi.Drop)
	g, _ := stageOf(t, stable, candidate, 0.5)
	before := stable.Classified.Load() + candidate.Classified.Load()
	for user := range uint32(100) {
		g.Judge(from(otherCommand, user), 1, 0)
		g.Judge(pdu.Append(nil, pdu.SID_MSG, 0x03ee, 1, nil), 1, 0) // not in the protocol
	}
	if got := stable.Classified.Load() + candidate.Classified.Load() - before; got != 2 {
		t.Errorf("%d calls for 200 PDUs, want one each for the new ids", got)
	}
}

// A unit stays on its side while the share grows and when its connection changes, and
// another release has other units first.
func TestSplitIsMonotoneAndSticky(t *testing.T) {
	const units = 100_000
	s := &Split{Stable: policytest.Generation(policytest.Always(abi.BroadcastAll)), Candidate: policytest.Generation(policytest.Always(abi.Drop)), Salt: 1, Users: users()}
	obeysCandidate := func(s *Split, share float64, connection uint64) []bool {
		g := NewStage(s, share, new(Tally))
		defer g.Release()
		in := make([]bool, units)
		b := g.Begin(1, 0)
		defer b.Release()
		var c Comparison
		b.Compare(&c, connection)
		for user := range in {
			b.Judge(from(otherCommand, uint32(user)))
			in[user] = c.Side == Candidate
		}
		return in
	}
	var before []bool
	for _, share := range []float64{0, 0.01, 0.1, 0.5, 1} {
		in, n := obeysCandidate(s, share, 1), 0
		for user, is := range in {
			if is {
				n++
			} else if before != nil && before[user] {
				t.Fatalf("user %d left the candidate when the share grew to %v", user, share)
			}
		}
		if got := float64(n) / units; math.Abs(got-share) > 0.003 {
			t.Errorf("share %v: %v of the users", share, got)
		}
		before = in
	}
	first, again := obeysCandidate(s, 0.1, 1), obeysCandidate(s, 0.1, 2)
	second := obeysCandidate(&Split{Stable: s.Stable, Candidate: s.Candidate, Salt: 2, Users: users()}, 0.1, 1)
	both := 0
	for user := range first {
		if first[user] != again[user] {
			t.Fatalf("user %d depends on the connection", user)
		}
		if first[user] && second[user] {
			both++
		}
	}
	if both > units*2/100 {
		t.Errorf("%d of %d users are the first of both releases", both, units/10)
	}
	s.Stable.Release()
	s.Candidate.Release()
}

// What a PDU belongs to: the first value of its user field, else its connection.
func TestSplitUnit(t *testing.T) {
	body := func(b string) []byte { return pdu.Append(nil, pdu.SID_MSG, otherCommand, 1, []byte(b)) }
	g, s := stageOf(t, policytest.Always(abi.BroadcastAll), policytest.Always(abi.Drop), 0.5)
	side := func(p []byte, connection uint64) Side {
		_, _, c := compared(g, p, connection)
		return c.Side
	}
	same := func(name string, p []byte, user uint32) {
		t.Helper()
		for connection := range uint64(20) {
			if side(p, connection) != side(from(otherCommand, user), 0) {
				t.Fatalf("%s does not go by user %d", name, user)
			}
		}
	}
	same("field 1", body("\x08\x05"), 5)
	same("field 1 behind others", body("\x12\x02ab\x15abcd\x19abcdefgh\x18\x07\x08\x06"), 6)
	same("field 1 twice", body("\x08\x03\x08\x04"), 3)
	for _, p := range [][]byte{
		body(""), body("\x10\x05"), body("\x08"), body("\x08\xff"), body("\x12\x7fab"), body("\x0b\x08\x05"), body("\x0a\x05"), body("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
		pdu.Append(nil, pdu.SID_OTHER, 0x9999, 1, []byte("\x08\x05")),
	} {
		sides := 0
		for connection := range uint64(20) {
			if side(p, connection) == Candidate {
				sides++
			}
		}
		if sides == 0 || sides == 20 {
			t.Errorf("% x does not go by its connection: %d of 20 obey the candidate", p[pdu.HeaderLen:], sides)
		}
	}
	s.Unit = UnitConnection
	if side(from(otherCommand, 1), ConnectionKey("a")) == Candidate != (side(from(otherCommand, 2), ConnectionKey("a")) == Candidate) {
		t.Error("the user matters although the connection is the unit")
	}
}

// The smallest share of few connections has one of those that the release affects.
func TestSplitOfFewConnections(t *testing.T) {
	s := &Split{Stable: policytest.Generation(policytest.Always(abi.BroadcastAll)), Candidate: policytest.Generation(policytest.Always(abi.Drop)), Unit: UnitConnection}
	defer s.Stable.Release()
	defer s.Candidate.Release()
	peers := []uint64{ConnectionKey("msg-1"), ConnectionKey("msg-2"), ConnectionKey("msg-3")}
	count := func(g *Generation) (n int) {
		defer g.Release()
		for _, peer := range peers {
			if _, _, c := compared(g, from(otherCommand, 1), peer); c.Side == Candidate {
				n++
			}
		}
		return n
	}
	if n := count(NewStage(s, 0, new(Tally))); n != 0 {
		t.Errorf("%d peers obey the candidate in shadow", n)
	}
	g := NewStage(s, 0.000001, new(Tally))
	if g.Stage().EffectiveShare() <= 0.000001 {
		t.Errorf("effective share %v", g.Stage().EffectiveShare())
	}
	if n := count(g); n != 1 {
		t.Errorf("%d of 3 peers obey the candidate, want 1", n)
	}
}

func TestTripwires(t *testing.T) {
	const info, role, status = abi.Handle | abi.OnlineUserInfo<<32, abi.Handle | abi.RoleSet<<32, abi.Handle | abi.UsersStatusRequest<<32
	failed := func(Verdict, Question) (Verdict, error) { return 0, policytest.Trap("trapped") }
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

// What the operator accepts trips nothing, and a fault trips nothing if it is tolerated;
// but the stable generation is obeyed about a PDU on which the candidate fails.
func TestAcceptedAndTolerated(t *testing.T) {
	g, s := stageOf(t, policytest.Always(abi.BroadcastAll), policytest.Always(abi.Close), 1)
	s.Accept = map[pdu.CommandID]bool{otherCommand: true}
	if v, _, c := compared(g, from(otherCommand, 1), 0); v != abi.Close || c.Trip != TripClose || s.Tripped() != NoTrip {
		t.Errorf("accepted: %v, %v", v, s.Tripped())
	}
	if v, _, _ := compared(g, from(alikeCommand, 1), 0); v != abi.BroadcastAll || s.Tripped() != TripClose {
		t.Errorf("not accepted: %v, %v", v, s.Tripped())
	}
	fails := &policytest.Policy{OnClassify: func(pdu.ServiceID, pdu.CommandID) (Verdict, error) { return 0, policytest.Trap("trapped") }}
	g, s = stageOf(t, policytest.Always(abi.BroadcastAll), fails, 1)
	s.TolerateFaults = true
	if v, fault, c := compared(g, from(otherCommand, 1), 0); v != abi.BroadcastAll || fault != nil || c.Trip != TripFault || s.Tripped() != NoTrip {
		t.Errorf("tolerated: %v, %v, %v", v, fault, s.Tripped())
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
		s.Quota, s.Fuel = 100, 1000
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
	g, s := stageOf(t, m, other, 1)
	s.Quota = 1
	compared(g, from(otherCommand, 1), 0)
	says = abi.Close
	if v, _, c := compared(g, from(otherCommand, 1), 0); v != abi.Consume || !c.Stable.Asked || s.Tripped() != TripClose {
		t.Errorf("close above the quota: %v, %v", v, s.Tripped())
	}
}

// Few instances of two policies are reserved by many goroutines at once. If each kept one
// and waited for one of the other policy, they would wait for ever.
func TestStageReservationsDoNotDeadlock(t *testing.T) {
	inspects := func(s pdu.ServiceID, c pdu.CommandID) (Verdict, error) {
		return abi.BroadcastAll | abi.InspectHeader, nil
	}
	newSlots := func() *slots {
		return &slots{Policy: policytest.Policy{OnClassify: inspects}, free: make(chan struct{}, 2)}
	}
	stable, candidate := newSlots(), newSlots()
	g, _ := stageOf(t, stable, candidate, 0.5)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for n := range 200 {
				b := g.Begin(uint64(i), 0)
				var c Comparison
				b.Compare(&c, uint64(i))
				for k := range 6 {
					b.Judge(from(otherCommand, uint32(n*k)))
					if k == 3 {
						b.Judge(pdu.Append(nil, pdu.SID_MSG, pdu.CommandID(0x1000+n), 1, nil)) // asks by ids
					}
				}
				b.Release()
			}
		})
	}
	all.Wait()
	if len(stable.free)+len(candidate.free) != 0 {
		t.Error("an instance was not given back")
	}
}

// A slots is a policy with two instances, of which a question by ids takes one as well.
type slots struct {
	policytest.Policy
	free chan struct{}
}

func (p *slots) Classify(s pdu.ServiceID, c pdu.CommandID) (Verdict, error) {
	p.free <- struct{}{}
	defer func() { <-p.free }()
	return p.Policy.Classify(s, c)
}

func (p *slots) Reserve(uint64) (Reserved, error) {
	p.free <- struct{}{}
	return reservedSlot{p}, nil
}

type reservedSlot struct{ *slots }

func (r reservedSlot) Release() { <-r.free }

// A stage keeps its generations, and gives them back once.
func TestStageIsClosed(t *testing.T) {
	stable, candidate := policytest.Always(abi.Drop), policytest.Always(abi.Consume)
	s := &Split{Stable: policytest.Generation(stable), Candidate: policytest.Generation(candidate)}
	a := NewActive(NewStage(s, 0, new(Tally)))
	s.Stable.Release()
	s.Candidate.Release()
	held := a.Acquire()
	next := NewStage(s, 0.5, new(Tally))
	if !s.Stable.Acquire() {
		t.Fatal("the stage does not keep the stable generation")
	}
	a.Install(next)
	held.Release()
	a.Install(s.Stable) // back to the warm one
	if candidate.Closed.Load() != 1 || stable.Closed.Load() != 0 {
		t.Errorf("closed: candidate %d, stable %d times", candidate.Closed.Load(), stable.Closed.Load())
	}
	a.Close()
	if stable.Closed.Load() != 1 {
		t.Errorf("the stable policy was closed %d times", stable.Closed.Load())
	}
}

// Faults that say nothing about the ids do not mark the row.
func TestStageRetriesAfterPassingFaults(t *testing.T) {
	passing := errors.New("no instance")
	candidate := &policytest.Policy{OnClassify: func(pdu.ServiceID, pdu.CommandID) (Verdict, error) {
		if passing != nil {
			return 0, &Fault{Kind: FaultInstance, Err: passing}
		}
		return abi.BroadcastAll, nil
	}}
	g, s := stageOf(t, policytest.Always(abi.BroadcastAll), candidate, 0)
	s.TolerateFaults = true
	passing = nil
	g.ResetBreaker()
	if _, _, c := compared(g, from(otherCommand, 1), 0); c.Stable.Asked {
		t.Error("the row is affected")
	}
	if _, found := g.Recall(pdu.SID_MSG, otherCommand); !found {
		t.Error("the memo does not hold what both say")
	}
}

func TestNoAllocationInStage(t *testing.T) {
	g, _ := stageOf(t, policytest.Always(abi.BroadcastAll), policytest.Always(abi.Drop), 0.5)
	var c Comparison
	p := from(otherCommand, 3)
	if got := testing.AllocsPerRun(100, func() {
		b := g.Begin(1, 0)
		b.Compare(&c, 1)
		b.Judge(p)
		b.Release()
	}); got != 0 {
		t.Errorf("%v allocations", got)
	}
}

func BenchmarkStage(b *testing.B) {
	rules := policytest.Rules{alikeCommand: abi.BroadcastAll, otherCommand: abi.BroadcastAll}
	split, _ := stageOf(b, rules, policytest.Rules{alikeCommand: abi.BroadcastAll}, 0.5)
	plain := policytest.Generation(rules)
	defer plain.Release()
	for _, bench := range []struct {
		name string
		g    *Generation
		c    pdu.CommandID
	}{{"plain", plain, alikeCommand}, {"alike", split, alikeCommand}, {"affected", split, otherCommand}} {
		b.Run(bench.name, func(b *testing.B) {
			p := from(bench.c, 3)
			batch := bench.g.Begin(1, 0)
			var c Comparison
			batch.Compare(&c, 1)
			for b.Loop() {
				batch.Judge(p)
			}
		})
	}
	b.Run("make", func(b *testing.B) {
		s := split.Stage().Split
		for b.Loop() {
			NewStage(s, 0.5, nil).Release()
		}
	})
}
