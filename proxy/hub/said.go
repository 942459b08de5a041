package hub

import (
	"slices"

	"switchyard/pdu"
	"switchyard/pdu/body"
	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/proxy/order"
)

// A said is what this hub keeps about a record of its own that is under way, or about questions
// that wait for earlier records.
type said struct {
	kind       order.Kind // 0: there is no record, only questions
	seat       *Seat
	generation *policy.Generation // that judged; held, as notes name it
	made       bool               // the hub made the record, so that its PDUs are not counted
	stage      *policy.Stage
	master     bool  // the sender was judged as a master
	runs       []run // in their order; the bytes of a run are in the record, and those of a question here
	pairs      []pair
	back       chan struct{} // see leaveLate; nil unless it stands for no more than a place
	questions  []byte        // memory for the bytes of questions
	bytes      uint64        // memory that all of it takes, in the record as well
	next       *said
}

// saidSize is about how many bytes a said, and each of its runs, take beside the PDUs.
const saidSize = 128

// keptSaid is how many unused said are kept.
const keptSaid = 64

// say does with the reader's runs what concerns only this hub, and says the others. It leaves in
// the reader those that are done.
func (h *Hub) say(s *Seat, g *policy.Generation) {
	from := &s.reader
	for runs := from.runs; len(runs) > 0; {
		if runs = runs[h.sayRuns(s, g, runs):]; len(runs) > 0 { // a question, and nothing before it is under way
			h.routeByPresence(from, &runs[0])
			runs = runs[1:]
		}
	}
	from.runs = slices.DeleteFunc(from.runs, func(r run) bool { return r.said })
}

// sayRuns is say up to a question that can be answered at once. It returns the number of runs before
// that.
func (h *Hub) sayRuns(s *Seat, g *policy.Generation, runs []run) (n int) {
	from := &s.reader
	presence := from.stage != nil && h.presenceMu.TryLock()
	h.mu.Lock()
	h.countCommands(from)
	kept := h.order.take()
	for ; n < len(runs); n++ {
		r := &runs[n]
		if isQuestion(r.verdict) && len(kept.runs) == 0 && h.order.first == nil && h.order.ahead == 0 {
			break
		}
		if !from.isDone(r) {
			h.keep(kept, from, r)
			continue
		}
		if from.stage != nil {
			h.weigh(from, r, presence)
		}
		h.routeRun(from, r)
	}
	h.sayKept(kept, s, g)
	h.mu.Unlock()
	if presence {
		h.trimHolders()
		h.presenceMu.Unlock()
	}
	return n
}

// isQuestion reports whether the sender alone gets an answer, which changes nothing.
func isQuestion(v policy.Verdict) bool {
	return v.Action() == policy.Handle && v.Argument() == abi.UsersStatusRequest
}

// isDone reports whether r concerns no other hub. A role counts for the next PDU that is judged from
// here on, and for the routing once it has come back.
func (from *reader) isDone(r *run) bool {
	switch v := r.verdict; v.Action() {
	case policy.Drop, policy.Consume, policy.Close:
		return true
	case policy.Handle:
		if v.Argument() != abi.RoleSet {
			return false
		}
		master, err := body.ReadRoleSet(r.bytes[pdu.HeaderLen:])
		if err == nil {
			from.master = master != 0
		}
		return err != nil
	}
	return false
}

// keep adds r to what is kept and, unless it is a question, to the record to be said. Called under
// mu.
func (h *Hub) keep(kept *said, from *reader, r *run) {
	o, one := h.order, *r
	r.said, one.bytes = true, nil
	if isQuestion(r.verdict) {
		kept.questions = append(kept.questions, r.bytes...)
		one.bytes = kept.questions[len(kept.questions)-len(r.bytes):]
	} else {
		kept.kind = order.Batch
		o.record.Runs = append(o.record.Runs, h.recorded(r))
	}
	kept.runs = append(kept.runs, one)
	kept.bytes += saidSize + uint64(len(r.bytes))
	o.pdus += uint64(r.pdus)
	h.countReceived(from, r)
}

// recorded returns r as it is in a record. Other hubs need not know which further client types
// this one admits, because it says the known ones that they are treated as.
func (h *Hub) recorded(r *run) order.Run {
	one := order.Run{Verdict: r.verdict, PDUs: uint32(r.pdus), Bytes: r.bytes}
	if r.verdict.PresenceHandler() == 0 || r.verdict.Argument() == abi.RoleSet {
		return one
	}
	one.Users, one.PeerUsers = uint32(h.users.Load()), uint32(h.peerUsers.Load())
	if types := h.furtherClients(); len(types) > 0 {
		from := len(h.order.restated)
		h.order.restated = restate(h.order.restated, r, types)
		if restated := h.order.restated[from:]; len(restated) > 0 {
			one.Bytes = restated
		}
	}
	return one
}

// restate appends the PDU of r with known client types to dst, or nothing if it has no valid body.
func restate(dst []byte, r *run, types body.ClientTypes) []byte {
	header, b := pdu.ParseHeader(r.bytes), r.bytes[pdu.HeaderLen:]
	from := len(dst)
	dst = pdu.Append(dst, header.Service, header.Command, header.Seq, nil)
	if r.verdict.Argument() == abi.OnlineUserInfo {
		info, err := body.ReadOnlineUserInfo(b, types)
		if err != nil {
			return dst[:from]
		}
		for stat := range info.All() {
			dst = body.AppendOnlineUser(dst, stat)
		}
	} else {
		stat, err := body.ReadUserStatusUpdate(b, types)
		if err != nil {
			return dst[:from]
		}
		dst = body.AppendUserStatusUpdate(dst, stat)
	}
	pdu.SetLength(dst[from:])
	return dst
}

// sayKept puts what is kept about the seat's runs behind all that is under way, and says the record.
// Called under mu.
func (h *Hub) sayKept(kept *said, s *Seat, g *policy.Generation) {
	o, from := h.order, &s.reader
	if len(kept.runs) == 0 {
		o.giveBack(kept)
		return
	}
	g.Acquire()
	kept.seat, kept.generation, kept.stage, kept.master = s, g, from.stage, from.master
	if from.stage != nil {
		kept.pairs = append(kept.pairs, from.pairs...)
	}
	o.push(kept)
	if kept.kind == order.Batch {
		o.record.Kind, o.record.Session = order.Batch, s.Session()
		o.order.Say(&o.record)
		clear(o.record.Runs)
		o.record.Runs = o.record.Runs[:0]
		o.restated = trimScratch(o.restated)
	}
}

// saySession says that the seat's session has joined, as link, or left. Called under mu.
func (h *Hub) saySession(kind order.Kind, s *Seat, link order.Link) {
	kept := h.order.take()
	kept.kind, kept.seat, kept.bytes = kind, s, saidSize
	h.order.push(kept)
	h.order.order.Say(&order.Record{Kind: kind, Session: s.Session(), Link: link})
}

// take returns an empty said. Called under hub.mu.
func (o *ordering) take() *said {
	if o.spares == 0 {
		return new(said)
	}
	kept := o.spare
	o.spare, o.spares = kept.next, o.spares-1
	kept.next = nil
	return kept
}

// giveBack keeps the memory of a said for the next one. Called under hub.mu.
func (o *ordering) giveBack(kept *said) {
	if o.spares == keptSaid || cap(kept.questions) > keptScratch {
		return
	}
	clear(kept.runs)
	*kept = said{runs: kept.runs[:0], pairs: kept.pairs[:0], questions: kept.questions[:0], next: o.spare}
	o.spare, o.spares = kept, o.spares+1
}

// push adds what is kept at the end of what is under way. Called under hub.mu.
func (o *ordering) push(kept *said) {
	if o.first == nil {
		o.first = kept
	} else {
		o.last.next = kept
	}
	o.last = kept
	o.bytes.Add(kept.bytes)
}

// pop removes the first of what is under way. Called under hub.mu.
func (o *ordering) pop() {
	kept := o.first
	o.first = kept.next
	o.bytes.Add(-kept.bytes)
	o.giveBack(kept)
}

// Abandon gives up what is under way, because Apply will not be called again, and releases the
// generations that judged it. Counts.Underway keeps counting it. For a lone hub it is a no-op.
func (h *Hub) Abandon() {
	if h.order == nil {
		return
	}
	var held []*policy.Generation
	h.mu.Lock()
	for o := h.order; o.first != nil; o.pop() {
		if g := o.first.generation; g != nil {
			held = append(held, g)
		}
	}
	h.mu.Unlock()
	for _, g := range held {
		g.Release() // not under mu, as it may close the generation
	}
}

// trimScratch returns b without content, and without its memory if that has grown large.
func trimScratch(b []byte) []byte {
	if cap(b) > keptScratch {
		return nil
	}
	return b[:0]
}
