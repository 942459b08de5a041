package hub

import (
	"bytes"
	"maps"
	"slices"
	"time"

	"switchyard/pdu"
	"switchyard/proxy/presence"
)

// A hub can be exported while it stands still: no Handle is in progress, and nobody writes
// to the seats that move. A fresh hub that imports the state, and restores these seats, goes
// on as the first one would have: with the same session numbers, users and counts, and with
// the bytes due to each peer from the exact byte on. What belongs to one hub only, such as
// positions in its log, is not exported:
//
//	hub      State       counts, and the last session number
//	         presence    users and their holders, in chunks
//	seat     SeatState   its number and its counts
//	         due         the bytes due to its peer, which may begin within a PDU:
//
//	sent before              due
//	… ─── PDU ───┬── PD│U ──┬── PDU ──┐
//	             └ begun ┘
//
// A hub that shares its tenant moves with the users and sessions of all hubs, and with what is under
// way, see underway.go.
//
// A seat that does not move is left out, as if it had left. The imported counts say that its
// session was closed and that the copies still due to it were discarded, for the reason
// Handover, so that they add up and never decrease. The first hub still has the seat and may
// deliver them.

// A State is what a hub has counted, for a hub in another process to continue from. The fields
// are those of Counts unless they say something else.
type State struct {
	Sessions  uint64 // the last session number given
	Received  uint64
	Actions   []uint64 // by policy.Action
	Dropped   map[Reason]uint64
	Refused   uint64
	Underway  uint64 `json:",omitempty"`
	Staged    uint64 // PDUs judged by a stage
	Made      uint64
	Delivered uint64 // to sessions that have ended or do not move
	Discarded map[Reason]uint64
	Joined    uint64
	Closed    map[Reason]uint64
	BytesIn   uint64
	BytesOut  uint64 // to sessions that have ended or do not move

	Slowed     map[Reason]uint64
	SlowedTime map[Reason]time.Duration

	Groups map[string]uint64 `json:",omitempty"` // GroupCount.Copies, by name

	Commands    []CommandState // of the commands that the protocol has, and of 0
	Custom      []CommandState `json:"Own,omitempty"` // of custom commands, and of those that were; earlier releases read this key
	Unknown     []CommandState // of single commands that are not known
	UnknownRoom [2]int         // how many of these began with a PDU that was dropped, and with another one
}

// A CommandState is what peers sent of one command.
type CommandState struct {
	Command pdu.CommandID
	Bytes   uint64
	Actions []uint64 // PDUs, by policy.Action
}

// A SeatState is what a seat is, apart from its connection and the bytes due to its peer.
type SeatState struct {
	Session  uint64 // its number, or 0 if it is not a session yet
	Master   bool
	PDUsIn   uint64
	Limited  uint64 `json:",omitempty"` // of PDUsIn, dropped as OverLimit
	BytesIn  uint64
	Out      uint64 // as Seat.Out returns it
	PDUsOut  uint64 // written whole
	BytesOut uint64
	Due      uint64 // PDUs that became due and were not written whole
	Passed   uint64 `json:",omitempty"` // PDUs that became due and can no longer be written, see ExportBroken

	// RoleUnderway says that the peer has declared another role than Master, which counts for what it
	// says and has not come back in the order of several hubs.
	RoleUnderway bool `json:",omitempty"`

	// Standby says that the seat gets nothing of the log, and Joining that its peer has declared itself
	// master, which has not come back.
	Standby bool `json:",omitempty"`
	Joining bool `json:",omitempty"`

	// Begun are the first bytes of a PDU of which a part was written, at most 4: what was
	// written of its length. Left is how many bytes of it are due, if all 4 were written.
	Begun []byte `json:",omitempty"`
	Left  int    `json:",omitempty"`
}

// Export returns the state of the hub for Import. The seats for which move returns true are
// those that Seat.Export exports. It changes nothing. Seats that do not move may be written to
// meanwhile.
func (h *Hub) Export(move func(*Seat) bool) State {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := &h.counts
	st := State{Sessions: h.sessions, Received: c.received, Actions: slices.Clone(c.actions[:]), Dropped: maps.Clone(c.dropped),
		Refused: c.refused, Staged: c.staged, Made: c.made, Delivered: c.delivered, Discarded: maps.Clone(c.discarded),
		Joined: c.joined, Closed: maps.Clone(c.closed), BytesIn: c.bytesIn, BytesOut: c.bytesOut,
		Slowed: maps.Clone(c.slowed), SlowedTime: maps.Clone(c.slowedTime), UnknownRoom: c.unknownRoom}
	if h.order != nil {
		st.Underway = h.order.pdus
	}
	st.Groups = h.exportGroups()
	for index := range c.commands {
		st.Commands = append(st.Commands, c.commands[index].export(countedCommands[index]))
	}
	for id, one := range c.custom {
		st.Custom = append(st.Custom, one.export(id))
	}
	for id, one := range c.unknown {
		st.Unknown = append(st.Unknown, one.export(id))
	}
	for s := range h.seats {
		if !move(s) {
			st.leaveOut(s)
		}
	}
	for s := range h.leaving {
		st.leaveOut(s)
	}
	return st
}

func (c *commandCounts) export(of pdu.CommandID) CommandState {
	return CommandState{Command: of, Bytes: c.bytes, Actions: slices.Clone(c.actions[:])}
}

// leaveOut counts a seat that does not move. Called under hub.mu.
func (st *State) leaveOut(s *Seat) {
	sent := s.writer.sent.Load() // once, as its writer may continue
	st.Delivered += sent
	st.BytesOut += s.writer.sentBytes.Load()
	if s.Session() != 0 {
		st.Closed[Handover]++
	}
	if discarded := s.dueSoFar() - sent; discarded > 0 {
		st.Discarded[Handover] += discarded
	}
}

// ExportPresence hands the users that the moving seats hold to yield, in chunks of at most
// 512 KiB, for Import. If several hubs share the tenant, it is what ExportOrdered hands out. A chunk is
// valid during the call. The user table is locked until ExportPresence returns, which it does with the
// first error of yield.
func (h *Hub) ExportPresence(move func(*Seat) bool, yield func(chunk []byte) error) error {
	if h.order != nil {
		return h.ExportOrdered(yield)
	}
	h.presenceMu.Lock()
	defer h.presenceMu.Unlock()
	moves := make(map[presence.Holder]bool)
	h.mu.Lock()
	for number, s := range h.numbered {
		moves[presence.Holder(number)] = move(s)
	}
	h.mu.Unlock()
	return h.presence.Export(func(holder presence.Holder) bool { return moves[holder] }, yield)
}

// Export returns the state of the seat and a copy of the bytes that are due to its peer. It
// returns false if the seat cannot move: more than limit bytes are due, not counting the rest
// of a PDU whose beginning was written; it has left; or its peer is being closed. The caller
// has the right to write. Export changes nothing that the peer or the counts would show.
func (s *Seat) Export(limit int) (st SeatState, due []byte, ok bool) {
	w := &s.writer
	if w.since.have > 0 {
		st.Begun = bytes.Clone(w.since.length[:w.since.have])
	}
	if w.since.have == len(w.since.length) {
		st.Left = w.since.left
	}
	due, ok = s.peek(&st, limit)
	if !ok {
		return SeatState{}, nil, false
	}
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	st.Due = s.describe(&st)
	if s.final.Load() != nil || s.kicked || st.check(due) != nil { // the last if PassOver was called
		return SeatState{}, nil, false
	}
	return st, due, true
}

// ExportBroken is Export for a seat to whose connection nothing more can be written. What is
// due to its peer does not move, and counts as discarded when the session ends.
func (s *Seat) ExportBroken() (st SeatState, ok bool) {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	st.Passed = s.describe(&st)
	if s.final.Load() != nil || s.kicked {
		return SeatState{}, false
	}
	return st, true
}

// describe sets what Export and ExportBroken have in common. It returns how many PDUs became due
// and were not written whole. Called under hub.mu.
func (s *Seat) describe(st *SeatState) (unwritten uint64) {
	w := &s.writer
	st.Session, st.Master, st.PDUsIn, st.Limited, st.BytesIn, st.Out = s.Session(), s.master, s.pdusIn, s.limited, s.bytesIn, s.Out()
	st.RoleUnderway = s.reader.master != s.master
	st.Standby = s.standby
	st.Joining = st.Standby && !s.reader.standby
	st.PDUsOut, st.BytesOut = w.sent.Load(), w.sentBytes.Load()
	return s.dueSoFar() - st.PDUsOut
}

// peek returns a copy of all bytes that are due, or false if they are more than limit behind
// the PDU that was begun.
func (s *Seat) peek(st *SeatState, limit int) (due []byte, ok bool) {
	head := s.hub.Head()
	s.takeEdits()
	w := &s.writer
	w.until = head.position
	for cur := w.cursor; ; {
		var piece []byte
		if piece, cur = w.next(cur); piece == nil {
			return due, true
		}
		due = append(due, piece...)
		rest := 0
		if len(st.Begun) > 0 {
			rest = st.left(due)
		}
		if len(due) > limit+rest {
			return nil, false
		}
	}
}

// Depart takes a seat out of the hub that another hub has restored. Nothing is counted, and
// its peer's users stay. Only the goroutine that has the right to write may call it, and
// nobody may use the seat afterwards.
func (s *Seat) Depart() {
	h := s.hub
	h.mu.Lock()
	final := h.log.head()
	s.final.Store(&final)
	delete(h.seats, s)
	delete(h.numbered, s.Session())
	h.leaveGroups(s)
	h.mu.Unlock()
	s.free()
}
