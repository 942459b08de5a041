package hub

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"

	"switchyard/pdu"
	"switchyard/pdu/body"
	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/proxy/order"
	"switchyard/proxy/presence"
)

// What hubs that share a tenant have in common after the same records are the sessions in the order
// and the user table. A hub that enters imports both from another one:
//
//	sessions 4, then each, see appendSession            chunks; items are never split
//	the user table                                      chunks, see package presence
//
// It has none of the entering hub's own sessions, because the others have dropped them. So that hub
// has its sessions join again (Rejoin), behind its own entry and before all that is under way.

const stateSession = 8 + 8 + 4 + 1 + 8

// ExportOrdered hands the sessions of all hubs and the user table to yield, in chunks of at most
// order.MaxStateChunk bytes, for ReadOrdered. A chunk is valid during the call. It returns the first
// error of yield. The user table is locked meanwhile.
func (h *Hub) ExportOrdered(yield func(chunk []byte) error) error {
	h.mu.Lock()
	sessions := maps.Clone(h.order.sessions)
	h.mu.Unlock()
	chunk := binary.BigEndian.AppendUint32(nil, uint32(len(sessions)))
	for session, as := range sessions {
		if len(chunk)+stateSession > order.MaxStateChunk {
			if err := yield(chunk); err != nil {
				return err
			}
			chunk = chunk[:0]
		}
		chunk = appendSession(chunk, session, as)
	}
	if err := yield(chunk); err != nil {
		return err
	}
	h.presenceMu.Lock()
	defer h.presenceMu.Unlock()
	return h.presence.Export(func(presence.Holder) bool { return true }, yield)
}

// ReadOrdered reads what ExportOrdered has handed out, and changes nothing. The function install puts it
// in the place of all sessions in the order and of the user table. Seats stay. The function next
// returns the chunks one after the other. If its first call returns io.EOF, the state is empty.
func (h *Hub) ReadOrdered(next func() (chunk []byte, err error)) (install func(), err error) {
	sessions, users, err := readOrdered(next)
	if err != nil {
		return nil, err
	}
	users.KeepSum()
	return func() { h.install(sessions, users) }, nil
}

// install puts sessions and users in force at one moment, under both locks.
func (h *Hub) install(sessions map[uint64]ordered, users *presence.Directory) {
	h.presenceMu.Lock()
	defer h.presenceMu.Unlock()
	h.mu.Lock()
	defer h.mu.Unlock()
	o := h.order
	h.presence = users
	o.sessions, o.far, o.farMasters = make(map[uint64]ordered, len(sessions)), 0, 0
	for session, as := range sessions {
		o.setSession(session, as)
	}
}

// readOrdered reads the state that next returns.
func readOrdered(next func() ([]byte, error)) (sessions map[uint64]ordered, users *presence.Directory, err error) {
	sessions, err = readSessions(next)
	if err == io.EOF {
		return nil, presence.New(), nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("the sessions of the state: %w", err)
	}
	if users, err = presence.Import(next); err != nil {
		return nil, nil, err
	}
	for holder := range users.Present() {
		if _, found := sessions[uint64(holder)]; !found {
			return nil, nil, fmt.Errorf("session %d holds users of the state and is not among its sessions", holder)
		}
	}
	return sessions, users, nil
}

// The flags of a session in the state.
const (
	flagMaster = 1 << iota
	flagAnnounced
	flagTakesOver
	flagAgain
	flagReplaced
	flagsAll = 1<<iota - 1
)

// appendSession appends what all hubs know of a session:
//
//	number 8, source 8, users 4, flags 1, replaces 8
func appendSession(dst []byte, session uint64, as ordered) []byte {
	dst = binary.BigEndian.AppendUint64(dst, session)
	dst = binary.BigEndian.AppendUint64(dst, as.Source)
	dst = binary.BigEndian.AppendUint32(dst, as.Users)
	flags := order.Flags(as.master, as.announced, as.TakesOver, as.Again, as.Replaced)
	return binary.BigEndian.AppendUint64(append(dst, flags), as.replaces)
}

// parseSession reads what appendSession has written behind the number.
func parseSession(b []byte) (ordered, error) {
	flags := b[12]
	if flags&^flagsAll != 0 {
		return ordered{}, errState
	}
	link := order.Link{Source: binary.BigEndian.Uint64(b), Users: binary.BigEndian.Uint32(b[8:]), TakesOver: flags&flagTakesOver != 0, Again: flags&flagAgain != 0, Replaced: flags&flagReplaced != 0}
	return ordered{link, flags&flagMaster != 0, flags&flagAnnounced != 0, binary.BigEndian.Uint64(b[13:])}, nil
}

var errState = errors.New("a chunk is not what a hub exports")

// readSessions returns io.EOF if that is what next returns first.
func readSessions(next func() ([]byte, error)) (map[uint64]ordered, error) {
	chunk, err := next()
	if err != nil {
		return nil, err
	}
	if len(chunk) < 4 {
		return nil, errState
	}
	left := binary.BigEndian.Uint32(chunk)
	sessions := make(map[uint64]ordered)
	for chunk = chunk[4:]; ; {
		if uint64(len(chunk)) > stateSession*uint64(left) || len(chunk)%stateSession != 0 {
			return nil, errState
		}
		for ; len(chunk) > 0; left-- {
			if sessions[binary.BigEndian.Uint64(chunk)], err = parseSession(chunk[8:]); err != nil {
				return nil, err
			}
			chunk = chunk[stateSession:]
		}
		if left == 0 {
			return sessions, nil
		}
		if chunk, err = next(); err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return nil, err
		}
		if len(chunk) == 0 {
			return nil, errState
		}
	}
}

// rejoinStep is how many users one announcement of Rejoin has at most: about 20 KiB.
const rejoinStep = 1000

// Rejoin hands records to say by which this hub's sessions in the order join again, with their roles
// and users. A record is valid during the call. They must come back before all that is under way.
// Rejoin is called before the function install of ReadOrdered, and before DropHub of this hub's own
// number, as these remove what it reads. Announced users cause no notices. Their room in the user table
// is not limited, because they had it before.
func (h *Hub) Rejoin(say func(*order.Record)) {
	h.mu.Lock()
	sessions := maps.Clone(h.order.sessions)
	h.mu.Unlock()
	ahead := 0
	sayOne := func(r order.Record) {
		say(&r)
		ahead++
	}
	for _, session := range slices.Sorted(maps.Keys(sessions)) {
		if hubOf(session) != h.order.hub {
			continue
		}
		as := sessions[session]
		sayOne(order.Record{Kind: order.Joined, Session: session, Link: h.linkAgain(session, as)})
		if as.master {
			sayOne(ofHandler(session, abi.RoleSet, pdu.Append(nil, pdu.SID_OTHER, pdu.CID_OTHER_ROLE_SET, 0, []byte{1 << 3, 1})))
		}
		h.announceHeld(session, sayOne)
	}
	h.mu.Lock()
	h.order.ahead += ahead
	h.mu.Unlock()
}

// announceHeld says which users the session holds.
func (h *Hub) announceHeld(session uint64, say func(order.Record)) {
	held := func(at, max int, dst []body.ServerUserStat) ([]body.ServerUserStat, int) {
		return h.Held(session, at, max, dst)
	}
	for p := range announcements(held) {
		say(ofHandler(session, abi.OnlineUserInfo, p))
	}
}

// announcements returns PDUs that announce all users that held returns, see presence.Directory.Held.
func announcements(held func(at, max int, dst []body.ServerUserStat) ([]body.ServerUserStat, int)) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		var step []body.ServerUserStat
		for at := -1; at != 0; {
			if step, at = held(at, rejoinStep, step[:0]); len(step) == 0 {
				continue
			}
			p := pdu.Append(nil, pdu.SID_OTHER, pdu.CID_OTHER_ONLINE_USER_INFO, 0, nil)
			for _, stat := range step {
				p = body.AppendOnlineUser(p, stat)
			}
			if pdu.SetLength(p); !yield(p) {
				return
			}
		}
	}
}

// ofHandler returns the record of one PDU for a handler.
func ofHandler(session uint64, handler policy.Verdict, p []byte) order.Record {
	return order.Record{Kind: order.Batch, Session: session, Runs: []order.Run{{Verdict: abi.Handle | handler<<abi.ArgumentShift, PDUs: 1, Bytes: p}}}
}
