package policy

import (
	"errors"

	"switchyard/pdu"
	"switchyard/policy/abi"
)

// A Batch judges PDUs of one sender in a row. One goroutine uses it, and waits for
// nothing else before its End: what answers it may be reserved for it meanwhile.
type Batch struct {
	generation          *Generation
	session, attributes uint64
	reserved            Reserved // nil until there is something to inspect
}

// Begin begins a Hearing of PDUs of the sender.
func (g *Generation) Begin(session, attributes uint64) Batch {
	return Batch{generation: g, session: session, attributes: attributes}
}

// Judge judges one PDU of the sender: see Hearing.Judge.
func (g *Generation) Judge(p []byte, session, attributes uint64) (Verdict, *Fault) {
	h := g.Begin(session, attributes)
	defer h.Release()
	return h.Judge(p)
}

// Judge decides about the PDU, which is whole. A fault says that the policy
// failed to; the verdict is then what its verdict by ids says for that case, or
// Drop if there is none. If the fault is that the policy may not do what it said,
// the verdict is what its Effects say instead. The verdict carries no INSPECT flag.
func (h *Batch) Judge(p []byte) (Verdict, *Fault) {
	// The header as a whole would be copied, which takes longer than the memo.
	g, service, command := h.generation, pdu.ParseHeader(p).Service, pdu.ParseHeader(p).Command
	v, found := g.Recall(service, command)
	if !found {
		h.Release() // the policy is asked by its ids, and others may have all that is left to answer that
		var fault *Fault
		if v, fault = g.fill(service, command); fault != nil {
			return v, fault
		}
	}
	if !v.Inspected() {
		return v, nil
	}
	const inspect = abi.InspectHeader | abi.InspectBodyOf
	if g.consecutiveFaults.Load() >= breakerLimit {
		return v &^ inspect, g.count(notAsked)
	}
	seen, err := h.inspect(v, Question{Header: p[:pdu.HeaderLen], Body: p[pdu.HeaderLen:], Session: h.session, Attributes: h.attributes})
	if err != nil {
		return v &^ inspect, g.count(err)
	}
	return g.within(service, command, seen)
}

var notAsked = &Fault{Kind: FaultBudget, Err: errors.New("the policy has failed too often lately to be asked")}

func (h *Batch) inspect(byIDs Verdict, q Question) (Verdict, error) {
	if h.generation.keeps == nil {
		return h.generation.policy.Inspect(byIDs, q)
	}
	if h.reserved == nil {
		r, err := h.generation.keeps.Reserve(h.session)
		if err != nil {
			return 0, err
		}
		h.reserved = r
	}
	return h.reserved.Inspect(byIDs, q)
}

// Release gives back what was reserved. The Hearing may go on.
func (h *Batch) Release() {
	if h.reserved != nil {
		h.reserved.Release()
		h.reserved = nil
	}
}
