package table

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"switchyard/pdu"
	"switchyard/policy/abi"
)

const senderRules = `
[from.admin]
CID_OTHER_SERVER_KICK_USER = "broadcast-except-sender, also group archive"
[from.guests]
CID_MSG_DATA  = "drop, log"
0x0300-0x03ff = "consume"
[from.master]
CID_MSG_READ_NOTIFY = "unicast master"
[from.zone]
else = "close"
[route]
CID_OTHER_SERVER_KICK_USER = "drop, log"
CID_OTHER_ROLE_SET         = "handle role-set"
CID_MSG_READ_ACK           = "unicast group archive"
else                       = "broadcast-all"
[route.CID_MSG_DATA]
"msg_type = 1" = "unicast fields from_user_id"
else           = "broadcast-except-sender"
[service.SID_FILE]
0x0333 = "unicast sender"
`

// The names in alphabetical order: admin 0, archive 1, guests 2, zone 3.
const (
	admin  = 1 << 32
	guests = 1 << 34
	zone   = 1 << 35
	master = 1
)

// The section of the first group of the sender that has a rule decides, and else the common rules. The
// module and what explains it agree.
func TestFrom(t *testing.T) {
	table := parse(t, senderRules)
	if want := []string{"admin", "archive", "guests", "zone"}; !slices.Equal(table.Groups(), want) {
		t.Fatalf("it names %q, want %q", table.Groups(), want)
	}
	g := loadGuest(t, table.Module())
	at := g.call(abi.Groups)
	if text, ok := g.Memory().Read(uint32(at>>32), uint32(at)); !ok || string(text) != "admin\narchive\nguests\nzone" {
		t.Errorf("the module names %q", text)
	}
	single := []byte("\x08\x01\x10\x02\x18\x03\x20\x04\x28\x01")
	for _, test := range []struct {
		command    pdu.CommandID
		attributes uint64
		body       []byte
		want, by   string
	}{
		{pdu.CID_OTHER_SERVER_KICK_USER, 0, nil, "drop, log", ""},
		{pdu.CID_OTHER_SERVER_KICK_USER, master, nil, "drop, log", ""},
		{pdu.CID_OTHER_SERVER_KICK_USER, admin, nil, "broadcast-except-sender, also group archive", "from admin"},
		{pdu.CID_OTHER_SERVER_KICK_USER, admin | zone, nil, "broadcast-except-sender, also group archive", "from admin"},
		{pdu.CID_OTHER_SERVER_KICK_USER, guests | zone, nil, "close", "from zone"},
		{pdu.CID_OTHER_ROLE_SET, admin | guests, nil, "handle role-set", ""},
		{pdu.CID_MSG_DATA, guests, single, "drop, log", "from guests"},
		{pdu.CID_MSG_DATA, admin, single, "unicast fields 1", "msg_type = 1"},
		{pdu.CID_MSG_DATA, 0, nil, "broadcast-except-sender", ""},
		{pdu.CID_MSG_DATA, zone, single, "close", "from zone"},
		{pdu.CID_MSG_DATA, guests, make([]byte, bodyLimit+1), "drop, log", "from guests"},
		{pdu.CID_MSG_DATA, admin, make([]byte, bodyLimit+1), "broadcast-except-sender", ""},
		{0x0333, guests, nil, "consume", "from guests"},
		{0x0333, 0, nil, "broadcast-all", ""},
		{pdu.CID_MSG_READ_NOTIFY, master, nil, "unicast master", "from master"},
		{pdu.CID_MSG_READ_NOTIFY, master | guests, nil, "consume", "from guests"},
		{pdu.CID_MSG_READ_NOTIFY, 0, nil, "broadcast-all", ""},
		{pdu.CID_MSG_READ_ACK, admin, nil, "unicast group archive", ""},
		{0xffff, zone, nil, "close", "from zone"},
		{0xffff, 0, nil, "broadcast-all", ""},
	} {
		sender := Sender{Master: test.attributes&master != 0}
		for n, name := range table.Groups() {
			if test.attributes>>(32+n)&1 != 0 {
				sender.Groups = append(sender.Groups, name)
			}
		}
		got := table.Spell(g.judgeFrom(pdu.SID_MSG, test.command, test.attributes, test.body))
		explained := table.Decide(pdu.SID_MSG, test.command, sender, test.body)
		if got != test.want || table.Spell(explained.Verdict) != test.want || explained.If != test.by {
			t.Errorf("%v with %#x and %d bytes: %q, explained as %q by %q, want %q by %q", test.command, test.attributes, len(test.body), got, table.Spell(explained.Verdict), explained.If, test.want, test.by)
		}
	}
	if got := table.Spell(g.judgeFrom(pdu.SID_FILE, 0x0333, 0, nil)); got != "unicast sender" {
		t.Errorf("the rule of a service: %q", got)
	}
	if got := table.Cases(pdu.SID_MSG, pdu.CID_MSG_DATA); len(got) != 3 || got[0].If != "from guests" || got[1].If != "from zone" || got[2].If != "msg_type = 1" {
		t.Errorf("the cases of a command are %+v", got)
	}
}

// Only a command that has a rule in some section is inspected, and a table that only names a group as
// a target inspects nothing.
func TestFromInspectsWhatItMust(t *testing.T) {
	table := parse(t, "[from.admin]\nCID_MSG_DATA = 'consume'\n[route]\nelse = 'drop'\n")
	classify := load(t, table.Module())
	for command, want := range map[uint32]string{0x0300: "drop", 0x0301: "drop, inspect-header", 0x0302: "drop", 0x10301: "drop"} {
		if got := classify(3, command); got.String() != want {
			t.Errorf("%#x: got %v, want %s", command, got, want)
		}
	}
	g := loadGuest(t, parse(t, "[route]\nCID_MSG_DATA = 'broadcast-all, also group archive'\n").Module())
	if g.ExportedFunction(abi.Inspect) != nil || g.ExportedFunction(abi.Groups) == nil || g.ExportedFunction(abi.Buffer) != nil {
		t.Error("the module inspects, or names no group")
	}
	if g := loadGuest(t, parse(t, "[from.master]\nelse = 'consume'\n").Module()); g.ExportedFunction(abi.Groups) != nil {
		t.Error("master is named as a group")
	}
}

// The text of a table is the same table, also if it extends another one, whose sections come last.
func TestFromInTextAndExtends(t *testing.T) {
	base := "[from.zone]\nelse = 'close'\n[from.admin]\n0x0700-0x07ff = 'consume'\nCID_MSG_DATA = 'unicast group zone'\n[route]\nCID_MSG_DATA = 'drop'\n"
	own := "extends = 'base.toml'\n[from.late]\nCID_MSG_DATA = 'close'\n[from.admin]\nCID_MSG_DATA = 'broadcast-all, also group b'\n"
	table, err := Extend("own.toml", []byte(own), func(string) ([]byte, error) { return []byte(base), nil })
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(table.Groups(), " "), "admin b late zone"; got != want {
		t.Errorf("it names %s, want %s: a group of a rule that was replaced is not among them", got, want)
	}
	for _, want := range []string{"[from.late]\nCID_MSG_DATA = \"close\"  # line 3\n\n[from.admin]\nCID_MSG_DATA = \"broadcast-all, also group b\"  # line 5\n" +
		"0x0700-0x07ff = \"consume\"  # base.toml:4\n\n[from.zone]\nelse = \"close\"  # base.toml:2\n"} {
		if !strings.Contains(string(table.Text()), want) {
			t.Errorf("the text is\n%s\nwant in it\n%s", table.Text(), want)
		}
	}
	for _, one := range []*Table{table, parse(t, senderRules)} {
		if again := parse(t, string(one.Text())); !bytes.Equal(again.Module(), one.Module()) {
			t.Errorf("the text makes another module:\n%s", one.Text())
		}
	}
}

func TestFromFaults(t *testing.T) {
	for src, want := range map[string]string{
		"[from]\nCID_MSG_DATA = 'drop'":                                 "x:2: from.CID_MSG_DATA is not a section; write the header [from.GROUP], rules below it",
		"from = 1":                                                      "x:1: from is not a section; write the header [from.GROUP], rules below it",
		"[from.Admin]\nelse = 'drop'":                                   `x:1: "Admin" is not a group's name; write 1 to 40 of a-z, 0-9 and -`,
		"[from.a]\nCID_MSG_DTA = 'drop'":                                `x:2: unknown command "CID_MSG_DTA"; did you mean CID_MSG_DATA?`,
		"[from.a]\nCID_MSG_DATA = 'drp'":                                `x:2: unknown action "drp"; did you mean drop?`,
		"[from.a]\nCID_MSG_DATA = 'drop'\n0x0301 = 'close'":             "x:3: 0x0301 names the same as CID_MSG_DATA on line 2; keep one",
		"[from.a]\n0x1-0x5 = 'drop'\n0x3-0x9 = 'drop'":                  "x:3: the range 0x3-0x9 overlaps 0x1-0x5 on line 2, and neither holds the other; part them, or put one inside the other",
		"[from.a.CID_MSG_DATA]\nelse = 'drop'":                          "x:1: the rule CID_MSG_DATA of [from.a] is a section; write one verdict; cases are for [route] and [service.SERVICE]",
		"[form.a]\nelse = 'drop'\n[route]\nelse='drop'":                 `x:1: unknown section "form"; did you mean from?`,
		"[route]\nCID_MSG_DATA = 'unicast grop archive'":                `x:2: unknown target "grop"; did you mean group?`,
		"[route]\nCID_MSG_DATA = 'unicast group master'":                `x:2: "master" stands for the peers that declared themselves master; choose another name`,
		"[route]\nCID_MSG_DATA = 'drop, also group archive'":            "x:2: also group does nothing with drop, which sends nothing; write unicast group archive",
		"[route]\nCID_MSG_DATA = 'broadcast-all, also archive'":         "x:2: also what?; write also group archive",
		"[from.a]\nCID_MSG_DATA = 'unicast fields to_user, not-sender'": `x:2: IM.Message.IMMsgData has no field "to_user" that holds users; those that do are from_user_id, to_session_id`,
	} {
		if _, err := Parse("x", []byte(src)); err == nil || err.Error() != want {
			t.Errorf("%q: got\n%v, want\n%s", src, err, want)
		}
	}
	sections := ""
	for i := range 33 {
		sections += fmt.Sprintf("[from.g%d]\nelse = 'drop'\n", i)
	}
	want := `x:65: "g32" is one more than the 32 groups that a table may name; put some of them together`
	if _, err := Parse("x", []byte(sections)); err == nil || err.Error() != want {
		t.Errorf("33 sections: got %v, want %s", err, want)
	}
	many := "[route]\n"
	for i := range 33 {
		many += strings.Replace("0x0900 = 'unicast group g'\n", "900", "9"+string("0123456789abcdef"[i/16])+string("0123456789abcdef"[i%16]), 1)
		many = strings.Replace(many, "g'", "g"+strings.Repeat("x", i)+"'", 1)
	}
	if _, err := Parse("x", []byte(many)); err == nil || !strings.Contains(err.Error(), "one more than the 32 groups that a table may name; put some of them together") {
		t.Errorf("33 groups: %v", err)
	}
}
