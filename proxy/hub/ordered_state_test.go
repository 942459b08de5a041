package hub_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"switchyard/pdu"
	"switchyard/pdu/body"
	"switchyard/policy/policytest"
	. "switchyard/proxy/hub"
	"switchyard/proxy/hub/hubtest"
	"switchyard/proxy/order"
)

// Rejoin restores the sessions of a hub with their roles and users, ahead of what is under way, also if
// it happens twice. Until they have joined, the hub cannot move to another process.
func TestRejoin(t *testing.T) {
	w := newWire(t, policytest.Active(roleRules{sharedRules()}), 2)
	a, b, other := hubtest.Join(w.hubs[0]), hubtest.Join(w.hubs[0]), hubtest.Join(w.hubs[1])
	a.Send(t, online(1, 2, 3), status(1, 1), pdu.Append(nil, 7, pdu.CID_OTHER_ROLE_SET, 0, []byte{8, 1}))
	b.Send(t, online(5))
	other.Send(t, online(9))
	w.pass()
	for _, g := range []*hubtest.Peer{a, b, other} {
		g.Read()
		g.Got = nil
	}
	before := w.sums()
	toMasters := message(pdu.CID_MSG_UNREAD_CNT_REQUEST, 2, "for masters")
	b.Send(t, toMasters, online(6))
	ask := pdu.Append(nil, 2, pdu.CID_BUDDY_LIST_USERS_STATUS_REQUEST, 3, []byte{8, 1, 0x10, 1})
	for range 2 {
		var again []*order.Record
		w.hubs[0].Rejoin(func(r *order.Record) { again = append(again, wireEnd{w, 1}.copied(r)) })
		for _, h := range w.hubs {
			h.DropHub(1)
		}
		if w.hubs[0].Users() != 1 {
			t.Errorf("%d users after the hub was dropped, want that of the other one", w.hubs[0].Users())
		}
		imported := importOrdered(t, w.hubs[1], w.hubs[0])
		if imported != nil {
			t.Fatal(imported)
		}
		w.held = append(again, w.held...)
		other.Send(t, ask) // nothing of its hub is under way
		a.Send(t, ask)
		for range 2 { // only a part comes back before the hub enters once more
			for _, h := range w.hubs {
				h.Apply(w.held[0])
			}
			w.held = w.held[1:]
		}
	}
	if _, err := w.hubs[0].ExportUnderway(); err == nil || w.hubs[0].Movable() == nil || w.hubs[1].Movable() != nil {
		t.Error("a hub can move although its sessions have not joined again, or the other one cannot")
	}
	rest := w.held[len(w.held)-1]
	w.held = w.held[:len(w.held)-1]
	w.pass()
	if after := w.sums(); len(after) != 1 || after[0] != before[0] {
		t.Errorf("the sums are %x, before they were %x", after, before)
	}
	w.held = append(w.held, rest)
	w.pass()
	other.Send(t, toMasters)
	w.pass()
	answer := body.AppendAttachData(body.AppendUserStat(body.AppendUsersStatusResponse(pdu.Append(nil, 2, pdu.CID_BUDDY_LIST_USERS_STATUS_RESPONSE, 3, nil), 1), 1, body.Online), nil)
	pdu.SetLength(answer)
	a.Expect(t, "the master", toMasters, answer, answer, toMasters) // the questions wait until it has its users again
	if c := hubtest.Conserved(t, w.hubs[0]); c.Underway != 0 || w.hubs[1].Users() != 6 {
		t.Errorf("%d PDUs under way, %d users; want none, and 6", c.Underway, w.hubs[1].Users())
	}
	if c := hubtest.Conserved(t, w.hubs[1]); c.Dropped[NoHolder] != 0 {
		t.Errorf("the other hub knows no master: %v", c.Dropped)
	}
}

// importOrdered has one hub import what another one exports.
func importOrdered(t *testing.T, from, to *Hub) error {
	var chunks [][]byte
	if err := from.ExportOrdered(func(chunk []byte) error {
		chunks = append(chunks, bytes.Clone(chunk))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return takeOver(to, feedOf(chunks))
}

// takeOver has a hub read a state and install it.
func takeOver(h *Hub, next func() ([]byte, error)) error {
	install, err := h.ReadOrdered(next)
	if err == nil {
		install()
	}
	return err
}

func feedOf(chunks [][]byte) func() ([]byte, error) { return order.Chunks(chunks, io.EOF) }

// A hub imports nothing but whole states, and is as before if it does not.
func TestReadOrderedRefuses(t *testing.T) {
	w := newWire(t, policytest.Active(roleRules{sharedRules()}), 2)
	a := hubtest.Join(w.hubs[0])
	hubtest.Join(w.hubs[1])
	a.Send(t, online(1, 2, 3))
	w.pass()
	sum := w.hubs[1].TableSum()
	var chunks [][]byte
	w.hubs[0].ExportOrdered(func(chunk []byte) error {
		chunks = append(chunks, bytes.Clone(chunk))
		return nil
	})
	session := (len(chunks[0]) - 4) / 2 // bytes for each of the two
	noSession := bytes.Clone(chunks[0])
	noSession[4]++ // both sessions have other numbers, so also the one that holds the users
	noSession[4+session]++
	flag := bytes.Clone(chunks[0])
	flag[4+20] |= 0x80
	errWire := errors.New("the connection is cut")
	for name, next := range map[string]func() ([]byte, error){
		"error":           func() ([]byte, error) { return nil, errWire },
		"cut number":      feedOf([][]byte{chunks[0][:3]}),
		"cut session":     feedOf([][]byte{chunks[0][:len(chunks[0])-1]}),
		"more sessions":   feedOf([][]byte{append(bytes.Clone(chunks[0]), make([]byte, session)...)}),
		"unknown flag":    feedOf([][]byte{flag, chunks[1]}),
		"no table":        feedOf(chunks[:1]),
		"fewer sessions":  feedOf([][]byte{chunks[0][:4+session], {}}),
		"without session": feedOf([][]byte{noSession, chunks[1]}),
	} {
		if err := takeOver(w.hubs[1], next); err == nil {
			t.Errorf("%s: imported", name)
		}
		if w.hubs[1].TableSum() != sum {
			t.Fatalf("%s: the table has changed", name)
		}
	}
	if err := takeOver(w.hubs[1], feedOf(nil)); err != nil || w.hubs[1].Users() != 0 || w.hubs[1].TableSum() != 0 {
		t.Errorf("an empty state: %v, %d users", err, w.hubs[1].Users())
	}
}

// A state can have more sessions than one chunk has room for.
func TestManySessionsMove(t *testing.T) {
	const sessions = 60_000
	w := newWire(t, policytest.Active(roleRules{sharedRules()}), 2)
	for n := range uint64(sessions) {
		w.hubs[0].Apply(&order.Record{Kind: order.Joined, Origin: order.Origin{Hub: 3}, Session: 3<<HubShift + n})
	}
	if err := importOrdered(t, w.hubs[0], w.hubs[1]); err != nil {
		t.Fatal(err)
	}
	if got := w.hubs[1].SessionsInOrder(); got != sessions {
		t.Errorf("%d of %d sessions were imported", got, sessions)
	}
}
