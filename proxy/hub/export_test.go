package hub

import (
	"switchyard/pdu"
	"switchyard/pdu/body"
	"switchyard/policy"
	"switchyard/proxy/presence"
)

// What tests of package hub_test see of the inside. They are in a package of their own
// because hubtest imports hub.

const (
	ChunkSize      = chunkSize
	EditSize       = editSize
	KeptHolders    = keptHolders
	KeptScratch    = keptScratch
	LengthyBytes   = lengthy
	VeryLengthy    = veryLengthy
	MaxAsked       = maxAsked
	MaxCommandRuns = maxCommandRuns
	MaxFound       = maxFound
	MaxNamed       = maxNamed
	MaxRuns        = maxRuns
)

var CutPDU = cutPDU

// CopiesOf returns the count of n copies of a PDU.
func CopiesOf(n int, p []byte) policy.Copies {
	return policy.Copies{PDUs: uint64(n), Bytes: uint64(n) * uint64(len(p))}
}

// Appended returns how many bytes both logs have received.
func (h *Hub) Appended() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.log.end + h.side.end
}

// LastRefs returns how many references the last chunks of both logs have.
func (h *Hub) LastRefs() (log, side int32) {
	if h.side.last != nil {
		side = h.side.last.refs.Load()
	}
	return h.log.last.refs.Load(), side
}

// EditCap returns for how many edits memory is counted.
func (h *Hub) EditCap() int64 { return h.editCap.Load() }

// EditCap returns for how many edits memory is counted.
func (s *Seat) EditCap() int64 { return s.editCap.Load() }

// Edits returns for how many edits there is memory.
func (s *Seat) Edits() int { return cap(s.writer.edits) + cap(s.added) }

// BeginAs is Begin with a given number, which need not be above the earlier ones.
func (s *Seat) BeginAs(session uint64) {
	s.hub.sessions = session - 1
	s.Begin()
}

// KeepSum makes a lone hub keep the sum of its table.
func (h *Hub) KeepSum() { h.presence.KeepSum() }

// Online reports whether a user is online by a PC.
func (h *Hub) Online(user uint32) bool {
	h.presenceMu.Lock()
	defer h.presenceMu.Unlock()
	return h.presence.Status(user) == body.Online
}

// ReplaceUsers makes a session hold the given users, one entry each, and no others, as if another session had
// taken its users over.
func (h *Hub) ReplaceUsers(session uint64, users []body.ServerUserStat) {
	from, to := presence.Holder(session), presence.Holder(1<<50)
	for range 2 {
		for i := range users {
			if !h.presence.TakeOver(to, from, users[i:i+1]) {
				h.presence.Apply(to, users[i])
			}
		}
		for h.presence.Leave(from, leaveStep) {
		}
		from, to = to, from
	}
}

// ReleaseUsers releases the users of a session, which stays.
func (h *Hub) ReleaseUsers(session uint64) {
	for h.presence.Leave(presence.Holder(session), leaveStep) {
	}
}

// SessionsInOrder returns how many sessions of all hubs have joined.
func (h *Hub) SessionsInOrder() int { return len(h.order.sessions) }

// Reserved returns how much room is reserved for a long announcement.
func (h *Hub) Reserved() int {
	h.presenceMu.Lock()
	defer h.presenceMu.Unlock()
	return h.reserved
}

// Reserve reserves room for the users of an announcement, as a long one does before its
// first step.
func (h *Hub) Reserve(s *Seat, announcement []byte) (added int, fits bool) {
	info, err := body.ReadOnlineUserInfo(announcement[pdu.HeaderLen:], nil)
	if err != nil {
		panic(err)
	}
	return h.reserve(&s.reader, info)
}

// TryByPresence routes a PDU whose verdict needs the user table, if that is possible while
// some of its room is reserved.
func (h *Hub) TryByPresence(s *Seat, v policy.Verdict, p []byte) (done bool) {
	return h.tryByPresence(&s.reader, &run{bytes: p, pdus: 1, verdict: v})
}

// ScratchCap returns the capacity of the scratch memory that is kept.
func (h *Hub) ScratchCap() int { return cap(h.scratch) }

// Judged returns the capacity of what the seat keeps for judging, and whether it keeps any
// bytes of a batch alive.
func (s *Seat) Judged() (runs, commandRuns int, alive bool) {
	r := &s.reader
	for _, one := range r.runs[:cap(r.runs)] {
		alive = alive || one.bytes != nil
	}
	return cap(r.runs), cap(r.commandRuns), alive
}

// Tapped reports whether there is a list of taps.
func (h *Hub) Tapped() bool { return h.taps.Load() != nil }

// FoundHolders returns the capacity of the list of holders after looking up the users
// that v names for the PDU p.
func (h *Hub) FoundHolders(v policy.Verdict, p []byte) int {
	h.presenceMu.Lock()
	defer h.presenceMu.Unlock()
	h.findUsers(v, p, maxNamed)
	return cap(h.holders)
}

// HoldersCap returns the capacity of the list of holders that is kept.
func (h *Hub) HoldersCap() int { return cap(h.holders) }

// WithPresenceLocked calls f while the user table is locked.
func WithPresenceLocked(h *Hub, f func()) {
	h.presenceMu.Lock()
	defer h.presenceMu.Unlock()
	f()
}
