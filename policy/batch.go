package policy

import (
	"errors"

	"switchyard/pdu"
	"switchyard/policy/abi"
)

// A Batch judges several PDUs of one sender in a row. One goroutine uses it. That
// goroutine must not wait for anything before Release, because the batch may keep one of
// the policy's few instances reserved:
//
//	Begin, Judge (memo), Judge (reserves an instance), Judge (same instance), Release
type Batch struct {
	memo                *memo // of the generation
	asker                     // the generation; in a stage, the stable one
	stage               *Stage
	comparison          *Comparison // nil until a stage needs it
	sampler             *Sampler    // nil: no decision is measured
	session, attributes uint64
	groups              []Group // in which the sender is
	calls, affected     int32   // see Calls and Affected
}

// An asker asks one generation.
//
// Two goroutines that each hold an instance of one policy and wait for one of the other
// would deadlock. The askers of a stage therefore follow an order: the stable one reserves
// first, and the candidate's instance is released before the stable one reserves. Both
// instances are released before a classification by ids.
type asker struct {
	generation *Generation
	reserved   Reserved // nil until there is something to inspect

	// Of the last question.
	inspected  bool // the last question called an inspection
	classified bool // the last question called classify, and the memo will not hold the answer
}

// Begin begins a batch of PDUs of the sender, which is in those groups.
func (g *Generation) Begin(session, attributes uint64, groups []Group) Batch {
	b := Batch{memo: &g.memo, asker: asker{generation: g}, stage: g.stage, session: session, attributes: attributes, groups: groups}
	if g.stage != nil {
		b.generation = g.stage.Split.Stable
	}
	return b
}

// Calls returns how often the batch has asked the policy itself and not only the memo.
// A call may take ten thousand times as long as the memo, so a caller that must bound its
// time needs to check the clock only after calls.
func (b *Batch) Calls() int { return int(b.calls) }

// Judge is a batch of one PDU: see Batch.Judge.
func (g *Generation) Judge(p []byte, session, attributes uint64, groups ...Group) (Verdict, *Fault) {
	b := g.Begin(session, attributes, groups)
	defer b.Release()
	return b.Judge(p)
}

// Judge decides about one complete PDU. A fault says that the policy failed to decide.
// The verdict is then the one by ids without its INSPECT flags, or Drop if the policy
// failed by ids. If the fault is that the policy exceeded its Effects, the verdict is the
// one that the Effects have for that case. The verdict carries no INSPECT flag.
func (b *Batch) Judge(p []byte) (Verdict, *Fault) {
	// Copying the whole header would take longer than the memo.
	v := b.memo.load(pdu.ParseHeader(p).Service, pdu.ParseHeader(p).Command)
	if v&(memoSpecial|inspect) == 0 {
		return v, nil
	}
	return b.judgeBeyondMemo(p)
}

const inspect = abi.InspectHeader | abi.InspectBodyOf

// judgeBeyondMemo is Judge for a PDU about which the memo's entry for known ids does not hold
// the final verdict.
func (b *Batch) judgeBeyondMemo(p []byte) (Verdict, *Fault) {
	if b.stage != nil {
		return b.judgeStage(p)
	}
	return b.ask(&b.asker, p)
}

// ask returns the decision of one generation.
func (b *Batch) ask(a *asker, p []byte) (Verdict, *Fault) {
	g, service, command := a.generation, pdu.ParseHeader(p).Service, pdu.ParseHeader(p).Command
	a.inspected, a.classified = false, false
	v, found := g.Recall(service, command)
	if found && !v.Inspected() {
		return v, nil
	}
	if s := b.sampler; s != nil && s.isNext() {
		return b.callTimed(a, p, v, found, s.Timing)
	}
	return b.call(a, p, v, found)
}

// call is the part of ask that calls the policy. If found, v is the verdict by ids, which asks for an
// inspection.
func (b *Batch) call(a *asker, p []byte, v Verdict, found bool) (Verdict, *Fault) {
	g, service, command := a.generation, pdu.ParseHeader(p).Service, pdu.ParseHeader(p).Command
	if !found {
		b.calls++
		b.Release() // Classify needs an instance too, and other goroutines may hold all the others
		a.classified = g.entry(service, command) == nil
		var fault *Fault
		if v, fault = g.fill(service, command); fault != nil {
			return v, fault
		}
	}
	if !v.Inspected() {
		return v, nil
	}
	if g.consecutiveFaults.Load() >= breakerLimit {
		return v &^ inspect, g.count(errBreakerOpen)
	}
	b.calls++
	a.inspected = true
	seen, err := b.inspect(a, v, Question{Header: p[:pdu.HeaderLen], Body: p[pdu.HeaderLen:], Session: b.session, Attributes: b.attributes, Groups: b.groups})
	if err != nil {
		return v &^ inspect, g.count(err)
	}
	return g.enforceAndCount(service, command, seen)
}

var errBreakerOpen = &Fault{Kind: FaultBudget, Err: errors.New("the policy has failed too often lately to be asked")}

func (b *Batch) inspect(a *asker, byIDs Verdict, q Question) (Verdict, error) {
	g := a.generation
	if g.keeps == nil {
		return g.policy.Inspect(byIDs, q)
	}
	if a.reserved == nil {
		if a == &b.asker && b.affected > 0 {
			b.comparison.candidate.release()
		}
		r, err := g.keeps.Reserve(b.session)
		if err != nil {
			return 0, err
		}
		a.reserved = r
	}
	return a.reserved.Inspect(byIDs, q)
}

// Release releases the reserved instances. The batch may be used again afterwards.
func (b *Batch) Release() {
	if b.reserved != nil || b.affected > 0 {
		b.release()
	}
}

func (b *Batch) release() {
	if b.affected > 0 {
		b.comparison.candidate.release()
	}
	b.asker.release()
}

func (a *asker) release() {
	if a.reserved != nil {
		a.reserved.Release()
		a.reserved = nil
	}
}
