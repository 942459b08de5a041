// Package hub is where a tenant's peers meet: what one of them says is judged,
// routed and appended to the log that all of them are served from. It opens no
// sockets, starts no goroutines and reads no clock; whoever serves the peers'
// connections does.
//
// The routing path is in route.go, in the order in which a PDU takes it.
package hub

import (
	"sync"
	"sync/atomic"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/proxy/presence"
)

// A Peer is the hub's way up to whoever serves a session's connection. The hub
// holds no lock when it calls, and no call may block.
type Peer interface {
	// Noted tells of PDUs of this session that are worth a line in the log.
	Noted(Note)
	// Close has the session's connection closed at once, without what is pending.
	Close(Reason)
}

// A Note is about one or more neighbouring PDUs of a session that had the same fate.
type Note struct {
	Header  pdu.Header // of the first
	PDU     []byte     // the first, whole; valid during the call
	PDUs    int
	Verdict policy.Verdict
	Dropped Reason        // why, if they were dropped
	Fault   *policy.Fault // how the policy failed to decide, if it did
	Policy  *policy.Generation

	Attributes uint64 // what the policy is told of the sender
}

// A Hub is one tenant's. It is safe for concurrent use; for each seat, Handle and
// Leave are called by one goroutine.
//
// Locks are taken in this order: announcing, presenceMu, mu, spares.mu. None is held
// while a policy is asked or a Peer is called.
type Hub struct {
	// Static after New.
	judge  *policy.Active
	spares spares

	// lags is set, under mu, when lagging gets a seat.
	lags atomic.Bool
	// lagHard is how many bytes a seat may be behind before its peer is closed.
	lagHard atomic.Uint64
	// taps is nil if nobody looks on, and otherwise replaced whole, under mu.
	taps atomic.Pointer[[]Tap]
	// audit is nil if no second policy is asked.
	audit atomic.Pointer[audit]
	// room is for how many edits all seats have memory.
	room atomic.Int64
	// users and peerUsers bound the table of users; 0 is no bound.
	users, peerUsers atomic.Int64

	announcing sync.Mutex // held by who announces many users, giving up presenceMu in between

	presenceMu sync.Mutex // guards what follows
	presence   *presence.Directory
	announced  int               // entries that there is room for and that are still to be added
	scratch    []byte            // where PDUs of the hub's own are made
	holders    []presence.Holder // of the users a verdict names
	reached    []*Seat           // by the PDU being audited

	mu       sync.Mutex // guards what follows, and what seats say it guards
	log      log        // what everybody gets
	side     log        // what single seats get, for their edits to insert
	sessions uint64     // numbers given out
	seats    map[uint64]*Seat
	leaving  map[*Seat]struct{} // left, but still holding a part of the log
	scanAt   uint64             // bytes appended to both logs at which lags are looked at next
	lagging  []*Seat            // to be told to close once mu is free
	targets  []*Seat            // of the unicast being sent
	counts   counts
}

// New makes a hub whose PDUs are judged by judge. A seat that is more than
// lagHard bytes behind is closed as a slow consumer.
func New(judge *policy.Active, lagHard uint64) *Hub {
	h := &Hub{judge: judge, presence: presence.New(), seats: make(map[uint64]*Seat), leaving: make(map[*Seat]struct{}), counts: newCounts()}
	h.log = log{linked: true, spare: &h.spares}
	h.side = log{spare: &h.spares}
	h.log.grow()
	h.SetLagHard(lagHard)
	return h
}

// SetLagHard changes how many bytes a seat may be behind.
func (h *Hub) SetLagHard(bytes uint64) { h.lagHard.Store(bytes) }

// Join gives the peer a seat. From now on it takes part: it gets what others say
// without having said anything itself.
func (h *Hub) Join(p Peer) *Seat {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sessions++
	s := &Seat{hub: h, session: h.sessions, peer: p, joined: h.log.head()}
	s.cursor.chunk = h.log.last
	s.cursor.off = h.log.last.n
	h.log.last.refs.Add(1)
	s.at.Store(s.joined.at)
	s.sideAt.Store(noEdit)
	h.seats[s.session] = s
	h.counts.joined++
	for _, t := range h.tapped() {
		t.Joined(s.session)
	}
	return s
}

// leaveStep is how many users at most are taken from a peer that leaves before
// others have their turn at the presence directory.
const leaveStep = 250

// Leave takes the seat's peer out of the hub and out of every user's holders. What
// is due to it ends here; it still holds its part of the log until Release.
func (h *Hub) Leave(s *Seat) {
	h.presenceMu.Lock()
	more := h.presence.Leave(presence.Holder(s.session), leaveStep)
	h.mu.Lock()
	if s.final.Load() == nil {
		final := h.log.head()
		s.final.Store(&final)
		delete(h.seats, s.session)
		h.leaving[s] = struct{}{}
		for _, t := range h.tapped() {
			t.Left(s.session)
		}
	}
	h.mu.Unlock()
	h.presenceMu.Unlock()
	for more {
		h.presenceMu.Lock()
		more = h.presence.Leave(presence.Holder(s.session), leaveStep)
		h.presenceMu.Unlock()
	}
}

// A Head is how far the log reaches at some moment.
type Head struct{ position }

// Head returns how far the log reaches now.
func (h *Hub) Head() Head {
	h.mu.Lock()
	defer h.mu.Unlock()
	return Head{h.log.head()}
}

// Tell sends one PDU of the hub's own making to that seat alone, unless it has left.
func (h *Hub) Tell(s *Seat, p []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s.final.Load() == nil {
		h.counts.made++
		h.insert(p, 1, s)
	}
}

// Forgive has the policy in force, and the one that is audited, asked again if it
// has failed too often.
func (h *Hub) Forgive() {
	g := h.judge.Acquire()
	defer g.Release()
	g.ResetBreaker()
	if a := h.audit.Load(); a != nil {
		a.forgive()
	}
}

// Users returns how many users are present.
func (h *Hub) Users() int {
	h.presenceMu.Lock()
	defer h.presenceMu.Unlock()
	return h.presence.Users()
}

// scanLags finds the seats that are too far behind, each time an eighth of that
// limit has been appended: often enough to bound the logs, seldom enough to cost
// nothing. Called under mu.
func (h *Hub) scanLags() {
	hard := h.lagHard.Load()
	appended := h.log.end + h.side.end
	if appended < h.scanAt {
		return
	}
	h.scanAt = appended + hard/8
	for _, s := range h.seats {
		h.scanLag(s, hard)
	}
	for s := range h.leaving {
		h.scanLag(s, hard)
	}
}

func (h *Hub) scanLag(s *Seat, hard uint64) {
	if !s.kicked && s.lag() > hard {
		s.kicked = true
		h.lagging = append(h.lagging, s)
		h.lags.Store(true)
	}
}

// closeLagging tells the peers that scanLags found to close.
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
