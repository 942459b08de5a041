package hub

import (
	"time"

	"switchyard/pdu"
	"switchyard/pdu/body"
	"switchyard/policy"
)

// Memory returns how many bytes of memory the logs and the edits of all seats take,
// without the spare chunks.
func (h *Hub) Memory() uint64 {
	return uint64(h.spares.inUse.Load())*chunkSize + uint64(h.editCap.Load())*editSize
}

// MinMemory is the smallest useful limit of Memory. A lower one would be reached
// although no peer lags.
const MinMemory = 8 * chunkSize

// Share returns how many bytes each of that many seats may lag such that Memory stays
// below limit, which is at least MinMemory. So if Memory reaches limit, at least one
// seat lags more than its share.
//
// Both logs may begin and end within a chunk, which takes 4 chunks off the limit; the
// queues of edits may have twice the capacity that they need, hence the half.
func Share(limit uint64, seats int) uint64 {
	return (limit - 4*chunkSize) / 2 / uint64(max(1, seats))
}

// SetPresenceLimits bounds how many entries the user table may have, in all and for one
// peer; a user counts once for each peer that holds it. 0 is unlimited. Existing
// entries stay.
func (h *Hub) SetPresenceLimits(users, peerUsers int) {
	h.users.Store(int64(users))
	h.peerUsers.Store(int64(peerUsers))
}

// SetClientTypes sets which further client types are admitted, and which known type each is
// treated as.
func (h *Hub) SetClientTypes(types body.ClientTypes) { h.clientTypes.Store(&types) }

// furtherClients returns what SetClientTypes has set.
func (h *Hub) furtherClients() body.ClientTypes {
	if types := h.clientTypes.Load(); types != nil {
		return *types
	}
	return nil
}

// Refuse drops whole PDUs that the seat's peer sent, without judging them, and returns
// how many those are. It is called in place of Handle, by the same goroutine, also when
// the session has ended. Taps do not see the PDUs, because no policy decided about them.
func (h *Hub) Refuse(s *Seat, batch []byte, why Reason) (n int) {
	for rest := batch; len(rest) > 0; rest = rest[pdu.ParseHeader(rest).Length:] {
		n++
	}
	h.mu.Lock()
	s.pdusIn += uint64(n)
	s.bytesIn += uint64(len(batch))
	h.counts.bytesIn += uint64(len(batch))
	h.counts.received += uint64(n)
	h.counts.refused += uint64(n)
	h.counts.dropped[why] += uint64(n)
	h.mu.Unlock()

	g := h.active.Acquire()
	defer g.Release()
	first := pdu.ParseHeader(batch)
	s.peer.Noted(Note{Header: first, PDU: batch[:first.Length], PDUs: n, Dropped: why, Policy: g, Attributes: policy.AttributesOf(s.reader.master), Groups: s.groups()})
	return n
}

// PauseBegins counts that the reader of a peer pauses, for that reason. PauseEnded
// counts how long the pause was.
func (h *Hub) PauseBegins(why Reason) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.counts.slowed[why]++
}

// PauseEnded counts the length of a pause that has ended.
func (h *Hub) PauseEnded(why Reason, d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.counts.slowedTime[why] += d
}
