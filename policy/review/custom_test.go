package review

import (
	"strings"
	"testing"

	"switchyard/pdu"
	"switchyard/pdu/message"
)

// A custom command has a row as one of the protocol, also of a service that nothing else names.
func TestCustomCommandsHaveRows(t *testing.T) {
	t.Cleanup(func() { message.SetCustom(nil, nil) })
	message.SetCustom([]pdu.Command{
		{Service: 0x20, ID: 0x2001, Name: "CID_MY_CHAT", Message: "IM.Message.IMMsgData"},
		{Service: 0x20, ID: 0x2002, Name: "CID_MY_PING"},
	}, nil)
	table := routes(t, "[route]\n0x2000-0x200f = 'unicast fields 1, not-sender'\n")
	var known []string
	for _, r := range table.Rows() {
		if r.Known && !r.Alike {
			known = append(known, r.Command+" "+r.Text())
		}
	}
	wantLines(t, known, "CID_MY_CHAT unicast fields from_user_id, not-sender", "CID_MY_PING unicast fields 1, not-sender")
	if !strings.Contains(table.Asked(), "0x0020") {
		t.Errorf("asked about %s", table.Asked())
	}
	// One that becomes known while a table is shown is not a fault.
	message.SetCustom([]pdu.Command{{Service: 0x30, ID: 0x3001, Name: "CID_MY_LATE"}}, nil)
	if rows, changes := table.Rows(), Compare(table, table, false); len(rows) == 0 || len(changes) != 0 {
		t.Errorf("%d rows, %d changes", len(rows), len(changes))
	}
	table.Warnings()
}
