package hub

import (
	"slices"

	"switchyard/policy"
)

// A Membership lists the groups of a peer, and says what follows from them. It is immutable; several
// seats may share one. A peer in no group has none: nil.
type Membership struct {
	Groups []policy.Group
	Muted  bool // the peer gets nothing that is broadcast
}

// equal reports whether a peer is in the same groups by both, in the same order. Both may be nil.
func (m *Membership) equal(other *Membership) bool {
	if m == nil || other == nil {
		return m == other
	}
	return m.Muted == other.Muted && slices.Equal(m.Groups, other.Groups)
}

// groups returns the groups of the seat's peer.
func (s *Seat) groups() []policy.Group {
	if m := s.membership.Load(); m != nil {
		return m.Groups
	}
	return nil
}

// SetMembership changes the groups of the seat's peer. The change applies to PDUs that are judged or
// routed from then on; what is due to the peer already is still written.
func (s *Seat) SetMembership(m *Membership) {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	if s.final.Load() != nil {
		return
	}
	before := s.membership.Load()
	s.hub.leaveGroups(s)
	s.hub.enterGroups(s, m)
	if n := s.Session(); n != 0 && !m.equal(before) {
		for _, t := range s.hub.attached() {
			t.Grouped(n, m)
		}
	}
}

// enterGroups lists a seat as a member of its groups. Called under mu.
func (h *Hub) enterGroups(s *Seat, m *Membership) {
	s.membership.Store(m)
	for _, g := range s.groups() {
		if h.members == nil {
			h.members = make(map[policy.Group][]*Seat)
		}
		h.members[g] = append(h.members[g], s)
	}
	h.setPassing(s)
}

// leaveGroups takes a seat out of the lists. Called under mu.
func (h *Hub) leaveGroups(s *Seat) {
	for _, g := range s.groups() {
		h.members[g] = slices.DeleteFunc(h.members[g], func(member *Seat) bool { return member == s })
		if len(h.members[g]) == 0 {
			delete(h.members, g)
		}
	}
}

// setPassing starts or ends the passing of the seat, from the end of the log on, if its state has
// changed: a standby or muted seat gets nothing of the log. Called under mu.
func (h *Hub) setPassing(s *Seat) {
	passes := s.standby || s.isMuted()
	switch {
	case passes == s.passes.Load():
	case passes:
		s.startPassing(h.log.head())
	default:
		s.passLog()
		s.passes.Store(false)
		h.passing--
	}
}

// startPassing excludes the seat from the log from that position on. Called under mu.
func (s *Seat) startPassing(from position) {
	s.passed = from
	s.passedAt.Store(from.at)
	s.passes.Store(true)
	s.hub.passing++
}

// findMembers adds the seats of the group's peers to h.targets. Called under mu.
func (h *Hub) findMembers(g policy.Group) {
	for _, to := range h.members[g] {
		if !to.standby {
			h.targets = append(h.targets, to)
		}
	}
}

// addAlso adds to h.targets the seats of the group that gets a copy as well, except the sender's and
// those that are targets already. It returns how many it added. Called under mu.
func (h *Hub) addAlso(from *reader, v policy.Verdict) (n int) {
	also := v.Also()
	if also == 0 {
		return 0
	}
	h.copies++
	for _, to := range h.targets {
		to.copied = h.copies
	}
	for _, to := range h.members[also] {
		if !to.standby && to != from.seat && to.copied != h.copies {
			h.targets = append(h.targets, to)
			n++
		}
	}
	return n
}

// alsoMuted sends a broadcast to those peers of the group that gets a copy as well which do not get
// broadcasts, because they are muted. Called under mu.
func (h *Hub) alsoMuted(from *reader, r *run) {
	if to := h.findMuted(from, r.verdict); len(to) > 0 {
		h.insertFor(from, r, to)
		h.countGroup(r.verdict.Also(), len(to)*int(r.pdus))
	}
}

// findMuted sets h.targets to the seats that get a broadcast only because their group is to have it as
// well, and returns them. Called under mu.
func (h *Hub) findMuted(from *reader, v policy.Verdict) []*Seat {
	if v.Also() == 0 || h.passing == 0 {
		return nil
	}
	h.targets = h.targets[:0]
	h.addAlso(from, v)
	h.targets = slices.DeleteFunc(h.targets, func(to *Seat) bool { return !to.passes.Load() })
	return h.targets
}

// countGroup counts copies that peers got because a verdict names their group. Called under mu.
func (h *Hub) countGroup(g policy.Group, copies int) {
	if copies > 0 && g != 0 {
		if h.counts.groups == nil {
			h.counts.groups = make(map[policy.Group]uint64)
		}
		h.counts.groups[g] += uint64(copies)
	}
}

// GroupsOf returns the groups of a session's peer; none if there is no such session here.
func (h *Hub) GroupsOf(session uint64) []policy.Group {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s := h.numbered[session]; s != nil {
		return s.groups()
	}
	return nil
}

// A GroupCount is the state of a group.
type GroupCount struct {
	Peers  int    // those in the group now
	Copies uint64 // of PDUs that its peers got because a verdict names the group
}

// Groups returns the state of each group that has peers, or whose peers got copies.
func (h *Hub) Groups() map[policy.Group]GroupCount {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := make(map[policy.Group]GroupCount)
	for g, copies := range h.counts.groups {
		all[g] = GroupCount{Copies: copies}
	}
	for g, members := range h.members {
		all[g] = GroupCount{len(members), all[g].Copies}
	}
	return all
}

// isMuted reports whether the seat's peer gets nothing that is broadcast.
func (s *Seat) isMuted() bool {
	m := s.membership.Load()
	return m != nil && m.Muted
}

// exportGroups returns the copies by the names of groups, which are the same in another process.
// Called under mu.
func (h *Hub) exportGroups() map[string]uint64 {
	all := make(map[string]uint64, len(h.counts.groups))
	for g, copies := range h.counts.groups {
		all[g.String()] = copies
	}
	return all
}

// importGroups takes over what exportGroups has returned. Called under mu.
func (h *Hub) importGroups(all map[string]uint64) {
	for name, copies := range all {
		if g, err := policy.GroupNamed(name); err == nil {
			h.countGroup(g, int(copies))
		}
	}
}
