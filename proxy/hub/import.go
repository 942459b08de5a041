package hub

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/proxy/presence"
)

// sideBegins is where the side log of a hub begins that imports a state. The edits of
// restored seats lie before it, see Restore.
const sideBegins = 1 << 32

// Import makes a new hub, which has no seats yet, continue from the state that another one has
// exported. The function next returns the chunks of its user table one after the other, and
// is called until the end of the table. At an error the hub is unusable.
func (h *Hub) Import(st State, next func() (chunk []byte, err error)) error {
	if err := st.addUp(); err != nil {
		return err
	}
	install, err := h.readTable(next)
	if err != nil {
		return err
	}
	h.mu.Lock()
	inUse := len(h.seats) > 0 || h.sessions != h.firstSession() || h.log.end > 0
	h.mu.Unlock()
	switch {
	case inUse:
		return errors.New("a hub that is in use cannot import a state")
	case st.Sessions < h.firstSession() || hubOf(st.Sessions) != hubOf(h.firstSession()):
		return errors.New("the sessions are those of a hub with another number")
	}
	install()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sessions, h.side.end = st.Sessions, sideBegins
	if h.order != nil {
		h.order.imported = st.Underway
	}
	c := &h.counts
	c.received, c.refused, c.staged, c.made = st.Received, st.Refused, st.Staged, st.Made
	c.delivered, c.joined, c.bytesIn, c.bytesOut = st.Delivered, st.Joined, st.BytesIn, st.BytesOut
	maps.Copy(c.dropped, st.Dropped)
	maps.Copy(c.discarded, st.Discarded)
	maps.Copy(c.closed, st.Closed)
	maps.Copy(c.slowed, st.Slowed)
	maps.Copy(c.slowedTime, st.SlowedTime)
	copy(c.actions[:], st.Actions)
	for i := range st.Commands {
		c.commands[indexOf(st.Commands[i].Command)].add(&st.Commands[i])
	}
	for i := range st.Custom {
		one := new(commandCounts)
		one.add(&st.Custom[i])
		c.custom[st.Custom[i].Command] = one
	}
	for i := range st.Unknown {
		one := new(commandCounts)
		one.add(&st.Unknown[i])
		c.unknown[st.Unknown[i].Command] = one
	}
	c.unknownRoom = st.UnknownRoom
	h.importGroups(st.Groups)
	return nil
}

// readTable reads the user table, and the sessions of all hubs if they share the tenant. The function
// install puts it in force.
func (h *Hub) readTable(next func() ([]byte, error)) (install func(), err error) {
	if h.order != nil {
		return h.ReadOrdered(next)
	}
	users, err := presence.Import(next)
	return func() {
		h.presenceMu.Lock()
		defer h.presenceMu.Unlock()
		h.presence = users
	}, err
}

// firstSession returns the number before that of the first session.
func (h *Hub) firstSession() uint64 {
	if h.order == nil {
		return 0
	}
	return uint64(h.order.hub) << HubShift
}

// addUp returns an error if the counts cannot be those of a hub.
func (st *State) addUp() error {
	if len(st.Actions) != len(policy.Actions) {
		return fmt.Errorf("the counts have %d actions, not %d", len(st.Actions), len(policy.Actions))
	}
	for _, one := range slices.Concat(st.Commands, st.Custom, st.Unknown) {
		if len(one.Actions) != len(policy.Actions) {
			return fmt.Errorf("the counts of command 0x%04x have %d actions, not %d", uint16(one.Command), len(one.Actions), len(policy.Actions))
		}
	}
	accounted := st.Underway + Sum(st.Dropped)
	for _, n := range st.Actions {
		accounted += n
	}
	if accounted != st.Received {
		return fmt.Errorf("%d PDUs were received, but %d accepted, dropped or under way", st.Received, accounted)
	}
	return nil
}

// add adds the counts of one.
func (c *commandCounts) add(one *CommandState) {
	c.bytes += one.Bytes
	for action, n := range one.Actions {
		c.actions[action] += n
	}
}

// Restore gives the peer the seat that Seat.Export has exported, in a hub that has imported
// the state. What is due comes first: it is an edit at the place where the seat's log begins.
// Nothing is counted, and taps see nothing, because the session continues. Errors do not name the
// session.
func (h *Hub) Restore(p Peer, st SeatState, due []byte) (*Seat, error) {
	if err := st.check(due); err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case st.Session > h.sessions:
		return nil, fmt.Errorf("the last session number given is %d", h.sessions)
	case h.numbered[st.Session] != nil:
		return nil, errors.New("a session with this number is there already")
	case h.side.end < sideBegins:
		return nil, errors.New("the hub has imported no state")
	}
	s := h.newSeat(p)
	if st.Standby && h.order != nil {
		h.beginStandby(s)
		s.reader.standby = !st.Joining
	}
	s.pdusIn, s.limited, s.bytesIn, s.own = st.PDUsIn, st.Limited, st.BytesIn, st.PDUsOut+st.Passed
	s.reader.out, s.reader.master, s.master = st.Out, st.Master != st.RoleUnderway, st.Master
	s.writer.restore(&st)
	h.insertBefore(due, int(st.Due), s)
	h.seats[s] = struct{}{}
	if st.Session != 0 {
		s.setNumber(st.Session)
		h.numbered[st.Session] = s
	}
	return s, nil
}

// Restored returns an error if a session that was not restored holds users, which would never be
// released. If several hubs share the tenant, RestoreUnderway has them released.
func (h *Hub) Restored() error {
	if h.order != nil {
		return nil
	}
	h.presenceMu.Lock()
	defer h.presenceMu.Unlock()
	h.mu.Lock()
	defer h.mu.Unlock()
	for holder := range h.presence.Present() {
		if h.numbered[uint64(holder)] == nil {
			return fmt.Errorf("session %d holds %d users and was not restored", holder, h.presence.Holds(holder))
		}
	}
	return nil
}

// restore sets what was sent to the peer.
func (w *writer) restore(st *SeatState) {
	w.base, w.inserted = st.PDUsOut, st.PDUsOut
	w.sent.Store(st.PDUsOut)
	w.sentBytes.Store(st.BytesOut)
	w.since = counter{have: len(st.Begun), left: st.Left}
	copy(w.since.length[:], st.Begun)
}

// insertBefore is insert for a restored seat, which has no edits yet. The bytes were due
// before the side log began, so no seat lags because of those of another one. Called under mu.
//
//	due of this seat      ├──────────────┤
//	due of another one              ├────┤
//	side log                             ├──── sideBegins ──▶
func (h *Hub) insertBefore(due []byte, pdus int, s *Seat) {
	end := h.side.end
	h.insert(due, pdus, s)
	h.side.end = end
	for i := range s.added {
		s.added[i].side -= uint64(len(due))
	}
}

var (
	errBegun = errors.New("the part of a PDU that was written is not one")
	errDue   = errors.New("the bytes due do not end with a PDU")
)

// check returns an error if due cannot be what is due in that state.
func (st *SeatState) check(due []byte) error {
	rest, pdus := due, uint64(0)
	if len(st.Begun) > 0 {
		left := st.left(due)
		if left <= 0 || left > len(due) {
			return errBegun
		}
		rest, pdus = due[left:], 1
	} else if st.Left != 0 {
		return errBegun
	}
	for len(rest) > 0 {
		n, err := pdu.Next(rest, math.MaxInt)
		if err != nil {
			return fmt.Errorf("the bytes due: %w", err)
		}
		if n == 0 {
			return errDue
		}
		rest = rest[n:]
		pdus++
	}
	if pdus != st.Due {
		return fmt.Errorf("%d PDUs are due, but the bytes due are %d", st.Due, pdus)
	}
	return nil
}

// left returns how many bytes are due of the PDU that was begun, or 0 if due or the state is
// wrong.
func (st *SeatState) left(due []byte) int {
	var length [4]byte
	begun := copy(length[:], st.Begun)
	whole := begun + copy(length[begun:], due)
	n := int(binary.BigEndian.Uint32(length[:])) - begun
	switch {
	case begun != len(st.Begun) || whole < len(length) || n+begun < pdu.HeaderLen:
		return 0
	case begun < len(length) && st.Left == 0:
		return n
	case begun == len(length) && st.Left <= n:
		return st.Left
	}
	return 0
}
