package hub_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"switchyard/pdu"
	. "switchyard/proxy/hub"
	"switchyard/proxy/hub/hubtest"
)

// emptyTable is the exported table of a hub without users.
func emptyTable() func() ([]byte, error) {
	return func() ([]byte, error) { return make([]byte, 4+8), nil }
}

func noSeat(*Seat) bool { return false }

// nextHub returns a hub that continues from the state of another one, after change.
func nextHub(t *testing.T, change func(*State)) (*Hub, error) {
	t.Helper()
	old := newHub(commonRules())
	for range 3 {
		a := hubtest.Join(old)
		a.Send(t, message(others, 1, "text"), message(0x7777, 1, "unknown"))
		a.Leave(PeerClosed)
	}
	st := sent(t, old.Export(noSeat))
	change(&st)
	h := newHub(commonRules())
	return h, h.Import(st, emptyTable())
}

func TestImportRefusesCounts(t *testing.T) {
	for want, change := range map[string]func(*State){
		"the counts have 6 actions, not 7":                             func(st *State) { st.Actions = st.Actions[1:] },
		"counts of command 0x0101 have 8 actions, not 7":               func(st *State) { st.Commands[1].Command, st.Commands[1].Actions = 0x101, make([]uint64, 8) },
		"counts of command 0x7777 have 0 actions, not 7":               func(st *State) { st.Unknown[0].Actions = nil },
		"counts of command 0x0901 have 8 actions, not 7":               func(st *State) { st.Custom = []CommandState{{Command: 0x901, Actions: make([]uint64, 8)}} },
		"7 PDUs were received, but 6 accepted, dropped or under way":   func(st *State) { st.Received++ },
		"6 PDUs were received, but 106 accepted, dropped or under way": func(st *State) { st.Dropped[ByPolicy] += 100 },
		"18446744073709551615 PDUs were received, but 6 acc":           func(st *State) { st.Received = 1<<64 - 1 },
	} {
		if _, err := nextHub(t, change); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	used, st := newHub(commonRules()), newHub(commonRules()).Export(noSeat)
	hubtest.Join(used)
	if err := used.Import(st, emptyTable()); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a hub with a seat: %v", err)
	}
	if err := newHub(commonRules()).Import(st, func() ([]byte, error) { return nil, io.EOF }); !errors.Is(err, io.EOF) {
		t.Errorf("without a table: %v", err)
	}
}

// A session that holds users and is not restored is noticed.
func TestRestoredMissesHolder(t *testing.T) {
	old := newHub(commonRules())
	a, b := hubtest.Join(old), hubtest.Join(old)
	b.Send(t, online(1, 2))
	move := func(*Seat) bool { return true }
	h := newHub(commonRules())
	if err := h.Import(old.Export(move), func() (table []byte, err error) {
		return table, old.ExportPresence(move, func(chunk []byte) error { table = bytes.Clone(chunk); return nil })
	}); err != nil {
		t.Fatal(err)
	}
	for _, g := range []*hubtest.Peer{a, b} {
		if err := h.Restored(); err == nil || err.Error() != "session 2 holds 2 users and was not restored" {
			t.Errorf("got %v", err)
		}
		st, due, _ := g.Export(1 << 20)
		if _, err := h.Restore(&hubtest.Peer{}, st, due); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.Restored(); err != nil {
		t.Error(err)
	}
}

// The limit of unknown commands that are counted separately is kept by the next hub.
func TestImportKeepsRoomForUnknownCommands(t *testing.T) {
	old := newHub(commonRules())
	a := hubtest.Join(old)
	for c := range pdu.CommandID(40) {
		a.Send(t, message(0x7000+c, 0, ""))
	}
	h := newHub(commonRules())
	if err := h.Import(sent(t, old.Export(noSeat)), emptyTable()); err != nil {
		t.Fatal(err)
	}
	b := hubtest.Join(h)
	for c := range pdu.CommandID(40) {
		b.Send(t, message(0x7100+c, 0, ""))
	}
	if n := len(h.UnknownStats()); n != 64 || b.Session() != 2 {
		t.Errorf("%d commands are counted separately, want 64; the session is %d, want 2", n, b.Session())
	}
}

func TestRestoreRefuses(t *testing.T) {
	p := message(others, 1, "0123456789")
	for _, tt := range []struct {
		name string
		st   SeatState
		due  []byte
		want string // empty if it is accepted
	}{
		{"nothing due", SeatState{Session: 2}, nil, ""},
		{"no session yet", SeatState{}, nil, ""},
		{"a PDU", SeatState{Session: 2, Due: 1}, p, ""},
		{"part of a PDU, whose length was not sent", SeatState{Session: 2, Due: 2, Begun: p[:3]}, append(p[3:], p...), ""},
		{"part of a PDU, whose length was sent", SeatState{Session: 2, Due: 2, Begun: p[:4], Left: 1}, append(p[25:], p...), ""},

		{"taken", SeatState{Session: 1}, nil, "a session with this number is there already"},
		{"not given yet", SeatState{Session: 4}, nil, "the last session number given is 3"},
		{"more PDUs", SeatState{Session: 2, Due: 2}, p, "2 PDUs are due, but the bytes due are 1"},
		{"nothing although a PDU is due", SeatState{Session: 2, Due: 1}, nil, "1 PDUs are due, but the bytes due are 0"},
		{"cut", SeatState{Session: 2, Due: 1}, p[:25], "the bytes due do not end with a PDU"},
		{"illegal length", SeatState{Session: 2, Due: 1}, make([]byte, 16), "PDU length 0 is below"},
		{"begun, and nothing due", SeatState{Session: 2, Due: 1, Begun: p[:4], Left: 22}, nil, "the part of a PDU"},
		{"begun, of a PDU without length", SeatState{Session: 2, Due: 1, Begun: p[:2]}, p[2:3], "the part of a PDU"},
		{"begun, and too little due", SeatState{Session: 2, Due: 1, Begun: p[:2]}, p[2:25], "the part of a PDU"},
		{"begun, and more left than the PDU has", SeatState{Session: 2, Due: 1, Begun: p[:4], Left: 23}, make([]byte, 23), "the part of a PDU"},
		{"begun, and less than nothing left", SeatState{Session: 2, Due: 1, Begun: p[:4], Left: -1}, p, "the part of a PDU"},
		{"begun, and left although it has no length", SeatState{Session: 2, Due: 1, Begun: p[:3], Left: 3}, p[3:], "the part of a PDU"},
		{"begun, with an illegal length", SeatState{Session: 2, Due: 1, Begun: []byte{0, 0, 0}}, make([]byte, 20), "the part of a PDU"},
		{"begun with five bytes", SeatState{Session: 2, Due: 1, Begun: p[:5], Left: 21}, p[5:], "the part of a PDU"},
		{"left although nothing was begun", SeatState{Session: 2, Due: 1, Left: 5}, p, "the part of a PDU"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h, err := nextHub(t, func(*State) {})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := h.Restore(&hubtest.Peer{}, SeatState{Session: 1}, nil); err != nil {
				t.Fatal(err)
			}
			before := h.Counts()
			_, err = h.Restore(&hubtest.Peer{}, tt.st, tt.due)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if after := h.Counts(); tt.want != "" && (after.Sessions != before.Sessions || after.Due != before.Due) {
				t.Errorf("the refused seat is counted: %+v", after)
			}
		})
	}
	if _, err := newHub(commonRules()).Restore(&hubtest.Peer{}, SeatState{}, nil); err == nil {
		t.Error("a hub without an imported state has restored a seat")
	}
}

// Whatever a state says, it is refused, or the peer gets exactly the bytes due, and the counts
// add up.
func FuzzRestore(f *testing.F) {
	p := message(others, 1, "0123456789")
	f.Add([]byte(nil), 0, uint64(2), append(slices.Clone(p), p...), uint8(7))
	f.Add(p[:3], 0, uint64(1), p[3:], uint8(5))
	f.Add(p[:4], 12, uint64(2), append(slices.Clone(p[14:]), p...), uint8(11))
	f.Fuzz(func(t *testing.T, begun []byte, left int, pdus uint64, due []byte, step uint8) {
		h := newHub(commonRules())
		if err := h.Import(newHub(commonRules()).Export(noSeat), emptyTable()); err != nil {
			t.Fatal(err)
		}
		g := &hubtest.Peer{Hub: h}
		seat, err := h.Restore(g, SeatState{Begun: begun, Left: left, Due: pdus, PDUsOut: 5, BytesOut: 100}, due)
		if err != nil {
			return
		}
		for g.Seat = seat; g.ReadSome(1+int(step), 1+int(step)) > 0; {
		}
		if c := h.Counts(); !bytes.Equal(g.Got, due) || c.Delivered != 5+pdus || c.Pending != 0 || c.BytesOut != 100+uint64(len(due)) {
			t.Errorf("got %d bytes of %d, counts %+v", len(g.Got), len(due), c)
		}
	})
}

// What is due to a restored seat does not count as the lag of another one, however many are restored.
func TestRestoredSeatsLagByThemselves(t *testing.T) {
	old := newHub(commonRules())
	var peers []*hubtest.Peer
	for range 20 {
		peers = append(peers, hubtest.Join(old))
	}
	p := message(everyone, 1, strings.Repeat("x", 300<<10))
	peers[0].Send(t, p)
	h := newHub(commonRules())
	if err := h.Import(old.Export(func(*Seat) bool { return true }), emptyTable()); err != nil {
		t.Fatal(err)
	}
	for i, g := range peers {
		st, due, ok := g.Export(1 << 20)
		if !ok {
			t.Fatalf("peer %d cannot move", i)
		}
		g.Depart()
		peers[i] = &hubtest.Peer{Hub: h}
		peers[i].Seat, _ = h.Restore(peers[i], st, due)
	}
	for i, g := range peers {
		if lag, most := g.Lag(), uint64(len(p)+10*EditSize); lag < uint64(len(p)) || lag > most {
			t.Errorf("peer %d lags %d bytes, want %d to %d", i, lag, len(p), most)
		}
	}
	after := message(others, 2, "after")
	peers[0].Send(t, after)
	for i, g := range peers[1:] {
		g.Expect(t, fmt.Sprint("peer ", i+1), p, after)
	}
	peers[0].Expect(t, "peer 0", p)
}

// A seat can move only if its peer can be sent what is due to it.
func TestSeatsThatCannotMove(t *testing.T) {
	h := newHub(commonRules())
	a, b, c, d := hubtest.Join(h), hubtest.Join(h), hubtest.Join(h), hubtest.Join(h)
	a.Send(t, message(others, 1, "0123456789"))
	for limit, want := range map[int]bool{25: false, 26: true} {
		if _, _, ok := b.Export(limit); ok != want {
			t.Errorf("26 bytes due, with a limit of %d: %v", limit, ok)
		}
	}
	b.ReadSome(3, 1) // of the length of the PDU
	a.Send(t, message(others, 2, "0123456789"))
	for limit, want := range map[int]bool{25: false, 26: true} {
		if _, _, ok := b.Export(limit); ok != want {
			t.Errorf("26 bytes due behind a PDU that was begun, with a limit of %d: %v", limit, ok)
		}
	}
	c.PassOver(h.Head())
	h.Leave(d.Seat)
	for name, g := range map[string]*hubtest.Peer{"that was passed over": c, "that has left": d} {
		if _, _, ok := g.Export(1 << 20); ok {
			t.Errorf("a seat %s can move", name)
		}
	}
}

// A seat that departs leaves nothing behind in its hub, and nothing is counted.
func TestDepart(t *testing.T) {
	h := newHub(commonRules())
	a, b := hubtest.Join(h), hubtest.Join(h)
	a.Send(t, online(1), message(everyone, 1, strings.Repeat("x", 3*ChunkSize)), message(others, 1, "text"))
	b.ReadSome(1<<20, 100)
	a.Depart()
	b.Depart()
	if c := h.Counts(); c.Sessions != 0 || c.Due != 0 || len(c.Closed) != 0 || h.EditCap() != 0 || h.Users() != 1 {
		t.Errorf("counts %+v, memory for %d edits, %d users", c, h.EditCap(), h.Users())
	}
	if log, side := h.LastRefs(); log != 1 || side > 1 || len(h.Sessions(nil)) != 0 {
		t.Errorf("the last chunks of the logs have %d and %d references", log, side)
	}
}
