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
	generation          *Generation
	session, attributes uint64
	reserved            Reserved // nil until there is something to inspect
	calls               int      // see Calls
}

// Begin begins a batch of PDUs of the sender.
func (g *Generation) Begin(session, attributes uint64) Batch {
	return Batch{generation: g, session: session, attributes: attributes}
}

// Calls returns how often the batch has asked the policy itself and not only the memo.
// A call may take ten thousand times as long as the memo, so a caller that is to bound
// its time has to look at the clock after calls only.
func (b *Batch) Calls() int { return b.calls }

// Judge is a batch of one PDU: see Batch.Judge.
func (g *Generation) Judge(p []byte, session, attributes uint64) (Verdict, *Fault) {
	b := g.Begin(session, attributes)
	defer b.Release()
	return b.Judge(p)
}

// Judge decides about one complete PDU. A fault says that the policy failed to decide.
// The verdict is then the one by ids without its INSPECT flags, or Drop if the policy
// failed by ids. If the fault is that the policy exceeded its Effects, the verdict is the
// one that the Effects have for that case. The verdict carries no INSPECT flag.
func (b *Batch) Judge(p []byte) (Verdict, *Fault) {
	// Copying the whole header would take longer than the memo.
	v := b.generation.memo.load(pdu.ParseHeader(p).Service, pdu.ParseHeader(p).Command)
	if v&(abi.ReservedMask|inspect) == 0 {
		return v, nil
	}
	return b.judgeBeyondMemo(p)
}

const inspect = abi.InspectHeader | abi.InspectBodyOf

// judgeBeyondMemo is Judge for a PDU about which the memo's place for known ids does not hold
// the final verdict.
func (b *Batch) judgeBeyondMemo(p []byte) (Verdict, *Fault) {
	g, service, command := b.generation, pdu.ParseHeader(p).Service, pdu.ParseHeader(p).Command
	v, found := g.Recall(service, command)
	if !found {
		b.calls++
		b.Release() // Classify needs an instance too, and other goroutines may hold all the others
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
	seen, err := b.inspect(v, Question{Header: p[:pdu.HeaderLen], Body: p[pdu.HeaderLen:], Session: b.session, Attributes: b.attributes})
	if err != nil {
		return v &^ inspect, g.count(err)
	}
	return g.enforceAndCount(service, command, seen)
}

var errBreakerOpen = &Fault{Kind: FaultBudget, Err: errors.New("the policy has failed too often lately to be asked")}

func (b *Batch) inspect(byIDs Verdict, q Question) (Verdict, error) {
	if b.generation.keeps == nil {
		return b.generation.policy.Inspect(byIDs, q)
	}
	if b.reserved == nil {
		r, err := b.generation.keeps.Reserve(b.session)
		if err != nil {
			return 0, err
		}
		b.reserved = r
	}
	return b.reserved.Inspect(byIDs, q)
}

// Release gives back the reserved instance. The batch may be used again afterwards.
func (b *Batch) Release() {
	if b.reserved != nil {
		b.reserved.Release()
		b.reserved = nil
	}
}
