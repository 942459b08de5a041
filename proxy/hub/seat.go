package hub

import (
	"sync/atomic"

	"switchyard/policy"
	"switchyard/proxy/presence"
)

// A Seat is one session's place in its hub. The session is sent the shared log from the position at
// which it joined, changed by the seat's own queue of edits: they skip what the session sent
// itself, and insert what was sent to it alone.
//
//	log    ──a──┬──b──┬──c──┬──d──▶ head
//	edits       skip b      insert x
//	due       a           c x       d
//
// Three goroutines meet at a seat. The reader handles what the peer says. Whatever
// goroutine routes a PDU to the seat adds edits, under hub.mu. The writer takes the
// edits over and sends what is due. What the writer uses comes first and together, because
// with many seats the number of cache lines is what a delivery costs.
type Seat struct {
	// Static after Connect.
	hub    *Hub
	peer   Peer
	joined position

	// number is the session's. It is set once, by Begin, and 0 before.
	number atomic.Uint64

	// outApplied is the part of Out that Apply has counted.
	outApplied atomic.Uint64

	// final is set once, by Leave: where the log ends for this seat.
	final atomic.Pointer[position]

	// fresh is set, under hub.mu, when added gets an edit, and cleared when the writer
	// takes the edits over.
	fresh  atomic.Bool
	writer writer

	// passes is set while the seat gets nothing of the log: it is standby or muted. passedAt is
	// passed.at. Both change under hub.mu.
	passes   atomic.Bool
	passedAt atomic.Uint64

	// membership has the groups of the peer; nil if it is in none. It changes under hub.mu.
	membership atomic.Pointer[Membership]

	reader reader

	// Guarded by hub.mu.
	master   bool          // the peer is master, and so receives what is sent to the masters
	kicked   bool          // its peer was closed as a slow consumer
	added    []edit        // not yet taken over by the writer
	excluded uint64        // PDUs of the log that it does not get
	own      uint64        // PDUs that it alone gets, beside the log
	pdusIn   uint64        // PDUs that its peer sent
	limited  uint64        // of those, dropped as OverLimit
	bytesIn  uint64        // of those
	back     chan struct{} // see LeaveOrdered; nil before
	copied   uint64        // is Hub.copies if the seat was a target before addAlso added others
	standby  bool          // the peer has not declared itself master, see standby.go
	passed   position      // while passes is set: what the log gets from here on is not for the seat

	// editCap is how many edits fit into the memory of writer.edits and added.
	editCap atomic.Int64
}

// A reader is where the PDUs of one peer are judged, and where they come from when they are
// routed. The reader of a seat belongs to the goroutine that calls Handle; there is another one for
// Apply.
type reader struct {
	// Static after Begin.
	seat    *Seat  // nil if the peer is at another hub
	session uint64 // its number

	runs        []run
	commandRuns []commandRun // of the PDUs being routed
	out         uint64       // bytes due to other peers because of what this peer sent
	master      bool         // the peer's PDUs are judged as those of a master
	standby     bool         // the peer has not declared itself master, see standby.go
	buckets     policy.RateBuckets
	aside       *presence.Directory // the users that it has reported meanwhile; nil if there are none
	sampler     policy.Sampler      // of decisions that are measured

	// For a stage, see weigh.go.
	connection uint64 // the peer as a unit of a split
	stage      *policy.Stage
	comparison policy.Comparison
	pairs      []pair // of the runs being routed

	// For Apply, see begin in apply.go.
	applies   bool   // the runs come from the order and were counted as received before
	uncounted bool   // they are counted at another hub
	limits    limits // of the run being routed
}

// A writer is the part of a seat that belongs to the goroutine that may write to the
// session's connection now. Package proxy ensures that there is at most one.
type writer struct {
	cursor   cursor
	passed   position // see Seat.passed, as of when the edits were taken over
	edits    []edit   // taken over; those before cursor.edit are passed
	until    position // where the log ends for this call of Due
	most     int      // the longest that edits has been since Trim
	due      int      // bytes that Due returned last
	all      bool     // nothing else was due then
	skipped  uint64   // PDUs of the log passed over
	inserted uint64   // PDUs sent that are not from the log
	base     uint64   // PDUs sent when the writer had last caught up
	since    counter  // counts the PDUs sent from then on

	// Written by the writer, read by any goroutine.
	at        atomic.Uint64 // the cursor's position in the log
	sideAt    atomic.Uint64 // edit.side of the oldest edit taken over; noEdit if there is none
	queued    atomic.Int64  // edits taken over and not yet passed
	sent      atomic.Uint64 // PDUs written whole
	sentBytes atomic.Uint64 // bytes written
}

// An edit changes what a seat gets of the log from position at on: if from is nil, it
// skips size bytes of the log; otherwise it inserts size bytes of that chunk.
type edit struct {
	at   uint64
	side uint64 // the end of the side log when the edit was made, or where the inserted bytes begin
	from *chunk
	off  uint32 // of the inserted bytes in from
	size uint32
	pdus uint32 // skipped or inserted; of a PDU in several edits, the last one counts it
}

const (
	editSize = 40 // bytes of memory that an edit takes
	noEdit   = 1<<64 - 1
)

// newSeat returns a seat for which the log begins at its present end. Called under mu.
func (h *Hub) newSeat(p Peer) *Seat {
	s := &Seat{hub: h, peer: p, joined: h.log.head()}
	s.reader.seat = s
	s.reader.sampler.Timing = h.timing
	s.writer.cursor = cursor{chunk: h.log.last, off: h.log.last.n}
	h.log.last.refs.Add(1)
	s.writer.at.Store(s.joined.at)
	s.writer.sideAt.Store(noEdit)
	return s
}

// Session returns the number by which policies and logs know the session. It is 0
// before Begin.
func (s *Seat) Session() uint64 { return s.number.Load() }

// setNumber makes n the number of the session.
func (s *Seat) setNumber(n uint64) {
	s.reader.session = n // before number, by which the reader's goroutine sees that it is set
	s.number.Store(n)
}

// holder returns the peer as the user table knows it.
func (from *reader) holder() presence.Holder { return presence.Holder(from.session) }

// present returns the peer's seat, or nil if it is at another hub or has left. Called under hub.mu.
func (from *reader) present() *Seat {
	if from.seat == nil || from.seat.final.Load() != nil {
		return nil
	}
	return from.seat
}

// SetIdentity sets the peer's name, which stays the same when the peer reconnects. It must
// be called before Handle.
func (s *Seat) SetIdentity(name string) { s.reader.connection = policy.ConnectionKey(name) }

// Out returns how many bytes have become due to peers by what this seat's peer sent;
// a byte that goes to k peers counts k times. Peers of other hubs do not count. Only the
// goroutine that calls Handle may call it.
func (s *Seat) Out() uint64 { return s.reader.out + s.outApplied.Load() }

// Written returns how many bytes were written to the session's connection, and how many
// whole PDUs.
func (s *Seat) Written() (bytes, pdus uint64) { return s.writer.sentBytes.Load(), s.writer.sent.Load() }

// add queues an edit. Called under hub.mu.
func (s *Seat) add(e edit) {
	had := cap(s.added)
	s.added = append(s.added, e)
	if cap(s.added) != had {
		s.countCap(cap(s.added) - had)
	}
	s.fresh.Store(true)
}

// countCap counts memory for n more edits.
func (s *Seat) countCap(n int) {
	s.editCap.Add(int64(n))
	s.hub.editCap.Add(int64(n))
}

// Trimmable reports whether the seat has memory for edits that Trim may free.
func (s *Seat) Trimmable() bool { return s.editCap.Load() > 0 }

// Trim frees the memory for edits that was not needed since the last Trim. Only the
// writer may call it, between Sent and Due.
func (s *Seat) Trim() {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	w := &s.writer
	before := cap(w.edits) + cap(s.added)
	w.most = max(w.most, len(s.added))
	w.edits = trim(w.edits, w.most)
	s.added = trim(s.added, w.most)
	w.most = len(w.edits)
	s.countCap(cap(w.edits) + cap(s.added) - before)
}

// trim returns e with memory for not much more than most edits.
func trim(e []edit, most int) []edit {
	switch {
	case most == 0:
		return nil
	case cap(e)/4 < most:
		return e
	}
	return append(make([]edit, 0, most), e...)
}

// Behind reports whether something may be due before head.
func (s *Seat) Behind(head Head) bool {
	end := head.at
	if final := s.final.Load(); final != nil {
		end = min(end, final.at)
	} else if s.passes.Load() {
		// Beyond passed, the cursor moves only to let go of old chunks.
		end = max(min(end, s.passedAt.Load()), max(end, passAfter)-passAfter)
	}
	return s.writer.at.Load() < end || s.fresh.Load() || s.writer.queued.Load() > 0
}

// Lag returns how many bytes the hub keeps for this seat at most: the log from its
// cursor on, the side log from its oldest edit on, and the edits themselves.
func (s *Seat) Lag() uint64 {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	return s.lag()
}

// lag is Lag. Called under hub.mu.
func (s *Seat) lag() uint64 {
	h := s.hub
	lag := h.log.end - s.writer.at.Load()
	if s.passes.Load() {
		lag = s.passed.at - s.writer.at.Load()
	}
	oldest := s.writer.sideAt.Load()
	if len(s.added) > 0 {
		oldest = min(oldest, s.added[0].side)
	}
	if oldest != noEdit {
		lag += h.side.end - oldest
	}
	return lag + editSize*(uint64(s.writer.queued.Load())+uint64(len(s.added)))
}

// dueSoFar returns how many PDUs have become due to the seat, sent or not. Called
// under hub.mu.
func (s *Seat) dueSoFar() uint64 {
	end := s.hub.log.pdus
	if final := s.final.Load(); final != nil {
		end = final.pdus
	} else if s.passes.Load() {
		end = s.passed.pdus
	}
	return end - s.joined.pdus - s.excluded + s.own
}

// Release frees what the seat holds of the log, and counts what was due and not sent
// as discarded for that reason. The session has left, and its writer has ended.
func (s *Seat) Release(why Reason) {
	s.free()
	h := s.hub
	if g := h.active.TryAcquire(); g != nil {
		defer g.Release() // not under mu, as it may close the generation
		s.countEnd(g.Stage(), why)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.leaving, s)
	sent := s.writer.sent.Load()
	h.counts.delivered += sent
	h.counts.bytesOut += s.writer.sentBytes.Load()
	if s.Session() != 0 {
		h.counts.closed[why]++
	}
	if discarded := s.dueSoFar() - sent; discarded > 0 {
		h.counts.discarded[why] += discarded
	}
}

// free gives back the chunks and the memory for edits that the seat holds.
func (s *Seat) free() {
	s.takeEdits()
	h, w := s.hub, &s.writer
	for _, e := range w.edits[w.cursor.edit:] {
		if e.from != nil {
			h.spares.drop(e.from)
		}
	}
	h.spares.drop(w.cursor.chunk)
	h.mu.Lock()
	defer h.mu.Unlock()
	w.edits, s.added = nil, nil
	s.countCap(int(-s.editCap.Load()))
}
