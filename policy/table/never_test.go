package table

import (
	"strings"
	"testing"
)

func TestRowsThatNeverDecide(t *testing.T) {
	for src, want := range map[string]string{
		"[route]\nCID_MSG_DATA = 'drop'\n0x0301-0x0302 = 'close'\n":                            "",
		"[route]\nCID_MSG_DATA = 'drop'\n0x0302='drop'\n0x0301-0x0302 = 'close'\n":             "x:4: the range 0x0301-0x0302 never decides: narrower rules take each of its commands",
		"[route]\n0-0xffff = 'close'\nelse='drop'\n[service.1]\nelse='drop'\n5='consume'":      "x:3: else never decides: other rules take every command\nx:5: else never decides: other rules take every command",
		"[route]\n0-0x7fff = 'close'\n0x8000-0xffff='drop'\n0-5='drop'\n[service.1]\n1='drop'": "",
	} {
		if got := strings.Join(parse(t, src).Warnings("x"), "\n"); got != want {
			t.Errorf("%q:\ngot  %s\nwant %s", src, got, want)
		}
	}
	for cases, dead := range map[string]bool{ // whether the last one never decides
		"msg_type = 1": false, "msg_type = 1 and msg_type = 2": true, "msg_type > 3 and msg_type <= 4": false, "msg_type > 3 and msg_type < 4": true,
		"msg_type = 1; msg_type = 0x1": true, "msg_type = 1; msg_type = 2; msg_type = 1-2": true, "msg_type = 1; msg_type = 1-2": false,
		"msg_type = 1; msg_type = 1 and body-length > 4": true, "msg_type = 1 and body-length > 4; msg_type = 1": false,
		"body-length > 4; msg_type = 1": false, "body-length > 4; msg_type = 1 and body-length = 9": true,
		"msg_type != 1; msg_type = 1": false, "msg_type != 1; msg_type = 2": true, "msg_type != 1; msg_type = 1; msg_type >= 0": true,
		"msg_type = 1; msg_type = 2 and body-length > 10; msg_type = 1-2 and body-length > 20": true,
		"msg_type = 1; msg_type = 2 and body-length > 10; msg_type = 1-2 and body-length > 5":  false,
		"msg_type >= 0; msg_id = 1":    false, // msg_type need not be there
		"body-length >= 0; msg_id = 1": true,
	} {
		var b strings.Builder
		b.WriteString("[route.CID_MSG_DATA]\n")
		lines := 1
		for _, c := range strings.Split(cases, "; ") {
			b.WriteString(`"` + c + "\" = 'drop'\n")
			lines++
		}
		b.WriteString("else = 'drop'\n")
		got := parse(t, b.String()).Warnings("x")
		if dead != (len(got) == 1) || dead && !strings.HasPrefix(got[0], "x:"+string(rune('0'+lines))+": the case ") {
			t.Errorf("%s: %q, want one warning %v", cases, got, dead)
		}
	}
}

// Rows of a base that the table replaces are not a mistake.
func TestRowsOfABaseThatNeverDecide(t *testing.T) {
	base := from(map[string]string{"b.toml": "[route]\n0x0301-0x0302 = 'drop'\n[route.CID_MSG_DATA_ACK]\n'body-length=1'='drop'\n'body-length=0x1'='drop'\nelse='drop'"})
	table, err := Extend("x", []byte("extends='b.toml'\nroute.CID_MSG_DATA='drop'"), base)
	if err != nil {
		t.Fatal(err)
	}
	if got := table.Warnings("x"); got != nil {
		t.Errorf("got %q", got)
	}
}
