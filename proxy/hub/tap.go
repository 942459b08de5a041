package hub

import (
	"errors"
	"maps"
	"slices"

	"switchyard/pdu/body"
	"switchyard/policy"
	"switchyard/proxy/presence"
)

// A Tap is shown who comes and goes, and what peers say. Its methods are called by
// whoever serves those peers, several at once, all but Judged under the hub's lock:
// they may not block nor call the hub, and copy what they keep.
type Tap interface {
	// Present tells of a session that was there when the tap was attached.
	Present(session uint64, master bool)
	Joined(session uint64)
	Left(session uint64)
	// Judged shows PDUs before they are routed, so that what follows from them is
	// shown after them.
	Judged(Judged)
}

// A Judged is one or more neighbouring PDUs of a session with the same verdict.
type Judged struct {
	Session uint64
	PDUs    []byte // whole ones; valid during the call
	Verdict policy.Verdict
	Fault   *policy.Fault // how the policy failed to decide, if it did
	Policy  *policy.Generation
}

// Attach shows t the seats that are taken, in the order of their numbers, and from
// now on everything. After detach, calls of t that were under way may still end.
func (h *Hub) Attach(t Tap) (detach func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, session := range slices.Sorted(maps.Keys(h.seats)) {
		t.Present(session, h.seats[session].master)
	}
	h.setTaps(append(slices.Clone(h.tapped()), t))
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.setTaps(slices.DeleteFunc(slices.Clone(h.tapped()), func(other Tap) bool { return other == t }))
	}
}

func (h *Hub) tapped() []Tap {
	if taps := h.taps.Load(); taps != nil {
		return *taps
	}
	return nil
}

// setTaps replaces the taps. Without any there is no list, so that the path of a
// PDU looks at one word.
func (h *Hub) setTaps(taps []Tap) {
	if len(taps) == 0 {
		h.taps.Store(nil)
		return
	}
	h.taps.Store(&taps)
}

// show shows the taps what was judged.
func (s *Seat) show(taps []Tap, g *policy.Generation) {
	for i := range s.runs {
		r := &s.runs[i]
		for _, t := range taps {
			t.Judged(Judged{Session: s.session, PDUs: r.bytes, Verdict: r.verdict, Fault: r.fault, Policy: g})
		}
	}
}

// Held appends to dst what makes another hub know the users that the session holds,
// if its peer says it there: at most max users before number at of its list, or from
// the end if at is negative. It returns where to go on, or 0 when there is no more.
// A user who comes or goes between two calls may be told twice.
func (h *Hub) Held(session uint64, at, max int, dst []body.ServerUserStat) ([]body.ServerUserStat, int) {
	h.presenceMu.Lock()
	defer h.presenceMu.Unlock()
	return h.presence.Held(presence.Holder(session), at, max, dst)
}

var errSessionTaken = errors.New("the session's number is not above those given out before")

// JoinAs is Join with a given number for the session, above all that were given out
// before: so a capture can be played to a policy that looks at session numbers.
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
