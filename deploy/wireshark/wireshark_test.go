package wireshark

import (
	"bytes"
	"strings"
	"testing"

	"switchyard/pdu"
)

// The tables in the dissector are those that would be generated now.
func TestTablesAreFresh(t *testing.T) {
	fresh, err := Update(dissector, pdu.Commands)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(dissector, fresh) {
		t.Error("teamtalk.lua is stale; run go generate ./deploy/wireshark/generate")
	}
	for _, damaged := range []string{"", begin, end + begin} {
		if _, err := Update([]byte(damaged), nil); err == nil {
			t.Errorf("%q has been updated", damaged)
		}
	}
}

func TestDissectorHasCustomCommands(t *testing.T) {
	t.Cleanup(func() { pdu.SetCustomCommands(nil) })
	pdu.SetCustomCommands([]pdu.Command{
		{Service: 9, ID: 0x0901, Name: "CID_MY_ORDER", Message: "my.Order"},
		{Service: 9, ID: 0x0902, Name: "CID_MY_PING"},
	})
	text, err := Dissector()
	if err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]int{`  [0x0901] = "CID_MY_ORDER",`: 1, `  [0x0901] = "my.Order",`: 1, `  [0x0902] = `: 1, `  [0x0301] = "CID_MSG_DATA",`: 1} {
		if got := strings.Count(string(text), line); got != want {
			t.Errorf("%s is there %d times, want %d", line, got, want)
		}
	}
}
