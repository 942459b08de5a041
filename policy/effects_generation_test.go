package policy

import (
	"errors"
	"sync"
	"testing"

	"switchyard/pdu"
	"switchyard/policy/abi"
)

func ask(c pdu.CommandID) []byte { return pdu.Append(nil, pdu.SID_MSG, c, 0, []byte("body")) }

// wantJudged fails unless the generation decides so about the PDU; limit is "" for
// no fault.
func wantJudged(t testing.TB, g *Generation, p []byte, want Verdict, limit string) {
	t.Helper()
	v, fault := g.Judge(p, 1, 0)
	if v != want || (fault == nil) != (limit == "") {
		t.Fatalf("Judge = %v, %v; want %v, %q", v, fault, want, limit)
	}
	if fault == nil {
		return
	}
	x, ok := errors.AsType[*Excess](fault)
	if !ok || fault.Kind != FaultEffect || x.Limit != limit {
		t.Fatalf("fault %v of kind %q, want one of kind effect for %q", fault, fault.Kind, limit)
	}
}

// A verdict by ids that is not allowed is replaced by may_else.
func TestLimitByIDs(t *testing.T) {
	for _, tt := range []struct {
		says      Verdict
		may       []string
		otherwise string
		want      Verdict
		limit     string
	}{
		{abi.BroadcastAll, []string{"unicast"}, "", abi.Drop, "the action is not in may"},
		{abi.BroadcastAll, []string{"unicast"}, "drop", abi.Drop, "the action is not in may"},
		{abi.BroadcastAll | abi.Log, []string{"unicast"}, "consume", abi.Consume, "the action is not in may"},
		{abi.BroadcastAll, []string{"unicast"}, "close", abi.Close, "the action is not in may"},
		{abi.BroadcastAll, []string{"unicast"}, "broadcast-except-sender", abi.BroadcastExceptSender, "the action is not in may"},
		{abi.Close, []string{"unicast"}, "broadcast-all", abi.BroadcastAll, "the action is not in may"},
		{handler(abi.RoleSet), []string{"handle online-user-info"}, "consume", abi.Consume, "the handler is not in may"},
		{shapes['F'], []string{"unicast"}, "", abi.Drop, "else-broadcast takes broadcast-except-sender, which is not in may"},
		{shapes['F'], []string{"unicast", "broadcast-except-sender"}, "", shapes['F'], ""},
		{abi.Drop | abi.Log, []string{"unicast"}, "close", abi.Drop | abi.Log, ""},
		{abi.Close, []string{"close"}, "consume", abi.Close, ""},
	} {
		r := always(tt.says)
		g := NewLimitedGeneration("test", "", r, effects(t, tt.may, nil, tt.otherwise))
		before, asked := g.Faults(FaultEffect), r.calls.Load()
		for range 3 {
			wantJudged(t, g, ask(pdu.CID_MSG_DATA), tt.want, tt.limit)
			wantJudged(t, g, ask(0x07fe), tt.want, tt.limit) // unknown, and in the memo
		}
		if got := r.calls.Load() - asked; got != 1 {
			t.Errorf("asked %d times, want once", got)
		}
		want := uint64(1)
		if tt.limit == "" {
			want = 0
		}
		if got := g.Faults(FaultEffect) - before; got != want {
			t.Errorf("counted %d faults, want %d", got, want)
		}
	}
}

func TestLimitOfCommands(t *testing.T) {
	g := NewLimitedGeneration("test", "", always(abi.Consume), effects(t, nil, []string{"CID_MSG_DATA", "0x0800-0x08ff"}, "close"))
	const limit = "the command is not in may_commands"
	for range 2 {
		wantJudged(t, g, ask(pdu.CID_MSG_DATA), abi.Consume, "")
		wantJudged(t, g, pdu.Append(nil, pdu.SID_FILE, pdu.CID_MSG_DATA, 0, nil), abi.Consume, "")
		wantJudged(t, g, ask(pdu.CID_MSG_READ_ACK), abi.Close, limit)
		wantJudged(t, g, ask(0x07ff), abi.Close, limit)
		wantJudged(t, g, ask(0x0800), abi.Consume, "")
		wantJudged(t, g, ask(0xffff), abi.Close, limit)
	}
}

// For ids outside the memo the policy is called each time, and limited each time.
func TestLimitOutsideTheMemo(t *testing.T) {
	r := always(abi.BroadcastAll)
	g := NewLimitedGeneration("test", "", r, effects(t, []string{"unicast"}, nil, "consume"))
	before, asked := g.Faults(FaultEffect), r.calls.Load()
	for range 10 * breakerLimit {
		wantJudged(t, g, pdu.Append(nil, 0xffff, 0xffff, 0, nil), abi.Consume, "the action is not in may")
	}
	if n, m := g.Faults(FaultEffect)-before, r.calls.Load()-asked; n != 10*breakerLimit || m != 10*breakerLimit {
		t.Errorf("counted %d faults of %d calls, want %d of each", n, m, 10*breakerLimit)
	}
}

// Verdicts of inspections are limited as well, and do not open the circuit breaker.
func TestLimitOfInspections(t *testing.T) {
	says := Verdict(abi.Close)
	r := always(abi.Consume | abi.InspectBodyOf)
	r.inspect = func(Verdict, Question) (Verdict, error) { return says, nil }
	g := NewLimitedGeneration("test", "", r, effects(t, []string{"consume", "unicast"}, nil, "broadcast-all"))
	for range 10 * breakerLimit {
		wantJudged(t, g, ask(pdu.CID_MSG_DATA), abi.BroadcastAll, "the action is not in may")
	}
	if got := g.Faults(FaultEffect); got != 10*breakerLimit {
		t.Errorf("counted %d faults, want %d", got, 10*breakerLimit)
	}
	says = abi.Unicast
	wantJudged(t, g, ask(pdu.CID_MSG_DATA), abi.Unicast, "")
	if got := g.Faults(FaultBudget); got != 0 {
		t.Errorf("%d PDUs were not asked about", got)
	}
}

// A verdict by ids that is not allowed is not used as a fallback either, and causes no inspection.
func TestLimitOfWhatHappensIfInspectionFails(t *testing.T) {
	r := always(abi.BroadcastAll | abi.InspectHeader)
	r.inspect = func(Verdict, Question) (Verdict, error) {
		t.Error("inspected")
		return 0, nil
	}
	g := NewLimitedGeneration("test", "", r, effects(t, []string{"consume"}, nil, "close"))
	wantJudged(t, g, ask(pdu.CID_MSG_DATA), abi.Close, "the action is not in may")

	r = always(abi.Consume | abi.InspectHeader)
	r.inspect = func(Verdict, Question) (Verdict, error) {
		return abi.BroadcastAll, &Fault{Kind: FaultTrap, Err: errors.New("!")}
	}
	g = NewLimitedGeneration("test", "", r, effects(t, []string{"consume"}, nil, "close"))
	for range 2 * breakerLimit {
		if v, fault := g.Judge(ask(pdu.CID_MSG_DATA), 1, 0); v != abi.Consume || fault == nil || fault.Kind == FaultEffect {
			t.Fatalf("Judge = %v, %v; want consume and the guest's own fault", v, fault)
		}
	}
}

// If classify fails, the PDU is dropped, as without limits.
func TestLimitLeavesOtherFaults(t *testing.T) {
	for _, kind := range FaultKinds {
		r := &rules{classify: func(pdu.ServiceID, pdu.CommandID) (Verdict, error) {
			return abi.BroadcastAll, &Fault{Kind: kind, Err: errors.New("!")}
		}}
		for _, e := range []*Effects{nil, effects(t, []string{"consume"}, nil, "")} {
			g := NewLimitedGeneration("test", "", r, e)
			for range 2 {
				if v, fault := g.Judge(ask(pdu.CID_MSG_DATA), 1, 0); v != Verdict(Drop) || fault == nil {
					t.Errorf("%s: Judge = %v, %v; want drop and a fault", kind, v, fault)
				}
			}
		}
	}
}

func TestFaultSaysWhatTheVerdictIsMoreThan(t *testing.T) {
	g := NewLimitedGeneration("test", "", always(abi.BroadcastAll|abi.Log), effects(t, []string{"unicast"}, nil, ""))
	const want = "policy fault (effect): broadcast-all, log for CID_MSG_DATA is more than the policy may do: the action is not in may; add it there, or change the policy"
	for range 2 {
		if _, fault := g.Judge(ask(pdu.CID_MSG_DATA), 1, 0); fault.Error() != want {
			t.Errorf("the fault says\n%s\nwant\n%s", fault, want)
		}
	}
}

func TestOutside(t *testing.T) {
	r := &rules{classify: func(_ pdu.ServiceID, c pdu.CommandID) (Verdict, error) {
		switch c {
		case pdu.CID_FILE_NOTIFY:
			return abi.BroadcastAll | abi.InspectHeader, nil
		case pdu.CID_MSG_DATA:
			return abi.Close, nil
		case pdu.CID_OTHER_HEARTBEAT:
			return 0, &Fault{Kind: FaultTrap, Err: errors.New("!")}
		}
		return abi.Consume, nil
	}}
	g := NewLimitedGeneration("test", "", r, effects(t, []string{"consume"}, nil, "close"))
	got := g.Outside()
	want := []Excess{
		{pdu.SID_MSG, pdu.CID_MSG_DATA, abi.Close, "the action is not in may"},
		{pdu.SID_FILE, pdu.CID_FILE_NOTIFY, abi.BroadcastAll | abi.InspectHeader, "the action is not in may"},
	}
	if len(got) != len(want) {
		t.Fatalf("Outside = %v, want %v", got, want)
	}
	for i, x := range got {
		if *x != want[i] {
			t.Errorf("Outside has %v, want %v", x, want[i])
		}
	}
	if got := NewGeneration("test", "", r).Outside(); got != nil {
		t.Errorf("without limits Outside = %v", got)
	}
}

// Goroutines that fill the same entries of the memo at once all see the same verdict and a
// complete fault.
func TestLimitUnderLoad(t *testing.T) {
	r := &rules{classify: func(_ pdu.ServiceID, c pdu.CommandID) (Verdict, error) {
		return Verdict(c%2) * abi.BroadcastAll, nil
	}}
	g := NewLimitedGeneration("test", "", r, effects(t, []string{"consume"}, nil, "consume"))
	var judges sync.WaitGroup
	for range 4 {
		judges.Go(func() {
			for c := range pdu.CommandID(memoCommands) {
				v, fault := g.Judge(pdu.Append(nil, 5, c, 0, nil), 1, 0)
				if c%2 == 0 && (v != Verdict(Drop) || fault != nil) || c%2 == 1 && (v != abi.Consume || fault == nil || fault.Kind != FaultEffect) {
					t.Errorf("%v: Judge = %v, %v", c, v, fault)
				}
			}
		})
	}
	judges.Wait()
}

func TestRememberedExcessAllocatesNothing(t *testing.T) {
	g := NewLimitedGeneration("test", "", always(abi.BroadcastAll), effects(t, []string{"consume"}, nil, "consume"))
	p := ask(pdu.CID_MSG_DATA)
	if n := testing.AllocsPerRun(100, func() { g.Judge(p, 1, 0) }); n != 0 {
		t.Errorf("%v allocations for each PDU, want none", n)
	}
}

func BenchmarkJudgeExcess(b *testing.B) {
	g := NewLimitedGeneration("", "", always(abi.BroadcastAll), effects(b, []string{"unicast"}, nil, ""))
	p := pdu.Append(nil, pdu.SID_MSG, pdu.CID_MSG_DATA, 0, make([]byte, 200))
	b.ReportAllocs()
	for b.Loop() {
		g.Judge(p, 1, 0)
	}
}

func BenchmarkJudgeWithin(b *testing.B) {
	g := NewLimitedGeneration("", "", always(abi.BroadcastAll), effects(b, []string{"broadcast-all"}, []string{"CID_MSG_DATA"}, ""))
	p := pdu.Append(nil, pdu.SID_MSG, pdu.CID_MSG_DATA, 0, make([]byte, 200))
	b.ReportAllocs()
	for b.Loop() {
		g.Judge(p, 1, 0)
	}
}
