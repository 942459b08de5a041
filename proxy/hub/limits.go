package hub

import (
	"time"

	"switchyard/pdu"
	"switchyard/pdu/body"
	"switchyard/proxy/presence"
)

// Memory returns how many bytes of memory the logs take that somebody still needs,
// and the edits of all seats.
func (h *Hub) Memory() uint64 {
	return uint64(h.spares.inUse.Load())*chunkSize + uint64(h.room.Load())*editSize
}

// MinMemory is what a limit of Memory cannot be below, or it would be reached by what
// nobody lags for.
const MinMemory = 8 * chunkSize

// Share returns how far each of that many seats may lag for all of them together to
// stay below limit bytes of Memory, which is at least MinMemory. If it is reached, one
// of them lags more. Both logs may begin and end within a chunk, and the memory for
// edits may be twice of what they need.
func Share(limit uint64, seats int) uint64 {
	return (limit - 4*chunkSize) / 2 / uint64(max(1, seats))
}

// SetPresenceLimits bounds how many entries the table of users may have, and how many
// of one peer; each user counts once for each of its holders. 0 is no bound. What is
// there already stays.
func (h *Hub) SetPresenceLimits(users, peerUsers int) {
	h.users.Store(int64(users))
	h.peerUsers.Store(int64(peerUsers))
}

// presenceRoom returns how many entries the peer may add. Called under presenceMu.
func (h *Hub) presenceRoom(s *Seat) int {
	holder := presence.Holder(s.session)
	ofAll := h.presence.Room(holder, int(h.users.Load()), 0) - h.announced
	return min(ofAll, h.presence.Room(holder, 0, int(h.peerUsers.Load())))
}

// hasRoom reports what fits does, which looks whether there is room. If there is not, but
// only since some is kept for all that a peer is announcing, it waits until that is over:
// much of it may be there already. Called under presenceMu, which it gives up meanwhile.
func (h *Hub) hasRoom(fits func() bool) bool {
	if fits() {
		return true
	}
	if h.announced == 0 {
		return false
	}
	h.presenceMu.Unlock()
	h.announcing.Lock()
	defer h.announcing.Unlock()
	h.presenceMu.Lock()
	return fits()
}

// fits reports whether there is room for all that info adds. Who is known and who is
// not is looked up only if there might not be. Called under presenceMu.
func (h *Hub) fits(s *Seat, info body.OnlineUserInfo) bool {
	room := h.presenceRoom(s)
	return info.Len <= room || h.presence.AddsAtMost(room, presence.Holder(s.session), info.All())
}

// Refuse drops what the seat's peer sent, whole PDUs, without having them judged, for
// that reason. It is called in place of Handle, and like that. No tap is shown what
// nobody decided about.
func (h *Hub) Refuse(s *Seat, batch []byte, why Reason) {
	n := 0
	for rest := batch; len(rest) > 0; rest = rest[pdu.ParseHeader(rest).Length:] {
		n++
	}
	h.mu.Lock()
	s.pdusIn += uint64(n)
	s.bytesIn += uint64(len(batch))
	h.counts.bytesIn += uint64(len(batch))
	h.counts.received += uint64(n)
	h.counts.dropped[why] += uint64(n)
	h.mu.Unlock()

	g := h.judge.Acquire()
	defer g.Release()
	first := pdu.ParseHeader(batch)
	s.peer.Noted(Note{Header: first, PDU: batch[:first.Length], PDUs: n, Dropped: why, Policy: g, Attributes: s.attributes()})
}

// PauseBegins counts that a sender is not read from for now, for that reason. Slowed counts
// how long that was.
func (h *Hub) PauseBegins(why Reason) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.counts.slowed[why]++
}

// PauseEnded counts the time of a pause that is over.
func (h *Hub) PauseEnded(why Reason, d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.counts.slowedTime[why] += d
}
