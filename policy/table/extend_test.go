package table

import (
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"

	"switchyard/pdu"
)

// from returns a Reader of these tables.
func from(files map[string]string) Reader {
	return func(name string) ([]byte, error) {
		if text, ok := files[name]; ok {
			return []byte(text), nil
		}
		return nil, fs.ErrNotExist
	}
}

// The files of the tests: a table, its base in a folder below, and that one's.
var family = map[string]string{
	"bases/east.toml": `extends = "common.toml"
[route]
CID_MSG_DATA  = "broadcast-all"
0x0700-0x07ff = "consume"
`,
	"bases/common.toml": `
[route]
CID_MSG_DATA        = "broadcast-except-sender"
CID_OTHER_HEARTBEAT = "consume"
0x0700-0x07ff       = "close"
0x0720-0x072f       = "drop"
[service.SID_FILE]
CID_FILE_NOTIFY     = "close"
else                = "drop"
`,
}

const heir = `extends = "bases/east.toml"

[route]
CID_OTHER_ROLE_SET = "handle role-set"
else               = "close"
[service.SID_FILE]
CID_FILE_NOTIFY    = "unicast fields to_user_id"
[service.0xffff]
else               = "consume"
`

func TestExtend(t *testing.T) {
	table, err := Extend("dir/routes.toml", []byte(heir), from(family))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		service       pdu.ServiceID
		command       pdu.CommandID
		verdict, from string
	}{
		{anyService, pdu.CID_OTHER_ROLE_SET, "handle role-set", "line 4"},
		{anyService, pdu.CID_MSG_DATA, "broadcast-all", "bases/east.toml:3"},
		{anyService, pdu.CID_OTHER_HEARTBEAT, "consume", "bases/common.toml:4"},
		{anyService, 0x0725, "drop", "bases/common.toml:6"},
		{anyService, 0x0730, "consume", "bases/east.toml:4"},
		{pdu.SID_FILE, pdu.CID_FILE_NOTIFY, "unicast fields 2", "line 7"},
		{pdu.SID_FILE, 0x9999, "drop", "bases/common.toml:9"},
		{anyService, 0x9999, "close", "line 5"},
		{0xffff, 0x9999, "consume", "line 9"},
	} {
		if got, at := table.Verdict(test.service, test.command), table.Place(test.service, test.command); got.String() != test.verdict || at.String() != test.from {
			t.Errorf("%v %v: %v from %v, want %s from %s", test.service, test.command, got, at, test.verdict, test.from)
		}
	}
	agree(t, table, []uint32{0, 5, 0xffff})
}

// What a table does not say comes from its base: also the else.
func TestElseOfABase(t *testing.T) {
	base := map[string]string{"b.toml": "[route]\nelse = 'close'\n"}
	for src, want := range map[string]string{"extends = 'b.toml'": "b.toml:2", "extends = 'b.toml'\nroute.else = 'drop'": "line 2"} {
		table, err := Extend("x", []byte(src), from(base))
		if err != nil {
			t.Fatal(err)
		}
		if at := table.Place(anyService, 0x9999); at.String() != want {
			t.Errorf("%q: the else is from %v, want %s", src, at, want)
		}
	}
}

// The text of a table is signed and kept, so it must not change.
func TestText(t *testing.T) {
	table, err := Extend("elsewhere/routes.toml", []byte(heir), from(family))
	if err != nil {
		t.Fatal(err)
	}
	const want = `# A routing table and what it extends, written out as one by Switchyard.

[route]
CID_MSG_DATA = "broadcast-all"  # bases/east.toml:3
CID_OTHER_HEARTBEAT = "consume"  # bases/common.toml:4
CID_OTHER_ROLE_SET = "handle role-set"  # line 4
0x0700-0x07ff = "consume"  # bases/east.toml:4
0x0720-0x072f = "drop"  # bases/common.toml:6
else = "close"  # line 5

[service.SID_FILE]
CID_FILE_NOTIFY = "unicast fields 2"  # line 7
else = "drop"  # bases/common.toml:9

[service.0xffff]
else = "consume"  # line 9
`
	if got := string(table.Text()); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if again := parse(t, want); string(again.Module()) != string(table.Module()) {
		t.Error("the text is another table")
	}
}

// The text of any table is a table with the same module.
func TestTextsOfTables(t *testing.T) {
	shipped, err := os.ReadFile("../../plugins/teamtalk/routes.toml")
	if err != nil {
		t.Fatal(err)
	}
	for _, src := range []string{string(shipped), precedences, ranks, "[route]\nelse='close'", "[service.9]\nelse='close'"} {
		table := parse(t, src)
		if again := parse(t, string(table.Text())); string(again.Module()) != string(table.Module()) {
			t.Errorf("another module than that of\n%s", src)
		}
	}
}

func TestExtendRefuses(t *testing.T) {
	files := map[string]string{
		"a.toml": "extends = 'b.toml'", "b.toml": "extends = 'a.toml'", "self.toml": "[route]\nelse='drop'",
		"bad.toml":    "[route]\nCID_MSG_DTA = 'drop'\n",
		"config.toml": "[admin]\ntoken = 'secret'\n",
		"ranges.toml": "\n[route]\n0x0700-0x07ff = 'drop'\n",
		"many.toml":   "[route]\n" + strings.Repeat("#", 10),
		"empty.toml":  "",
	}
	for n := range MaxBases + 1 {
		files[fmt.Sprintf("deep%d.toml", n)] = fmt.Sprintf("extends = 'deep%d.toml'", n+1)
	}
	var many strings.Builder
	many.WriteString("[route]\n")
	for i := range MaxRules {
		fmt.Fprintf(&many, "%d = 'drop'\n", i)
	}
	files["many.toml"] = many.String()
	const write = `write extends = "teamtalk", or the name of a table beside this one or below, as in extends = "base.toml"`
	for src, want := range map[string]string{
		"\nextends = 7":                           `dir/x.toml:2: extends is not a string; ` + write,
		"extends = ['a.toml']":                    `dir/x.toml:1: extends is not a string; ` + write,
		"[extends]\na = 'b'":                      `dir/x.toml:1: extends is not a string; ` + write,
		"extends = ''":                            `dir/x.toml:1: extends names "", and it is empty; ` + write,
		"extends = '../a.toml'":                   `dir/x.toml:1: extends names "../a.toml", and it leads out of the table's folder; ` + write,
		"extends = 'file:a.toml'":                 `dir/x.toml:1: extends names "file:a.toml", and the name is written without file:; ` + write,
		"extends = 'https://h/a.toml'":            `dir/x.toml:1: extends names "https://h/a.toml", and a table cannot extend what is fetched from an address; ` + write,
		"extends = 'oci://h/a:v1'":                `dir/x.toml:1: extends names "oci://h/a:v1", and a table cannot extend what is fetched from an address; ` + write,
		"extends = 'c/../../a.toml'":              `dir/x.toml:1: extends names "c/../../a.toml", and it leads out of the table's folder; ` + write,
		"extends = '/etc/a.toml'":                 `dir/x.toml:1: extends names "/etc/a.toml", and it leads out of the table's folder; ` + write,
		"extends = 'base.wasm'":                   `dir/x.toml:1: extends names "base.wasm", and it is neither a shipped table nor a file that ends in .toml; ` + write,
		`extends = "a\nb.toml"`:                   `dir/x.toml:1: extends names "a\nb.toml", and it has characters that no such name has; ` + write,
		"extends = 'none.toml'":                   `dir/x.toml:1: it extends "none.toml": file does not exist; ` + write,
		"extends = 'x.toml'":                      `dir/x.toml:1: it extends "x.toml", which extends this table: x.toml, x.toml; remove one of these, so that the last one extends no other`,
		"extends = 'a.toml'":                      `dir/b.toml:1: it extends "a.toml", which extends this table: a.toml, b.toml, a.toml; remove one of these, so that the last one extends no other`,
		"extends = 'deep0.toml'":                  `dir/deep7.toml:1: it extends "deep8.toml", and more than 8 tables would extend one another; put the rules of some of them into one`,
		"extends = 'config.toml'":                 `dir/config.toml:1: neither [route], [service.SERVICE] nor [from.GROUP] is there: this is not a routing table; write sections as [route] and rules as COMMAND = "action"`,
		"extends = 'empty.toml'":                  `dir/empty.toml:1: the table has no rule; write at least [route] and else = "drop, log"`,
		"extends = 'bad.toml'\n[route]\nq='drop'": "dir/x.toml:3: unknown command \"q\"; write its name as in docs/protocol.md, or its id, such as 0x0301\n" + `dir/bad.toml:2: unknown command "CID_MSG_DTA"; did you mean CID_MSG_DATA?`,
		"extends = 'ranges.toml'\n[route]\n0x0780-0x0800 = 'drop'":     `dir/x.toml:3: the range 0x0780-0x0800 overlaps 0x0700-0x07ff on line 3 of ranges.toml, and neither holds the other; part them, or put one inside the other`,
		"extends = 'ranges.toml'\n[route]\n1-5 = 'drop'\n4-9 = 'drop'": `dir/x.toml:4: the range 4-9 overlaps 1-5 on line 3, and neither holds the other; part them, or put one inside the other`,
		"extends = 'many.toml'\n[route]\n0xffff = 'drop'":              `dir/x.toml:1: the table and what it extends have 4098 rules, the maximum is 4096 rules; write ranges, such as 0x0720-0x072f`,
		"[route]\nextends = 'a.toml'":                                  `dir/x.toml:2: unknown command "extends"; write it above the first section`,
		"extend = 'a.toml'\n[route]\nelse='drop'":                      `dir/x.toml:1: extend is outside of a section; did you mean extends?`,
		"extends = 'a.toml'\nsecret = 'x'":                             `dir/x.toml:1: neither [route], [service.SERVICE] nor [from.GROUP] is there: this is not a routing table; write sections as [route] and rules as COMMAND = "action"`,
	} {
		_, err := Extend("dir/x.toml", []byte(src), from(files))
		if err == nil || err.Error() != want {
			t.Errorf("%q:\ngot  %v\nwant %s", src, err, want)
		}
	}
	const alone = `x:1: it extends "teamtalk", which cannot be read where a table comes alone, as from an address; write it out as one table: 'switchyard policy show --table FILE'`
	if _, err := Parse("x", []byte("extends = 'teamtalk'")); err == nil || err.Error() != alone {
		t.Errorf("got  %v\nwant %s", err, alone)
	}
}

func TestBase(t *testing.T) {
	for src, want := range map[string]string{
		"extends = 'b.toml'": "dir/b.toml", "extends = 'c/b.toml'\n[route": "dir/c/b.toml", "[route]\nextends = 'b.toml'": "", "extends = 'teamtalk'\n[route]": "teamtalk",
		"extends = '../b.toml'": "", "extends = 7": "", "": "", "extends": "",
	} {
		if got := Base("dir/a.toml", []byte(src)); got != want {
			t.Errorf("Base of %q is %q, want %q", src, got, want)
		}
	}
}
