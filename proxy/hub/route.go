package hub

// The routing path. Functions are in the order in which a PDU meets them: Handle
// takes a read batch, judgeSome has the policy judge its PDUs, route carries out the
// verdicts, and broadcast or insert appends the bytes where the writers find them.

import (
	"errors"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/abi"
)

// ErrClose is what Handle returns when the policy wants the sender closed.
var ErrClose = errors.New("the policy closes the session")

// A run is one or more neighbouring PDUs of a batch with the same verdict, which are
// routed together.
type run struct {
	bytes   []byte
	pdus    int32
	pair    int16 // of affected PDUs: 1 + the index in reader.pairs; otherwise 0
	said    bool  // it is under way, see order.go
	verdict policy.Verdict
	fault   *policy.Fault
	dropped Reason // set by route if the PDUs were dropped
}

// maxRuns bounds the memory that a seat keeps for judging.
const maxRuns = 256

// A Turn bounds how long HandleTurn takes.
type Turn struct {
	// Over reports whether the turn is over. HandleTurn calls it seldom, so that it may
	// read a clock. It may change Every.
	Over func() bool
	// Now is the time by which rate limits count, in nanoseconds of any clock that does not go
	// below 0. It may lag behind the present.
	Now int64
	// Every is after how many calls of the policy HandleTurn calls Over next, at least 1.
	Every int
}

// unbounded is the turn of Handle.
var unbounded = Unbounded(0)

// Unbounded returns a turn that is never over, at the time now.
func Unbounded(now int64) *Turn {
	return &Turn{Over: func() bool { return false }, Now: now, Every: 1 << 30}
}

// Handle judges and routes what the seat's peer sent: whole PDUs, which the caller
// may overwrite afterwards. When Handle returns, everything that follows from them is
// in the log; writing it to connections is the caller's job. After ErrClose the rest
// of the batch is dropped.
func (h *Hub) Handle(s *Seat, batch []byte) error {
	_, err := h.HandleTurn(s, batch, unbounded)
	return err
}

// HandleTurn is Handle for one turn: it returns what it has not handled of batch once the
// turn is over. It handles at least one PDU. A PDU costs a microsecond or less unless
// the policy is called for it or the user table is asked, so only these are bounded.
func (h *Hub) HandleTurn(s *Seat, batch []byte, turn *Turn) (rest []byte, err error) {
	g := h.active.Acquire()
	defer g.Release()
	for len(batch) > 0 {
		batch = s.judgeSome(g, batch, turn)
		if taps := h.taps.Load(); taps != nil {
			s.showTaps(*taps, g)
		}
		last := s.reader.runs[len(s.reader.runs)-1].verdict
		switch {
		case h.order == nil:
			h.route(&s.reader)
		case s.reader.standby:
			h.standBy(s, g)
		default:
			h.say(s, g)
		}
		s.note(&s.reader, g)
		clear(s.reader.runs) // so that they do not keep the batch alive
		if last.Action() == policy.Close {
			if len(batch) > 0 {
				h.Refuse(s, batch, SessionEnded)
			}
			s.reader.forgetStage()
			h.closeLagging()
			return nil, ErrClose
		}
		if len(batch) > 0 && turn.Over() {
			break
		}
	}
	s.reader.forgetStage()
	h.closeLagging()
	return batch, nil
}

// judgeSome fills the reader's runs with the verdicts on PDUs at the start of batch, and
// returns the rest. It stops after a PDU whose handling can change how the next one is
// judged, when the turn is over, and before the user table has too much to do.
func (s *Seat) judgeSome(g *policy.Generation, batch []byte, turn *Turn) (rest []byte) {
	judging := g.Begin(s.Session(), policy.AttributesOf(s.reader.master), s.groups())
	judging.Time(&s.reader.sampler)
	defer judging.Release()
	r := &s.reader
	r.runs, r.commandRuns = r.runs[:0], r.commandRuns[:0]
	if r.stage = g.Stage(); r.stage != nil {
		judging.Compare(&r.comparison, r.connection)
		r.pairs = r.pairs[:0]
	}
	look, asked := turn.Every, 0 // at how many calls to look at the turn; bytes about users
	affected := 0                // PDUs that both generations of a stage have judged
	var same stretch
	for len(batch) > 0 && len(r.runs) < maxRuns && len(r.commandRuns) < maxCommandRuns && asked < lengthy {
		// Parsing the header into a variable would copy all of it, which costs more than counting.
		n, command := int(pdu.ParseHeader(batch).Length), pdu.ParseHeader(batch).Command
		v, fault := judging.Judge(batch[:n])
		alike := judging.Affected() == affected
		if v&policy.LimitBits != 0 || !alike {
			v = r.admit(g, v, alike, turn.Now)
		}
		if same.grows && v == same.verdict && command == same.command && fault == nil && alike {
			same.bytes += n
			same.pdus++
		} else {
			if same.pdus > 0 {
				r.grow(same)
			}
			if !alike {
				affected = judging.Affected()
				if r.addAffected(batch[:n], v, fault) {
					asked += n
				}
			} else if v != same.verdict || !r.joinRun(n, v, fault) {
				r.runs = append(r.runs, run{bytes: batch[:n], pdus: 1, verdict: v, fault: fault})
			}
			if !r.joinCommandRun(n, command, v.Action()) {
				r.commandRuns = append(r.commandRuns, commandRun{command, v.Action(), 1, uint64(n)})
			}
			same.bytes, same.pdus = 0, 0
			same.command, same.verdict, same.grows = command, v, alike && fault == nil && isPlain(v)
		}
		batch = batch[n:]
		if judging.Calls() >= look {
			if turn.Over() {
				break
			}
			look = judging.Calls() + turn.Every
		}
		if same.grows {
			continue
		}
		if asksPresence(v) {
			asked += n
		}
		if v.Action() == policy.Close || v.Action() == policy.Handle && v.Argument() == abi.RoleSet {
			break
		}
	}
	if same.pdus > 0 {
		r.grow(same)
	}
	return batch
}

// A stretch counts neighbouring PDUs with the same command and verdict, by which the last
// run and the last command run will grow. Most batches are one stretch, and counting in
// variables costs less than counting in the runs.
type stretch struct {
	bytes, pdus int
	command     pdu.CommandID
	verdict     policy.Verdict
	grows       bool
}

// isPlain reports whether v drops, consumes or broadcasts. Such a verdict needs only the
// log's lock for any number of PDUs, and does not change how later PDUs are judged.
func isPlain(v policy.Verdict) bool {
	const plain = 1<<policy.Drop | 1<<policy.Consume | 1<<policy.BroadcastExceptSender | 1<<policy.BroadcastAll
	return plain>>v.Action()&1 != 0
}

// grow adds the stretch to the last run and the last command run.
func (r *reader) grow(by stretch) {
	last := &r.runs[len(r.runs)-1]
	last.bytes = last.bytes[:len(last.bytes)+by.bytes]
	last.pdus += int32(by.pdus)
	of := &r.commandRuns[len(r.commandRuns)-1]
	of.pdus += uint32(by.pdus)
	of.bytes += uint64(by.bytes)
}

// joinRun adds the PDU of n bytes behind the last run to that run, if both have the
// same verdict and it does not have to be carried out for each PDU separately.
func (r *reader) joinRun(n int, v policy.Verdict, fault *policy.Fault) bool {
	if len(r.runs) == 0 || fault != nil || v.Action() == policy.Handle || readsBody(v) {
		return false
	}
	last := &r.runs[len(r.runs)-1]
	if last.verdict != v || last.fault != nil || last.pair != 0 {
		return false
	}
	last.bytes = last.bytes[:len(last.bytes)+n]
	last.pdus++
	return true
}

// route carries out the verdicts of the reader's runs, in their order.
func (h *Hub) route(from *reader) {
	runs := from.runs
	for i := 0; i < len(runs); {
		if asksPresence(runs[i].verdict) {
			h.routeByPresence(from, &runs[i])
			i++
			continue
		}
		i += h.routeRuns(from, runs[i:])
	}
}

// routeRuns carries out neighbouring runs that do not need presence, and returns their
// number. They share one acquisition of the log's lock.
func (h *Hub) routeRuns(from *reader, runs []run) (n int) {
	staged := from.stage != nil
	presence := staged && from.weighsByPresence(runs) && h.presenceMu.TryLock()
	h.mu.Lock()
	h.countCommands(from)
	for ; n < len(runs) && !asksPresence(runs[n].verdict); n++ {
		if staged {
			h.weigh(from, &runs[n], presence)
		}
		h.routeRun(from, &runs[n])
	}
	h.scanLags()
	h.mu.Unlock()
	if presence {
		h.trimHolders()
		h.presenceMu.Unlock()
	}
	return n
}

// routeRun carries out a verdict that does not need presence. Called under mu.
func (h *Hub) routeRun(from *reader, r *run) {
	out := from.out
	switch v := r.verdict; v.Action() {
	case policy.Drop:
		r.dropped = dropReason(r)
	case policy.BroadcastExceptSender:
		h.broadcast(from, r.bytes, int(r.pdus), from.present())
		h.alsoMuted(from, r)
	case policy.BroadcastAll:
		h.broadcast(from, r.bytes, int(r.pdus), nil)
		h.alsoMuted(from, r)
	case policy.Unicast:
		r.dropped = h.unicast(from, r)
	case policy.Handle: // role-set, the only handler that does not need presence
		r.dropped = h.setRole(from, r.bytes[pdu.HeaderLen:])
	case policy.Consume, policy.Close:
	}
	h.count(from, r)
	if from.stage != nil {
		h.countAlike(from, r, out)
	}
}

// routeByPresence carries out a verdict that depends on who holds which users.
func (h *Hub) routeByPresence(from *reader, r *run) {
	if isLongAnnouncement(r) {
		h.routeLongAnnouncement(from, r)
		return
	}
	if r.dropped = asksTooMuch(r); r.dropped != "" {
		h.countRouted(from, r, from.out)
		return
	}
	if h.tryByPresence(from, r) {
		return
	}
	// The room that the PDU needs is reserved for a long announcement. When that is
	// over, much of the room may be free again.
	h.announcing.Lock()
	defer h.announcing.Unlock()
	h.tryByPresence(from, r)
}

// tryByPresence is routeByPresence for all but long announcements. It returns false,
// and has done nothing, if the user table has no room only because some of it is
// reserved for a long announcement.
//
// The table is locked until what follows from the PDU is in the log. So the log has
// the notices in the order in which the table changed.
func (h *Hub) tryByPresence(from *reader, r *run) (done bool) {
	h.presenceMu.Lock()
	defer h.presenceMu.Unlock()
	defer h.trimHolders()
	if from.stage != nil {
		h.mu.Lock()
		h.weigh(from, r, true)
		h.mu.Unlock()
	}
	out := from.out
	if r.verdict.Action() == policy.Handle {
		r.dropped = h.handle(from, r)
	} else {
		r.dropped = h.unicastByPresence(from, r)
	}
	if r.dropped == PresenceFull && h.reserved > 0 {
		return false
	}
	h.countRouted(from, r, out)
	return true
}

// countRouted counts a run that has been routed by presence. The parameter out is the
// reader's out before that.
func (h *Hub) countRouted(from *reader, r *run, out uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.countCommands(from)
	h.count(from, r)
	if from.stage != nil {
		h.weigh(from, r, false)
		h.countAlike(from, r, out)
	}
	h.scanLags()
}

// broadcast appends whole PDUs to the log, for every seat but except, which may be
// nil. They are charged to by, whose peer caused them. Called under mu.
func (h *Hub) broadcast(by *reader, p []byte, pdus int, except *Seat) {
	at, to := h.log.end, h.served()
	h.log.append(p, pdus)
	if except != nil && !except.passes.Load() {
		to--
		except.excluded += uint64(pdus)
		except.add(edit{at: at, side: h.side.end, size: uint32(len(p)), pdus: uint32(pdus)})
	}
	by.out += uint64(to) * uint64(len(p))
}

// insert sends whole PDUs to the seats in to alone, behind everything that is in the
// log now. The bytes are stored once, in the side log. Called under mu.
func (h *Hub) insert(p []byte, pdus int, to ...*Seat) {
	for len(p) > 0 {
		at := h.side.end
		n := len(h.side.extend(p))
		c := h.side.last
		e := edit{at: h.log.end, side: at, from: c, off: uint32(c.n - n), size: uint32(n)}
		if p = p[n:]; len(p) == 0 {
			e.pdus = uint32(pdus)
		}
		c.refs.Add(int32(len(to)))
		for _, s := range to {
			if s.passes.Load() {
				s.passLog()
			}
			s.own += uint64(e.pdus)
			s.add(e)
		}
	}
}

// note reports to the peer every run that deserves a line in the log: drops other
// than the policy's own, faults, and verdicts with the LOG flag.
func (s *Seat) note(from *reader, g *policy.Generation) {
	for i := range from.runs {
		r := &from.runs[i]
		byPolicy := r.dropped == "" || r.dropped == ByPolicy // then the LOG flag decides
		if !byPolicy || r.fault != nil || r.verdict.Has(abi.Log) {
			first := pdu.ParseHeader(r.bytes)
			s.peer.Noted(Note{Header: first, PDU: r.bytes[:first.Length], PDUs: int(r.pdus), Verdict: r.verdict,
				Dropped: r.dropped, Fault: r.fault, Policy: g.Obeyed(from.side(r)), Attributes: policy.AttributesOf(from.master), Groups: s.groups(), clientTypes: s.hub.furtherClients()})
		}
	}
}
