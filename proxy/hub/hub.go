// Package hub connects the peers of one tenant: it judges and routes what one peer
// sends, and appends it to the log from which all peers are served. It opens no
// sockets, starts no goroutines and reads no clock; package proxy does that.
//
// The routing path is in route.go, in the order in which a PDU takes it.
package hub

import (
	"sync"
	"sync/atomic"

	"switchyard/pdu/body"
	"switchyard/policy"
	"switchyard/proxy/order"
	"switchyard/proxy/presence"
)

// A Peer is what the hub calls in the code that serves a session's connection. The hub holds no
// lock when it calls a method, and no method may block.
type Peer interface {
	// Noted reports PDUs of this session that deserve a line in the log.
	Noted(Note)
	// Close closes the session's connection at once and discards what is pending.
	Close(Reason)
}

// A Hub routes for one tenant. It is safe for concurrent use, but for each seat one
// goroutine at a time calls Handle, LeaveOrdered and Leave, and one goroutine calls Apply.
//
// Locks are taken in this order: announcing, presenceMu, mu, spares.mu. None of them
// is held while a policy or a Peer is called. An Order is called under mu.
type Hub struct {
	// Static after New.
	active *policy.Active
	spares spares

	// order is nil for a lone hub. It is static after SetOrder.
	order *ordering

	// timing is nil if no decision is measured. It is static after SetTiming.
	timing *policy.Timing

	// lags is set, under mu, when lagging gets a seat.
	lags atomic.Bool
	// lagHard is how many bytes a seat may be behind before its peer is closed.
	lagHard atomic.Uint64
	// taps is nil if no tap is attached. It is replaced as a whole, under mu.
	taps atomic.Pointer[[]Tap]
	// editCap is how many edits fit into the memory of all seats' queues.
	editCap atomic.Int64
	// users and peerUsers bound the user table; 0 is unlimited.
	users, peerUsers atomic.Int64
	// clientTypes are the types admitted in addition to TeamTalk's own; nil if there are none.
	clientTypes atomic.Pointer[body.ClientTypes]

	announcing sync.Mutex            // held during a long announcement, see announce.go
	step       []body.ServerUserStat // scratch of the announcement; guarded by announcing

	presenceMu sync.Mutex // guards what follows
	presence   *presence.Directory
	reserved   int               // entries that a long announcement is still to add
	scratch    []byte            // where notices and answers are made
	named      []uint32          // the users that a verdict names in a body
	holders    []presence.Holder // of the users that a verdict names
	reached    []*Seat           // receivers of the PDU being weighed

	mu       sync.Mutex // guards what follows, and the fields of seats that say so
	log      log        // what all seats get
	side     log        // what single seats get; their edits insert it
	sessions uint64     // the last number given to a session
	seats    map[*Seat]struct{}
	numbered map[uint64]*Seat         // those that are sessions
	leaving  map[*Seat]struct{}       // seats that have left and still hold a part of the log
	members  map[policy.Group][]*Seat // of seats, by group; nil until a peer is in one
	passing  int                      // how many of seats get nothing of the log
	scanAt   uint64                   // the next scan for lagging seats is at this many bytes in both logs
	lagging  []*Seat                  // to be closed once mu is free
	targets  []*Seat                  // of the unicast being sent
	copies   uint64                   // how often addAlso has looked for targets
	counts   counts
}

// New returns a hub whose PDUs are judged by the policy in active. A peer that is more
// than lagHard bytes behind is closed as a slow consumer.
func New(active *policy.Active, lagHard uint64) *Hub {
	h := &Hub{active: active, presence: presence.New(), seats: make(map[*Seat]struct{}), numbered: make(map[uint64]*Seat), leaving: make(map[*Seat]struct{}), counts: newCounts()}
	h.log = log{linked: true, spare: &h.spares}
	h.side = log{spare: &h.spares}
	h.log.grow()
	h.SetLagHard(lagHard)
	return h
}

// SetTiming makes the hub measure a sample of the policy's decisions. It must be called before Connect.
func (h *Hub) SetTiming(t *policy.Timing) { h.timing = t }

// SetLagHard changes how many bytes a seat may be behind. Peers that are further behind by
// now are closed at once.
func (h *Hub) SetLagHard(bytes uint64) {
	h.mu.Lock()
	if h.lagHard.Swap(bytes) > bytes {
		h.scanAt = 0
		h.scanLags()
	}
	h.mu.Unlock()
	h.closeLagging()
}

// Join gives the peer a seat. From then on the peer receives what others send, even
// if it has sent nothing itself.
func (h *Hub) Join(p Peer) *Seat {
	s := h.Connect(p, nil)
	s.Begin()
	return s
}

// Connect is Join for a connection that may turn out to be a health check, which closes
// without having sent anything. Until Begin the seat is not a session: it has no number and
// is not counted, listed or shown to taps. m has the groups of the peer.
func (h *Hub) Connect(p Peer, m *Membership) *Seat {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.newSeat(p)
	h.seats[s] = struct{}{}
	if h.order != nil && h.order.standby {
		h.beginStandby(s)
	}
	h.enterGroups(s, m)
	return s
}

// Begin makes the seat's connection a session, unless it is one already or has left, and
// reports whether it did. It must be called before Handle.
func (s *Seat) Begin() bool {
	h := s.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if s.Session() != 0 || s.final.Load() != nil {
		return false
	}
	h.sessions++
	s.setNumber(h.sessions)
	h.numbered[h.sessions] = s
	h.counts.joined++
	for _, t := range h.attached() {
		t.Joined(h.sessions, s.membership.Load())
	}
	if h.order != nil && !s.reader.standby {
		h.saySession(order.Joined, s, order.Link{Source: s.reader.connection})
	}
	return true
}

// leaveStep is how many users are taken at a time from a peer that leaves. Between
// two steps other peers use the user table.
const leaveStep = 250

// Leave takes the seat's peer out of the hub, and releases the users that it holds.
// From then on nothing more becomes due to it. The seat keeps its part of the log
// until Release. If several hubs share the tenant, the users are released in their order, with standby links
// not before SayLate.
func (h *Hub) Leave(s *Seat) {
	if h.order != nil {
		h.mu.Lock()
		defer h.mu.Unlock()
		switch {
		case !h.leavesLate(s):
			h.sayLeft(s)
		case s.final.Load() == nil:
			h.order.late = append(h.order.late, lateSession{seat: s})
		}
		h.vacate(s)
		return
	}
	if h.leave(s) {
		h.releaseUsers(s.Session())
	}
}

// leave does the part of Leave that others must see at once: the seat is gone, and no
// user is found at its peer. It reports whether users are left to be released.
func (h *Hub) leave(s *Seat) (more bool) {
	h.presenceMu.Lock()
	defer h.presenceMu.Unlock()
	more = h.presence.Leave(presence.Holder(s.Session()), leaveStep)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.vacate(s)
	return more
}

// vacate ends the log for the seat here, unless it has ended. Called under mu.
func (h *Hub) vacate(s *Seat) {
	if s.final.Load() != nil {
		return
	}
	if s.passes.Load() {
		s.passLog()
		h.passing--
	}
	h.leaveGroups(s)
	final := h.log.head()
	s.final.Store(&final)
	delete(h.seats, s)
	h.leaving[s] = struct{}{}
	if n := s.Session(); n != 0 {
		delete(h.numbered, n)
		for _, t := range h.attached() {
			t.Left(n)
		}
	}
}

// A Head is the end of the log at some moment.
type Head struct{ position }

// Head returns the present end of the log.
func (h *Hub) Head() Head {
	h.mu.Lock()
	defer h.mu.Unlock()
	return Head{h.log.head()}
}

// Send sends one PDU of the hub's own to that seat alone, unless it has left.
func (h *Hub) Send(s *Seat, p []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s.final.Load() == nil {
		h.counts.made++
		h.insert(p, 1, s)
	}
}

// ResetBreaker lets the policy in force be called again if its circuit breaker has opened
// after too many faults. In a stage it does so for both generations.
func (h *Hub) ResetBreaker() {
	g := h.active.Acquire()
	defer g.Release()
	g.ResetBreaker()
}

// Users returns how many users are present.
func (h *Hub) Users() int {
	h.presenceMu.Lock()
	defer h.presenceMu.Unlock()
	return h.presence.Users()
}

// scanLags finds the seats that are more than lagHard behind. It scans all seats each
// time an eighth of lagHard was appended: often enough to bound the logs, and seldom
// enough to cost nothing. Called under mu.
func (h *Hub) scanLags() {
	hard := h.lagHard.Load()
	appended := h.log.end + h.side.end
	if appended < h.scanAt {
		return
	}
	h.scanAt = appended + hard/8
	for s := range h.seats {
		h.scanLag(s, hard)
	}
	for s := range h.leaving {
		h.scanLag(s, hard)
	}
}

// scanLag marks a seat that is more than hard bytes behind, once. Its peer is closed by closeLagging, as no
// peer is called under mu.
func (h *Hub) scanLag(s *Seat, hard uint64) {
	if !s.kicked && s.lag() > hard {
		s.kicked = true
		h.lagging = append(h.lagging, s)
		h.lags.Store(true)
	}
}

// closeLagging closes the peers that scanLags found.
func (h *Hub) closeLagging() {
	if !h.lags.Swap(false) {
		return
	}
	h.mu.Lock()
	lagging := h.lagging
	h.lagging = nil
	h.mu.Unlock()
	for _, s := range lagging {
		s.peer.Close(SlowConsumer)
	}
}
