package hub

import (
	"sync"
	"sync/atomic"

	"switchyard/proxy/order"
)

// Several hubs can serve one tenant as if they were one. They agree on one order of what all of
// their peers say, and each of them carries out all of it. Their user tables and logs are then equal,
// and each hub writes to the peers that it has:
//
//	peer ─▶ Handle: judge, say ─▶ Order ─▶ Apply: route ─▶ log ─▶ peers of this hub
//	          │ is under way ────────────────▶ │  ▲
//	          ▼                                │  └ what other hubs said
//	        first ─ … ─ last (said)  ◀─ removed when it has come back
//
// A shared tenant differs from that of a lone hub between judging and routing. A PDU is judged
// once, where it arrives, and its verdict travels. Runs that drop or consume are counted at once
// and go nowhere. A question about users is not said: it is kept at its place among what is under
// way, and answered when everything before it has come back. All other runs of a batch are one
// record (said.go), which Apply routes at every hub (apply.go).
//
// The hub where a PDU arrived counts it, notes it and weighs it. PDUs that are under way are
// Counts.Underway.

// An Order takes what the peers of this hub say. What it took comes back by Apply, in one order for
// all hubs that share the tenant.
type Order interface {
	// Say copies r. It is called under a lock of the hub, so that records of this hub come back in the
	// order in which the hub keeps them; it must neither block nor call the hub.
	Say(r *order.Record)
}

// HubShift is where the number of its hub begins in a session's number: sessions of hub n are
// n<<HubShift + 1, + 2, ... A lone hub is number 0.
const HubShift = 40

// An ordering is what a hub needs in addition when it shares its tenant with others.
type ordering struct {
	// Static after SetOrder.
	order   Order
	hub     uint16
	standby bool // see SetStandbyLinks

	// Of the goroutine that calls Apply.
	applier  reader
	limits   []limits // of applier.runs
	replaced []*Seat  // to be closed at the end of Apply

	// Guarded by hub.mu.
	sessions    map[uint64]ordered // that have joined and not left in the order, of all hubs
	far         int                // of those, at other hubs
	farMasters  int                // of these, masters
	first, last *said              // what is under way; said.next links them
	spare       *said              // those that are not in use
	spares      int                // their number
	ahead       int                // records of Rejoin that come back before first
	pdus        uint64             // PDUs under way
	imported    uint64             // PDUs that were under way when the state of another process was exported
	bytes       atomic.Uint64      // memory that they take; read without mu
	late        []lateSession      // have left here, the oldest first; see late.go
	aside       atomic.Int64       // entries of the tables of all standby sessions, see aside.go; changed without mu
	reserving   sync.RWMutex       // held for reading while aside has more than that; taken without mu
	record      order.Record       // scratch
	restated    []byte             // scratch
}

// An ordered is what all hubs know of a session in the order, beside its users.
type ordered struct {
	order.Link        // Users counts down while they are announced
	master     bool   // its peer declared itself master
	announced  bool   // it has announced users, all that its Link promised
	replaces   uint64 // the session whose users it takes over until then; 0 if there is none
}

// limits are those of the user table at the hub where a run comes from; 0 is unlimited.
type limits struct{ users, peerUsers int }

// SetOrder makes the hub share its tenant with others. It must be called before the first Connect;
// SayLate may be called meanwhile. The number of the hub is 1 to 4095, and different at each.
func (h *Hub) SetOrder(o Order, hub uint16) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.order = &ordering{order: o, hub: hub, sessions: make(map[uint64]ordered)}
	h.sessions = h.firstSession()
	h.presence.KeepSum()
}

// hubOf returns the number of the session's hub.
func hubOf(session uint64) uint16 { return uint16(session >> HubShift) }

// isFar reports whether the session is at another hub. It may not exist.
func (h *Hub) isFar(session uint64) bool { return h.order != nil && hubOf(session) != h.order.hub }

// TableSum returns a sum of the user table. Hubs with equal tables have equal sums. A lone hub keeps
// none.
func (h *Hub) TableSum() uint64 {
	h.presenceMu.Lock()
	defer h.presenceMu.Unlock()
	return h.presence.Sum()
}

// UnderwayBytes returns how many bytes of memory the PDUs of this hub's peers take that are under way,
// questions included. Callers make peers wait when it is too much. It must not be called on a lone hub.
func (h *Hub) UnderwayBytes() uint64 { return h.order.bytes.Load() }

// hasFar reports whether other hubs have sessions. The ordering of a lone hub is nil. Called under
// hub.mu.
func (o *ordering) hasFar() bool { return o != nil && o.far > 0 }

// setSession adds a session, or changes what is known of it. Called under hub.mu.
func (o *ordering) setSession(session uint64, as ordered) {
	o.removeSession(session)
	o.sessions[session] = as
	o.countFar(session, as.master, 1)
}

// removeSession removes a session, if it is there. Called under hub.mu.
func (o *ordering) removeSession(session uint64) {
	if as, found := o.sessions[session]; found {
		delete(o.sessions, session)
		o.countFar(session, as.master, -1)
	}
}

func (o *ordering) countFar(session uint64, master bool, n int) {
	if hubOf(session) == o.hub {
		return
	}
	o.far += n
	if master {
		o.farMasters += n
	}
}
