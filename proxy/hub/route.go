package hub

// The routing path. Functions stand in the order in which a PDU meets them: Handle
// takes a read batch, judgeSome has the policy judge its PDUs, route does what the
// verdicts say, and append puts what is to be sent where the writers find it.

import (
	"errors"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/abi"
)

// ErrClose is what Handle returns when the policy wants the sender closed.
var ErrClose = errors.New("the policy closes the session")

// A run is a number of neighbouring PDUs of a batch that have the same fate.
type run struct {
	bytes   []byte
	pdus    int
	verdict policy.Verdict
	fault   *policy.Fault
	dropped Reason // set by route if they were dropped
}

// maxRuns bounds the memory that a seat keeps for judging.
const maxRuns = 256

// Handle judges and routes what the seat's peer sent: whole PDUs, which the caller
// may overwrite afterwards. What is due to whom has then been appended; writing it
// is the caller's job. After ErrClose the rest of the batch is not looked at.
func (h *Hub) Handle(s *Seat, batch []byte) error {
	g := h.judge.Acquire()
	defer g.Release()
	for len(batch) > 0 {
		batch = s.judgeSome(g, batch)
		if taps := h.taps.Load(); taps != nil {
			s.show(*taps, g)
		}
		h.route(s)
		s.note(g)
		last := s.runs[len(s.runs)-1].verdict
		clear(s.runs) // the batch is not kept by them
		if last.Action() == policy.Close {
			h.closeLagging()
			return ErrClose
		}
	}
	h.closeLagging()
	return nil
}

// judgeSome fills s.runs with the verdicts on PDUs at the start of batch and
// returns the rest. It stops behind a PDU whose handling can change how the next
// one is judged.
func (s *Seat) judgeSome(g *policy.Generation, batch []byte) (rest []byte) {
	hearing := g.Begin(s.session, s.attributes())
	defer hearing.Release()
	s.runs, s.tallies = s.runs[:0], s.tallies[:0]
	var same tally // as the PDU before
	for len(batch) > 0 && len(s.runs) < maxRuns && len(s.tallies) < maxTallies {
		// The header as a whole would be copied, at the cost of all that is counted here.
		n, command := int(pdu.ParseHeader(batch).Length), pdu.ParseHeader(batch).Command
		v, fault := hearing.Judge(batch[:n])
		if !s.joinRun(n, v, fault) {
			s.runs = append(s.runs, run{bytes: batch[:n], pdus: 1, verdict: v, fault: fault})
		}
		if same.command != command || same.action != v.Action() {
			s.tally(same)
			same = tally{command: command, action: v.Action()}
		}
		same.pdus++
		same.bytes += uint64(n)
		batch = batch[n:]
		if v.Action() == policy.Close || v.Action() == policy.Handle && v.Argument() == abi.RoleSet {
			break
		}
	}
	s.tally(same)
	return batch
}

// attributes returns what a policy is told of the sender.
func (s *Seat) attributes() uint64 {
	if s.master {
		return abi.AttributeMaster
	}
	return 0
}

// joinRun adds the PDU of n bytes behind the last run to it, if both have the same
// fate and need not be looked at one by one.
func (s *Seat) joinRun(n int, v policy.Verdict, fault *policy.Fault) bool {
	if len(s.runs) == 0 || fault != nil || v.Action() == policy.Handle || readsBody(v) {
		return false
	}
	last := &s.runs[len(s.runs)-1]
	if last.verdict != v || last.fault != nil {
		return false
	}
	last.bytes = last.bytes[:len(last.bytes)+n]
	last.pdus++
	return true
}

// route does what the verdicts of s.runs say. What needs no presence is done under
// one lock of the log; the rest keeps its place in the sender's order.
func (h *Hub) route(s *Seat) {
	for i := 0; i < len(s.runs); {
		if a := h.audit.Load(); a != nil {
			h.weigh(a, s, s.runs[i:])
		}
		if asksPresence(s.runs[i].verdict) {
			h.routeByPresence(s, &s.runs[i])
			i++
			continue
		}
		h.mu.Lock()
		h.countTallies(s)
		for ; i < len(s.runs) && !asksPresence(s.runs[i].verdict); i++ {
			h.routeRun(s, &s.runs[i])
		}
		h.scanLags()
		h.mu.Unlock()
	}
}

// routeRun does what a verdict says that needs no presence. Called under mu.
func (h *Hub) routeRun(s *Seat, r *run) {
	switch v := r.verdict; v.Action() {
	case policy.Drop:
		r.dropped = ByPolicy
		if r.fault != nil {
			r.dropped = PolicyFault
		}
	case policy.BroadcastExceptSender:
		h.broadcast(s, r.bytes, r.pdus, s)
	case policy.BroadcastAll:
		h.broadcast(s, r.bytes, r.pdus, nil)
	case policy.Unicast:
		r.dropped = h.unicast(s, r)
	case policy.Handle: // role-set, the one handler that needs no presence
		r.dropped = s.setRole(r.bytes[pdu.HeaderLen:])
	case policy.Consume, policy.Close:
	}
	h.counts.count(r)
}

// routeByPresence does what a verdict says that needs to know who holds whom. The
// directory is locked until what follows from it stands in the log, so the log's
// order is the order of its changes too.
func (h *Hub) routeByPresence(s *Seat, r *run) {
	h.presenceMu.Lock()
	defer h.presenceMu.Unlock()
	defer h.forgetHolders()
	if r.verdict.Action() == policy.Handle {
		r.dropped = h.handle(s, r)
	} else {
		r.dropped = h.unicastByPresence(s, r)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.countTallies(s)
	h.counts.count(r)
	h.scanLags()
}

// broadcast appends whole PDUs, which by said or which follow from what it said, to
// what everybody gets but except, which may be nil. Called under mu.
func (h *Hub) broadcast(by *Seat, p []byte, pdus int, except *Seat) {
	from, to := h.log.end, len(h.seats)
	h.log.append(p, pdus)
	if except != nil {
		to--
		except.except += uint64(pdus)
		except.add(edit{at: from, side: h.side.end, size: uint32(len(p)), pdus: uint32(pdus)})
	}
	by.out += uint64(to) * uint64(len(p))
}

// insert appends whole PDUs to what those seats alone get, after all that stands in
// the log now. The bytes are kept once. Called under mu.
func (h *Hub) insert(p []byte, pdus int, to ...*Seat) {
	for len(p) > 0 {
		from := h.side.end
		n := len(h.side.extend(p))
		c := h.side.last
		e := edit{at: h.log.end, side: from, from: c, off: uint32(c.n - n), size: uint32(n)}
		if p = p[n:]; len(p) == 0 {
			e.pdus = uint32(pdus)
		}
		c.refs.Add(int32(len(to)))
		for _, s := range to {
			s.alone += uint64(e.pdus)
			s.add(e)
		}
	}
}

// note tells the peer of what is worth a line in the log.
func (s *Seat) note(g *policy.Generation) {
	for i := range s.runs {
		r := &s.runs[i]
		byPolicy := r.dropped == "" || r.dropped == ByPolicy // then it says itself whether it is worth it
		if !byPolicy || r.fault != nil || r.verdict.Has(abi.Log) {
			first := pdu.ParseHeader(r.bytes)
			s.peer.Noted(Note{Header: first, PDU: r.bytes[:first.Length], PDUs: r.pdus, Verdict: r.verdict,
				Dropped: r.dropped, Fault: r.fault, Policy: g, Attributes: s.attributes()})
		}
	}
}
