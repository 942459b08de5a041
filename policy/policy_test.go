package policy

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"switchyard/pdu"
	"switchyard/policy/abi"
)

// rules is a policy made of two functions that counts its calls. policytest.Policy is the
// same for other packages; this one may import nothing that imports it.
type rules struct {
	classify func(pdu.ServiceID, pdu.CommandID) (Verdict, error)
	inspect  func(Verdict, Question) (Verdict, error)
	calls    atomic.Int64
	closed   atomic.Int64
}

func (r *rules) Classify(s pdu.ServiceID, c pdu.CommandID) (Verdict, error) {
	r.calls.Add(1)
	return r.classify(s, c)
}
func (r *rules) Inspect(v Verdict, q Question) (Verdict, error) { return r.inspect(v, q) }
func (r *rules) Close() error                                   { r.closed.Add(1); return nil }

func always(v Verdict) *rules {
	return &rules{classify: func(pdu.ServiceID, pdu.CommandID) (Verdict, error) { return v, nil }}
}

func TestJudgeAsksOncePerIds(t *testing.T) {
	r := always(abi.BroadcastAll)
	g := NewGeneration("test", "", r)
	if got, want := r.calls.Load(), int64(len(pdu.Commands)); got != want {
		t.Fatalf("a new generation asked %d times, want once per known command: %d", got, want)
	}
	unknown := pdu.Append(nil, 5, 0x07ff, 0, nil)
	for range 10 {
		if v, fault := g.Judge(unknown, 1, 0); v.Action() != BroadcastAll || fault != nil {
			t.Fatalf("Judge = %v, %v", v, fault)
		}
	}
	if got, want := r.calls.Load(), int64(len(pdu.Commands)+1); got != want {
		t.Errorf("asked %d times, want %d", got, want)
	}
}

// Ids that a peer invents change neither the size nor the content of the memo.
func TestJudgeOutsideTheMemoAsksEachTime(t *testing.T) {
	for _, ids := range []struct {
		service pdu.ServiceID
		command pdu.CommandID
	}{{9, 0x0301}, {0xffff, 0x0301}, {3, 0x0800}, {3, 0xffff}} {
		r := always(abi.BroadcastAll)
		g := NewGeneration("test", "", r)
		before := r.calls.Load()
		for range 3 {
			g.Judge(pdu.Append(nil, ids.service, ids.command, 0, nil), 1, 0)
		}
		if got := r.calls.Load() - before; got != 3 {
			t.Errorf("%v %v: asked %d times of 3", ids.service, ids.command, got)
		}
	}
}

func TestJudgeInspects(t *testing.T) {
	const byIDs = abi.BroadcastExceptSender | abi.InspectBodyOf | abi.Log
	var asked Question
	r := always(byIDs)
	r.inspect = func(v Verdict, q Question) (Verdict, error) {
		asked = q
		return abi.Consume, nil
	}
	g := NewGeneration("test", "", r)
	p := pdu.Append(nil, pdu.SID_MSG, pdu.CID_MSG_DATA, 7, []byte("body"))
	v, fault := g.Judge(p, 42, abi.AttributeMaster)
	if v != abi.Consume || fault != nil {
		t.Errorf("Judge = %v, %v; want consume", v, fault)
	}
	if string(asked.Header) != string(p[:16]) || string(asked.Body) != "body" || asked.Session != 42 || asked.Attributes != abi.AttributeMaster {
		t.Errorf("the policy was asked about %+v", asked)
	}
}

// After a failed inspection the verdict by ids holds, without its INSPECT flags.
func TestJudgeFallsBack(t *testing.T) {
	r := always(abi.BroadcastExceptSender | abi.InspectHeader | abi.Log)
	r.inspect = func(Verdict, Question) (Verdict, error) {
		return abi.BroadcastAll, &Fault{Kind: FaultFuel, Err: errors.New("ran out")}
	}
	g := NewGeneration("test", "", r)
	v, fault := g.Judge(pdu.Append(nil, 3, pdu.CID_MSG_DATA, 0, nil), 1, 0)
	if want := Verdict(abi.BroadcastExceptSender | abi.Log); v != want {
		t.Errorf("verdict %v, want %v", v, want)
	}
	if fault == nil || fault.Kind != FaultFuel {
		t.Errorf("fault %v, want fuel", fault)
	}
	if g.Faults(FaultFuel) != 1 {
		t.Errorf("counted %d faults, want 1", g.Faults(FaultFuel))
	}
}

// A classify that fails drops the PDU, and a peer cannot make the policy repeat it.
func TestJudgeRemembersFaults(t *testing.T) {
	const bad = pdu.CommandID(0x07fe)
	r := &rules{classify: func(_ pdu.ServiceID, c pdu.CommandID) (Verdict, error) {
		if c == bad {
			return abi.BroadcastAll, &Fault{Kind: FaultDepth, Err: errors.New("too deep")}
		}
		return abi.Consume, nil
	}}
	g := NewGeneration("test", "", r)
	before := r.calls.Load()
	for range 5 {
		v, fault := g.Judge(pdu.Append(nil, 7, bad, 0, nil), 1, 0)
		if v.Action() != Drop || fault == nil || fault.Kind != FaultDepth {
			t.Fatalf("Judge = %v, %v; want drop for recursion", v, fault)
		}
	}
	if got := r.calls.Load() - before; got != 1 {
		t.Errorf("asked %d times, want once", got)
	}
}

// The circuit breaker stops calling a policy that always fails, until it is reset.
func TestJudgeOpensBreaker(t *testing.T) {
	r := always(abi.BroadcastAll | abi.InspectHeader)
	asked := 0
	r.inspect = func(Verdict, Question) (Verdict, error) {
		asked++
		return 0, &Fault{Kind: FaultTrap, Err: errors.New("trapped")}
	}
	g := NewGeneration("test", "", r)
	p := pdu.Append(nil, 3, pdu.CID_MSG_DATA, 0, nil)
	for range 3 {
		asked = 0
		for range 10 * breakerLimit {
			if v, fault := g.Judge(p, 1, 0); v != abi.BroadcastAll || fault == nil {
				t.Fatalf("Judge = %v, %v; want the verdict by ids and a fault", v, fault)
			}
		}
		if asked != breakerLimit {
			t.Errorf("asked %d times, want %d", asked, breakerLimit)
		}
		g.ResetBreaker()
	}
	if got := g.Faults(FaultTrap) + g.Faults(FaultBudget); got != 30*breakerLimit {
		t.Errorf("counted %d faults, want %d", got, 30*breakerLimit)
	}
}

// A slowRules needs long for a fresh instance.
type slowRules struct {
	*rules
	takes time.Duration
}

func (s slowRules) RestartTime() time.Duration { return s.takes }

// The circuit breaker counts the fresh instance that a fault takes.
func TestBreakerCountsRestarts(t *testing.T) {
	p := pdu.Append(nil, 3, pdu.CID_MSG_DATA, 0, nil)
	for takes, want := range map[time.Duration]int{
		0: breakerLimit, decisionTime - 1: breakerLimit, decisionTime: breakerLimit / 2, 10 * decisionTime: 2, time.Hour: 1,
	} {
		asked := 0
		r := always(abi.BroadcastAll | abi.InspectHeader)
		r.inspect = func(Verdict, Question) (Verdict, error) {
			asked++
			return 0, &Fault{Kind: FaultTrap, Err: errors.New("trapped")}
		}
		g := NewGeneration("test", "", slowRules{r, takes})
		for range 3 {
			for range 2 * breakerLimit {
				g.Judge(p, 1, 0)
			}
			g.ResetBreaker()
		}
		if asked != 3*want {
			t.Errorf("a fresh instance takes %v: asked %d times between three resets, want %d", takes, asked, 3*want)
		}
	}
}

// A peer that sends bodies which are too large cannot open the circuit breaker.
func TestBodySizeNeverOpensBreaker(t *testing.T) {
	r := always(abi.BroadcastAll | abi.InspectBodyOf)
	large := true
	r.inspect = func(Verdict, Question) (Verdict, error) {
		if large {
			return 0, &Fault{Kind: FaultBody, Err: errors.New("too large")}
		}
		return abi.Consume, nil
	}
	g := NewGeneration("test", "", r)
	p := pdu.Append(nil, 3, pdu.CID_MSG_DATA, 0, nil)
	for range 10 * breakerLimit {
		g.Judge(p, 1, 0)
	}
	large = false
	if v, fault := g.Judge(p, 1, 0); v != abi.Consume || fault != nil {
		t.Errorf("Judge = %v, %v; want consume", v, fault)
	}
}

// The breaker bounds calls by ids too: a generation whose policy always fails is made with
// breakerLimit calls, and not with one for each known command.
func TestBreakerBoundsClassify(t *testing.T) {
	r := &rules{classify: func(pdu.ServiceID, pdu.CommandID) (Verdict, error) {
		return 0, &Fault{Kind: FaultTrap, Err: errors.New("trapped")}
	}}
	NewGeneration("test", "", r)
	if got := r.calls.Load(); got != breakerLimit {
		t.Errorf("asked %d times, want %d", got, breakerLimit)
	}
}

// The lack of an instance and an open breaker say nothing about the ids, so the policy is
// asked about them again.
func TestJudgeAsksAgain(t *testing.T) {
	for _, kind := range []FaultKind{FaultInstance, FaultBudget} {
		var fault error
		r := &rules{classify: func(pdu.ServiceID, pdu.CommandID) (Verdict, error) { return abi.Consume, fault }}
		g := NewGeneration("test", "", r)
		p := pdu.Append(nil, 7, 0x07fe, 0, nil) // in the memo, and not asked about when the generation is made
		fault = &Fault{Kind: kind, Err: errors.New("not now")}
		if v, got := g.Judge(p, 1, 0); v.Action() != Drop || got == nil || got.Kind != kind {
			t.Errorf("%s: Judge = %v, %v; want drop for it", kind, v, got)
		}
		fault = nil
		if v, got := g.Judge(p, 1, 0); v != abi.Consume || got != nil {
			t.Errorf("%s: later Judge = %v, %v; want consume", kind, v, got)
		}
	}
}

func TestInstallClosesTheOldWhenItsLastUserLeft(t *testing.T) {
	a, b := always(abi.Consume), always(abi.Drop)
	j := NewActive(NewGeneration("a", "", a))
	g := j.Acquire()
	j.Install(NewGeneration("b", "", b))
	if a.closed.Load() != 0 {
		t.Fatal("closed while in use")
	}
	if now := j.Acquire(); now.Name != "b" {
		t.Errorf("in force is %q, want b", now.Name)
	} else {
		now.Release()
	}
	if g.Release(); a.closed.Load() != 1 {
		t.Error("not closed when its last user left")
	}
	if j.Close(); b.closed.Load() != 1 {
		t.Error("Close did not retire the generation in force")
	}
}

// Readers judge while generations are replaced: every acquired one is open, and in the
// end each was closed exactly once.
func TestInstallUnderLoad(t *testing.T) {
	const swaps = 200
	policies := make([]*rules, 0, swaps+1)
	next := func() *Generation {
		r := &rules{}
		r.classify = func(pdu.ServiceID, pdu.CommandID) (Verdict, error) {
			if r.closed.Load() != 0 {
				t.Error("asked after Close")
			}
			return abi.Consume, nil
		}
		policies = append(policies, r)
		return NewGeneration("", "", r)
	}
	j := NewActive(next())
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			p := pdu.Append(nil, 0xffff, 1, 0, nil) // outside of the memo
			for {
				select {
				case <-stop:
					return
				default:
				}
				g := j.Acquire()
				g.Judge(p, 1, 0)
				g.Release()
			}
		})
	}
	for range swaps {
		j.Install(next())
	}
	close(stop)
	readers.Wait()
	j.Close()
	for i, r := range policies {
		if n := r.closed.Load(); n != 1 {
			t.Fatalf("policy %d was closed %d times", i, n)
		}
	}
}

func BenchmarkJudgeMemoised(b *testing.B) {
	g := NewGeneration("", "", always(abi.BroadcastExceptSender))
	p := pdu.Append(nil, pdu.SID_MSG, pdu.CID_MSG_DATA, 0, make([]byte, 200))
	b.ReportAllocs()
	for b.Loop() {
		g.Judge(p, 1, 0)
	}
}
