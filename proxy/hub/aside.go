package hub

import (
	"bytes"
	"fmt"
	"io"

	"switchyard/pdu/body"
	"switchyard/policy/abi"
	"switchyard/proxy/order"
	"switchyard/proxy/presence"
)

// What standby sessions report of their users is kept aside, in a table for each of them, by the rules
// of the user table. All of these tables together may have as many entries as the user table: each
// msg_server has one standby session at a hub, or none, so there is room for all users that the hubs
// can serve. A reader adds to its own table without a lock, after it has reserved room for as much as it
// may add. That can be more than it adds in the end:
//
//	all tables   ├── entries ──┤▒▒▒▒ reserved by a ▒▒▒▒├ room ┤
//	later        ├── entries ──┤ added by a ├────── room ──────┤
//
// So a reader that finds no room tries again when nobody else has reserved any.

// keepAside keeps what a standby session reports of its users.
func (h *Hub) keepAside(from *reader, handler uint32, b []byte) Reason {
	if from.aside == nil {
		from.aside = presence.New()
	}
	switch handler {
	case abi.OnlineUserInfo:
		info, err := body.ReadOnlineUserInfo(b, h.furtherClients())
		if err != nil {
			return MalformedBody
		}
		return h.addAside(func() (added, scarce bool) { return h.announceAside(from, info) })
	case abi.UserStatusUpdate:
		stat, err := body.ReadUserStatusUpdate(b, h.furtherClients())
		switch {
		case err != nil:
			return MalformedBody
		case !stat.Announceable():
			return BadStatus
		}
		return h.addAside(func() (added, scarce bool) { return h.updateAside(from, stat) })
	case abi.RoleSet: // to be no master, which it is not
		if _, err := body.ReadRoleSet(b); err != nil {
			return MalformedBody
		}
		return ""
	}
	return Standby
}

// addAside calls try, which adds to a reader's table if there is room. If all tables together have
// too little, it calls try again.
func (h *Hub) addAside(try func() (added, scarce bool)) Reason {
	reserving := &h.order.reserving
	reserving.RLock()
	added, scarce := try()
	reserving.RUnlock()
	if scarce {
		reserving.Lock()
		added, _ = try()
		reserving.Unlock()
	}
	if !added {
		return PresenceFull
	}
	return ""
}

// announceAside is what addAside tries for an announcement.
func (h *Hub) announceAside(from *reader, info body.OnlineUserInfo) (added, scarce bool) {
	room, scarce := h.reserveAside(from, info.Len)
	defer h.settleAside(from, from.aside.Entries()+room)
	if info.Len > room && !from.aside.AddsAtMost(room, from.holder(), info.All()) {
		return false, scarce
	}
	for stat := range info.All() {
		from.aside.Apply(from.holder(), stat)
	}
	return true, false
}

// updateAside is what addAside tries for a status.
func (h *Hub) updateAside(from *reader, stat body.ServerUserStat) (added, scarce bool) {
	room, scarce := h.reserveAside(from, 1)
	defer h.settleAside(from, from.aside.Entries()+room)
	if room == 0 && from.aside.Adds(from.holder(), stat) {
		return false, scarce
	}
	from.aside.Apply(from.holder(), stat)
	return true, false
}

// reserveAside reserves room for n more entries of the reader's table. It returns how many of them
// fit, and whether all tables together have too little room. The caller must then call settleAside.
func (h *Hub) reserveAside(from *reader, n int) (room int, scarce bool) {
	wanted := int64(max(0, min(n, from.aside.Room(from.holder(), 0, int(h.peerUsers.Load())))))
	most := h.users.Load()
	for all := &h.order.aside; ; {
		had, room := all.Load(), wanted
		if most > 0 {
			room = max(0, min(room, most-had))
		}
		if all.CompareAndSwap(had, had+room) {
			return int(room), room < wanted
		}
	}
}

// settleAside counts the entries of the reader's table, of which reserved were counted before.
func (h *Hub) settleAside(from *reader, reserved int) {
	h.order.aside.Add(int64(from.aside.Entries() - reserved))
}

// dropAside removes the reader's table.
func (h *Hub) dropAside(from *reader) {
	if from.aside != nil {
		h.order.aside.Add(-int64(from.aside.Entries()))
		from.aside = nil
	}
}

// AsideEntries returns how many users standby sessions have reported, each counted once for each of
// these sessions. It is 0 for a lone hub.
func (h *Hub) AsideEntries() int {
	if h.order == nil {
		return 0
	}
	return int(h.order.aside.Load())
}

func (from *reader) heldAside(at, max int, dst []body.ServerUserStat) ([]body.ServerUserStat, int) {
	return from.aside.Held(from.holder(), at, max, dst)
}

// exportAside returns what standby sessions have reported. Called under mu.
func (h *Hub) exportAside() map[uint64][][]byte {
	all := make(map[uint64][][]byte)
	for session, s := range h.numbered {
		if aside := s.reader.aside; aside != nil {
			aside.Export(func(presence.Holder) bool { return true }, func(chunk []byte) error {
				all[session] = append(all[session], bytes.Clone(chunk))
				return nil
			})
		}
	}
	return all
}

// restoreAside sets what exportAside has returned. Called under mu.
func (h *Hub) restoreAside(all map[uint64][][]byte) error {
	for session, chunks := range all {
		s := h.numbered[session]
		if s == nil {
			continue // it has not moved
		}
		aside, err := presence.Import(order.Chunks(chunks, io.ErrUnexpectedEOF))
		if err != nil {
			return fmt.Errorf("what session %d has reported: %w", session, err)
		}
		s.reader.aside = aside
		h.settleAside(&s.reader, 0)
	}
	return nil
}
