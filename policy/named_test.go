package policy

import (
	"testing"

	"switchyard/pdu"
	"switchyard/policy/abi"
)

// namer is a policy that names pairs.
type namer struct {
	*rules
	pairs []IDs
}

func (n namer) Named() Named { return Named{Pairs: n.pairs} }

// A pair that the policy names is asked about once, for all senders; others are still asked
// about each time.
func TestNamedPairsAreMemoised(t *testing.T) {
	var pairs []IDs
	for c := pdu.CommandID(0x0900); c < 0x0a00; c++ {
		pairs = append(pairs, IDs{Service: 3, Command: c}, IDs{0xffff, c})
	}
	r := always(abi.BroadcastAll)
	g := NewGeneration("test", "", namer{r, pairs})
	before := r.calls.Load()
	for range 3 {
		for _, p := range pairs {
			if v, fault := g.Judge(pdu.Append(nil, p.Service, p.Command, 0, nil), 1, 0); v != abi.BroadcastAll || fault != nil {
				t.Fatalf("Judge = %v, %v", v, fault)
			}
		}
	}
	if got := r.calls.Load() - before; got != int64(len(pairs)) {
		t.Errorf("asked %d times about %d pairs", got, len(pairs))
	}
	before = r.calls.Load()
	for range 3 {
		g.Judge(pdu.Append(nil, 3, 0x0a00, 0, nil), 1, 0)
		g.Judge(pdu.Append(nil, 4, 0x0900, 0, nil), 1, 0)
	}
	if got := r.calls.Load() - before; got != 6 {
		t.Errorf("asked %d times about pairs that nothing names, want 6", got)
	}
	if p := pdu.Append(nil, 0xffff, 0x0900, 0, nil); testing.AllocsPerRun(100, func() { g.Judge(p, 1, 0) }) != 0 {
		t.Error("a PDU of a named pair allocates")
	}
}

// Faults and verdicts that are not allowed are remembered for named pairs too.
func TestNamedPairsRememberExcessAndFaults(t *testing.T) {
	r := &rules{classify: func(_ pdu.ServiceID, c pdu.CommandID) (Verdict, error) {
		if c == 0x0901 {
			return 0, &Fault{Kind: FaultTrap}
		}
		return abi.BroadcastAll, nil
	}}
	g := NewLimitedGeneration("test", "", namer{r, []IDs{{3, 0x0900}, {3, 0x0901}}}, effects(t, []string{"consume"}, nil, "consume"))
	before := r.calls.Load()
	for range 3 {
		wantJudged(t, g, ask(0x0900), abi.Consume, "the action is not in may")
		if v, fault := g.Judge(ask(0x0901), 1, 0); v != Verdict(Drop) || fault == nil || fault.Kind != FaultTrap {
			t.Errorf("Judge = %v, %v; want drop and a trap", v, fault)
		}
	}
	if got := r.calls.Load() - before; got != 2 {
		t.Errorf("asked %d times about two pairs", got)
	}
	outside := g.Outside()
	if last := outside[len(outside)-1]; last.Command != 0x0900 {
		t.Errorf("the last verdict outside of may is %v", last)
	}
}

// More pairs than are kept do not enlarge the memo.
func TestNamedPairsAreBounded(t *testing.T) {
	var pairs []IDs
	for c := range 0x4000 {
		pairs = append(pairs, IDs{0x10, pdu.CommandID(c)})
	}
	if n := newNamedMemo(pairs).size(); n > 2*MaxNamedPairs {
		t.Errorf("%d entries", n)
	}
}

func TestSeenServicesAreBounded(t *testing.T) {
	g := NewGeneration("test", "", always(abi.Consume))
	for s := range pdu.ServiceID(1000) {
		g.Judge(pdu.Append(nil, s, 0x0900, 0, nil), 1, 0)
	}
	if got := g.SeenServices(); len(got) != maxSeen || got[0] != memoServices {
		t.Errorf("services %v", got)
	}
}

func BenchmarkJudgeNamed(b *testing.B) {
	g := NewGeneration("", "", namer{always(abi.BroadcastAll), []IDs{{3, 0x0900}}})
	p := pdu.Append(nil, pdu.SID_MSG, 0x0900, 0, make([]byte, 200))
	b.ReportAllocs()
	for b.Loop() {
		g.Judge(p, 1, 0)
	}
}
