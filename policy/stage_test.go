package policy_test

import (
	"encoding/binary"
	"errors"
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
	b := g.Begin(1, 0, nil)
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
		b := g.Begin(1, 0, nil)
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
				b := g.Begin(uint64(i), 0, nil)
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

// An audit compares with whatever single generation is in force, pauses during the stages of
// a release, and closes each policy once.
func TestAuditAndStages(t *testing.T) {
	var policies []*policytest.Policy
	generation := func() *Generation {
		policies = append(policies, policytest.Always(abi.Drop))
		return policytest.Generation(policies[len(policies)-1])
	}
	first, second, audited, next := generation(), generation(), generation(), generation()
	a := NewActive(first)
	inForce := func(when string, stable, candidate *Generation) {
		t.Helper()
		g := a.Acquire()
		defer g.Release()
		if g.Obeyed(Stable) != stable || (g.Stage() != nil) != (candidate != nil) || candidate != nil && g.Stage().Split.Candidate != candidate {
			t.Errorf("%s: another generation is in force, or audited", when)
		}
	}
	tally := new(Tally)
	a.SetAudit(audited, tally)
	inForce("an audit begins", first, audited)
	if a.Audit() != tally {
		t.Error("the audit counts elsewhere")
	}
	split := &Split{Stable: first, Candidate: second}
	a.Install(NewStage(split, 1, new(Tally)))
	inForce("a release begins", first, second)
	a.SetAudit(next, tally)
	inForce("another policy is audited during the release", first, second)
	a.Install(second)
	inForce("the release is done", second, next)
	a.SetAudit(nil, nil)
	inForce("the audit ends", second, nil)
	a.Close()
	a.SetAudit(nil, nil)
	for i, p := range policies {
		if n := p.Closed.Load(); n != 1 {
			t.Errorf("policy %d was closed %d times", i, n)
		}
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
	s.SetRules(&Rules{TolerateFaults: true})
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
	inspects := policytest.Always(abi.Consume | abi.InspectHeader).OnClassify
	byIDs, _ := stageOf(t, policytest.Always(abi.BroadcastAll), policytest.Always(abi.Drop), 0.5)
	inspected, _ := stageOf(t, &metered{Policy: policytest.Policy{OnClassify: inspects}}, &metered{Policy: policytest.Policy{OnClassify: inspects}, fuel: 1}, 0.5)
	var c Comparison
	p := from(otherCommand, 3)
	for name, g := range map[string]*Generation{"by ids": byIDs, "inspected": inspected} {
		if got := testing.AllocsPerRun(100, func() {
			b := g.Begin(1, 0, nil)
			b.Compare(&c, 1)
			b.Judge(p)
			b.Release()
		}); got != 0 {
			t.Errorf("%s: %v allocations", name, got)
		}
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
			batch := bench.g.Begin(1, 0, nil)
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
