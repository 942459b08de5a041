package hub

import (
	"errors"
	"maps"
	"slices"

	"switchyard/pdu/body"
	"switchyard/policy"
	"switchyard/proxy/presence"
)

// A Tap observes which sessions join and leave, their groups, and what peers send. Its methods are
// called by the goroutines that serve the peers, several at a time, and all but Judged
// under the hub's lock: they may neither block nor call the hub, and must copy what
// they keep.
type Tap interface {
	// Present reports a session that existed when the tap was attached. m has the groups of its
	// peer, here and below; it is nil if the peer is in none.
	Present(session uint64, master bool, m *Membership)
	Joined(session uint64, m *Membership)
	// Grouped reports that the groups of a session's peer have changed.
	Grouped(session uint64, m *Membership)
	Left(session uint64)
	// Judged reports PDUs before they are routed, so the tap sees them before anything
	// that they cause.
	Judged(Judged)
}

// A Judged is one or more neighbouring PDUs of a session with the same verdict.
type Judged struct {
	Session uint64
	PDUs    []byte // whole ones; valid during the call
	Verdict policy.Verdict
	Fault   *policy.Fault      // how the policy failed to decide; nil if it decided
	Policy  *policy.Generation // the generation that gave the verdict
}

// Attach reports the present sessions to t, in the order of their numbers, and from
// then on everything that happens. After detach returns, calls of t that had begun may
// still be running.
func (h *Hub) Attach(t Tap) (detach func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, session := range slices.Sorted(maps.Keys(h.numbered)) {
		s := h.numbered[session]
		t.Present(session, s.master, s.membership.Load())
	}
	h.setTaps(append(slices.Clone(h.attached()), t))
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.setTaps(slices.DeleteFunc(slices.Clone(h.attached()), func(other Tap) bool { return other == t }))
	}
}

// attached returns the taps. Called under mu.
func (h *Hub) attached() []Tap {
	if taps := h.taps.Load(); taps != nil {
		return *taps
	}
	return nil
}

// setTaps replaces the taps. Without taps the list is nil, so the routing path only
// tests one pointer.
func (h *Hub) setTaps(taps []Tap) {
	if len(taps) == 0 {
		h.taps.Store(nil)
		return
	}
	h.taps.Store(&taps)
}

// showTaps reports to the taps what was judged.
func (s *Seat) showTaps(taps []Tap, g *policy.Generation) {
	for i := range s.reader.runs {
		r := &s.reader.runs[i]
		for _, t := range taps {
			t.Judged(Judged{Session: s.Session(), PDUs: r.bytes, Verdict: r.verdict, Fault: r.fault, Policy: g.Obeyed(s.reader.side(r))})
		}
	}
}

// Held appends to dst the announcements by which another hub would learn the users that
// the session holds. It reads the session's list backwards, at most max users before
// index at, or from the end if at is negative, and returns the index to continue at, or
// 0 when it is done. If users come or go between two calls, a user may appear twice.
func (h *Hub) Held(session uint64, at, max int, dst []body.ServerUserStat) ([]body.ServerUserStat, int) {
	h.presenceMu.Lock()
	defer h.presenceMu.Unlock()
	return h.presence.Held(presence.Holder(session), at, max, dst)
}

var errSessionTaken = errors.New("the session number is not above all earlier ones")

// JoinAs is Join with a given session number, which must be above all earlier ones. So
// a capture can be replayed to a policy that depends on session numbers.
func (h *Hub) JoinAs(p Peer, session uint64) (*Seat, error) {
	h.mu.Lock()
	if session <= h.sessions {
		h.mu.Unlock()
		return nil, errSessionTaken
	}
	h.sessions = session - 1
	h.mu.Unlock()
	return h.Join(p), nil
}
