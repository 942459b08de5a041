package hub

import "sync/atomic"

// A Seat is one session's place in its hub: what it is to be sent is the shared
// log from where it joined, edited by a queue of its own that skips what it said
// itself and inserts what was meant for it alone.
//
//	log    ──a──┬──b──┬──c──┬──d──▶ head
//	edits       skip b      insert x
//	due       a           c x       d
type Seat struct {
	// Static after Join.
	hub     *Hub
	session uint64
	peer    Peer
	joined  position

	// Owned by the reader: the goroutine that calls Handle for this seat. master is
	// written under hub.mu as well, so that others may read it there.
	runs    []run
	seconds []second // of the PDUs being audited
	tallies []tally  // of the PDUs being routed
	out     uint64   // bytes made due by what its peer said
	master  bool

	// Guarded by hub.mu.
	kicked  bool   // its peer has been told to close
	added   []edit // not yet taken over by the writer
	except  uint64 // PDUs of the log that it does not get
	alone   uint64 // PDUs that it alone gets, beside the log
	pdusIn  uint64 // PDUs that its peer said
	bytesIn uint64 // of those

	// Owned by the writer: whoever may write to the session's connection now. The
	// rim sees to it that there is one at most.
	cursor   cursor
	edits    []edit   // taken over; those before cursor.edit are done with
	most     int      // edits that there were at once since Trim
	until    position // how far the log reaches in what Due returned last
	due      int      // bytes that it returned
	all      bool     // nothing else was due then
	skipped  uint64   // PDUs of the log passed over
	inserted uint64   // PDUs sent that are not of the log
	base     uint64   // PDUs sent when the writer had last caught up
	since    boundary // follows what was sent from then on

	// Set once, by Leave: where the log ends for this seat.
	final atomic.Pointer[position]

	// Written by the writer, read by anybody.
	at        atomic.Uint64 // the cursor's position in the log
	sideAt    atomic.Uint64 // where the side log ended at the oldest edit taken over; noEdit if there is none
	queued    atomic.Int64  // edits taken over and not done with
	room      atomic.Int64  // for how many edits edits and added have memory
	sent      atomic.Uint64 // PDUs written whole
	sentBytes atomic.Uint64 // written

	// fresh is set, under hub.mu, when added gets an edit, and cleared when the writer
	// takes them over.
	fresh atomic.Bool
}

// An edit changes what a seat gets of the log from position at on: it passes over
// size bytes of the log or, if it has a chunk, inserts size bytes of that one.
type edit struct {
	at   uint64
	side uint64 // where the side log ended when the edit was made, or where its bytes begin
	from *chunk
	off  uint32
	size uint32
	pdus uint32
}

const (
	editSize = 40 // bytes of memory that an edit takes
	noEdit   = 1<<64 - 1
)

// Session returns the number by which policies and logs know the session. It is
// never 0.
func (s *Seat) Session() uint64 { return s.session }

// Out returns how many bytes became due to peers so far by what this seat's peer said:
// what goes to k peers counts k times. It is for the goroutine that calls Handle.
func (s *Seat) Out() uint64 { return s.out }

// add queues an edit. Called under hub.mu.
func (s *Seat) add(e edit) {
	had := cap(s.added)
	s.added = append(s.added, e)
	if cap(s.added) != had {
		s.grew(cap(s.added) - had)
	}
	s.fresh.Store(true)
}

// grew counts memory for n more edits.
func (s *Seat) grew(n int) {
	s.room.Add(int64(n))
	s.hub.room.Add(int64(n))
}

// Trimmable reports whether the seat has memory for edits, of which Trim may give
// some back.
func (s *Seat) Trimmable() bool { return s.room.Load() > 0 }

// Trim gives back the memory for edits that was not needed since it was called last.
// Only the writer may call it, between Sent and Due.
func (s *Seat) Trim() {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	before := cap(s.edits) + cap(s.added)
	s.most = max(s.most, len(s.added))
	s.edits = trim(s.edits, s.most)
	s.added = trim(s.added, s.most)
	s.most = len(s.edits)
	s.grew(cap(s.edits) + cap(s.added) - before)
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

// Behind reports whether there may be something due before head.
func (s *Seat) Behind(head Head) bool {
	end := head.at
	if final := s.final.Load(); final != nil {
		end = min(end, final.at)
	}
	return s.at.Load() < end || s.fresh.Load() || s.queued.Load() > 0
}

// Lag returns how many bytes of memory the seat holds by being behind: of the log
// since its cursor, of the side log since its oldest edit, and the edits themselves.
func (s *Seat) Lag() uint64 {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	return s.lag()
}

func (s *Seat) lag() uint64 {
	h := s.hub
	lag := h.log.end - s.at.Load()
	oldest := s.sideAt.Load()
	if len(s.added) > 0 {
		oldest = min(oldest, s.added[0].side)
	}
	if oldest != noEdit {
		lag += h.side.end - oldest
	}
	return lag + editSize*(uint64(s.queued.Load())+uint64(len(s.added)))
}

// due returns how many PDUs were meant for the seat so far. Called under hub.mu.
func (s *Seat) dueSoFar() uint64 {
	end := s.hub.log.pdus
	if final := s.final.Load(); final != nil {
		end = final.pdus
	}
	return end - s.joined.pdus - s.except + s.alone
}

// Release gives up what the seat holds of the log, and counts what was due and not
// sent as discarded for that reason. The session has left, and nobody writes any
// more.
func (s *Seat) Release(why Reason) {
	s.giveUp()
	h := s.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.leaving, s)
	sent := s.sent.Load()
	h.counts.delivered += sent
	h.counts.bytesOut += s.sentBytes.Load()
	h.counts.closed[why]++
	if discarded := s.dueSoFar() - sent; discarded > 0 {
		h.counts.discarded[why] += discarded
	}
}

// giveUp gives back the memory that the seat holds.
func (s *Seat) giveUp() {
	s.takeEdits()
	h := s.hub
	for _, e := range s.edits[s.cursor.edit:] {
		if e.from != nil {
			h.spares.drop(e.from)
		}
	}
	h.spares.drop(s.cursor.chunk)
	h.mu.Lock()
	defer h.mu.Unlock()
	s.edits, s.added = nil, nil
	s.grew(int(-s.room.Load()))
}
