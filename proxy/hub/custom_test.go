package hub_test

import (
	"testing"

	"switchyard/pdu"
	"switchyard/policy/abi"
	. "switchyard/proxy/hub"
	"switchyard/proxy/hub/hubtest"
)

// An audit has a row for each custom command, in the order of the ids.
func TestCustomCommandsAreAudited(t *testing.T) {
	t.Cleanup(func() { pdu.SetCustomCommands(nil) })
	const early, late = pdu.CommandID(0x0216), pdu.CommandID(0x9001)
	pdu.SetCustomCommands([]pdu.Command{{Service: 2, ID: early, Name: "CID_MY_EARLY"}, {Service: 0x90, ID: late, Name: "CID_MY_LATE"}})
	h := newHub(with(late, abi.BroadcastAll))
	h.SetAudit(generation(with(late, abi.Drop)))
	a := hubtest.Join(h)
	hubtest.Join(h)
	for range 2 {
		a.Send(t, message(late, 1, ""), message(0x9002, 1, ""), message(early, 1, ""), message(others, 1, ""))
	}
	p := message(late, 1, "")
	want := []AuditRow{{PDUs: 2}, {Command: early, PDUs: 2}, {Command: others, PDUs: 2, Sent: CopiesOf(2, p), Audited: CopiesOf(2, p)}, {Command: late, PDUs: 2, Sent: CopiesOf(4, p), Useless: CopiesOf(4, p)}}
	rows := h.Audit()
	if len(rows) != len(want) {
		t.Fatalf("rows %+v, want %d", rows, len(want))
	}
	for i, row := range rows {
		if row != want[i] {
			t.Errorf("got  %+v\nwant %+v", row, want[i])
		}
	}
}

// A custom command is counted by itself, from the moment on at which it is one.
func TestCustomCommandsAreCounted(t *testing.T) {
	t.Cleanup(func() { pdu.SetCustomCommands(nil) })
	const id = pdu.CommandID(0x9001)
	h := newHub(commonRules())
	peer := hubtest.Join(h)
	want := func(own, other, unknown uint64) {
		t.Helper()
		got := map[pdu.CommandID]uint64{}
		for _, c := range h.CommandStats() {
			got[c.Command] = c.PDUs
		}
		single := uint64(0)
		for _, c := range h.UnknownStats() {
			single += c.PDUs
		}
		if got[id] != own || got[0] != other || single != unknown {
			t.Errorf("own %d, other %d, of which %d are told apart; want %d, %d and %d", got[id], got[0], single, own, other, unknown)
		}
	}
	send := func(commands ...pdu.CommandID) {
		for _, c := range commands {
			peer.Send(t, message(c, 1, ""))
		}
	}
	send(id, 0x9002)
	want(0, 2, 2)
	pdu.SetCustomCommands([]pdu.Command{{Service: 0x90, ID: id, Name: "CID_MY_ORDER"}})
	send(id, id, 0x9002)
	want(2, 3, 2) // what came before stays among the others
	pdu.SetCustomCommands(nil)
	send(id)
	want(3, 3, 2)

	next := newHub(commonRules())
	if err := next.Import(sent(t, h.Export(noSeat)), emptyTable()); err != nil {
		t.Fatal(err)
	}
	h = next
	want(3, 3, 2)
}
