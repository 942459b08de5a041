package pdu_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"switchyard/pdu"
)

// testdata/commands.tsv lists the protocol's commands: service, its id, command, its
// id, message. Commands has the same entries in the same order.
func TestCommandsAreTheListed(t *testing.T) {
	text, err := os.ReadFile("testdata/commands.tsv")
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Split(strings.TrimSpace(string(text)), "\n")[1:]

	var got []string
	for _, c := range pdu.Commands {
		if c.ID.Service() != c.Service {
			t.Errorf("%s belongs to %v by its id, and to %v", c.Name, c.ID.Service(), c.Service)
		}
		got = append(got, fmt.Sprintf("%s\t0x%04x\t%s\t0x%04x\t%s", c.Service, uint16(c.Service), c.Name, uint16(c.ID), c.Message))
	}
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			t.Errorf("line %d: Commands ends before %q", i+2, want[i])
		case i >= len(want):
			t.Errorf("Commands has more: %q", got[i])
		case got[i] != want[i]:
			t.Errorf("line %d:\ngot  %q\nwant %q", i+2, got[i], want[i])
		}
	}
}

func TestCommandByID(t *testing.T) {
	known := 0
	for id := range 0x10000 {
		c, ok := pdu.CommandByID(pdu.CommandID(id))
		if !ok {
			if c != (pdu.Command{}) {
				t.Errorf("0x%04x: got %+v though it is unknown", id, c)
			}
			continue
		}
		known++
		if int(c.ID) != id || !slices.Contains(pdu.Commands, c) {
			t.Errorf("0x%04x: got %+v", id, c)
		}
	}
	if want := len(pdu.Commands); known != want {
		t.Errorf("got %d known ids, want %d", known, want)
	}
}

func TestString(t *testing.T) {
	for _, c := range []struct {
		value fmt.Stringer
		want  string
	}{
		{pdu.SID_LOGIN, "SID_LOGIN"},
		{pdu.SID_INTERNAL, "SID_INTERNAL"},
		{pdu.ServiceID(0), "0x0000"},
		{pdu.ServiceID(9), "0x0009"},
		{pdu.ServiceID(0xffff), "0xffff"},
		{pdu.CID_LOGIN_REQ_MSGSERVER, "CID_LOGIN_REQ_MSGSERVER"},
		{pdu.CID_OTHER_FILE_SERVER_IP_RSP, "CID_OTHER_FILE_SERVER_IP_RSP"},
		{pdu.CommandID(0), "0x0000"},
		{pdu.CommandID(0x070c), "0x070c"},
		{pdu.CommandID(0xffff), "0xffff"},
	} {
		if got := c.value.String(); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
}
