package table

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"switchyard/policy/tomlpos"
)

// Each table is refused with exactly these lines.
var faultTests = []struct{ name, src, want string }{
	{"empty", "", `
x:1: the table has no rule; write at least [route] and else = "drop, log"`},
	{"comments alone", "# nothing\n\n[route]\n", `
x:1: the table has no rule; write at least [route] and else = "drop, log"`},
	{"unknown command", `[route]
CID_MSG_DTA = "drop"
cid_msg_data = "drop"
CID-MSG-DATA = "drop"
HEARTBEAT = "drop"
default = "drop"
"" = "drop"
qwertz = "drop"
`, `
x:2: unknown command "CID_MSG_DTA"; did you mean CID_MSG_DATA?
x:3: unknown command "cid_msg_data"; did you mean CID_MSG_DATA?
x:4: unknown command "CID-MSG-DATA"; did you mean CID_MSG_DATA?
x:5: unknown command "HEARTBEAT"; did you mean CID_OTHER_HEARTBEAT?
x:6: unknown command "default"; did you mean else?
x:7: unknown command ""; write its name as in docs/protocol.md, or its id, such as 0x0301
x:8: unknown command "qwertz"; write its name as in docs/protocol.md, or its id, such as 0x0301`},
	{"ids", `[route]
0x10000 = "drop"
65536 = "drop"
99999999999999999999999 = "drop"
0301 = "drop"
0x = "drop"
0b11 = "drop"
1_000 = "drop"
-5 = "drop"
`, `
x:2: "0x10000" is not a command id; ids go from 0x0000 to 0xffff
x:3: "65536" is not a command id; ids go from 0x0000 to 0xffff
x:4: "99999999999999999999999" is not a command id; ids go from 0x0000 to 0xffff
x:5: "0301" is not a command id; is it 0x0301 or 301?
x:6: "0x" is not a command id; write it as 0x0301 or as 769
x:7: "0b11" is not a command id; write it as 0x0301 or as 769
x:8: "1_000" is not a command id; write it as 0x0301 or as 769
x:9: unknown command "-5"; write its name as in docs/protocol.md, or its id, such as 0x0301`},
	{"ranges", `[route]
0x0720-0x0710 = "drop"
0x0720-0x0720 = "drop"
0x0720-0x10000 = "drop"
0x0720-CID_MSG_DTA = "drop"
0x0720- = "drop"
"1-2-3" = "drop"
`, `
x:2: the range 0x0720-0x0710 runs backwards; write 0x0710-0x0720
x:3: the range 0x0720-0x0720 is one command; write 0x0720
x:4: "0x10000" is not a command id; ids go from 0x0000 to 0xffff
x:5: unknown command "CID_MSG_DTA"; did you mean CID_MSG_DATA?
x:6: unknown command ""; write its name as in docs/protocol.md, or its id, such as 0x0301
x:7: "2-3" is not a command id; write it as 0x0301 or as 769`},
	{"overlaps", `[route]
0x0100-0x01ff = "drop"
0x0300-0x03ff = "close"
0x0110-0x0120 = "close"
0x0120-0x0130 = "close"
256-511 = "drop"
0x01ff-0x0300 = "drop"
`, `
x:5: the range 0x0120-0x0130 overlaps 0x0110-0x0120 on line 4, and neither holds the other; part them, or put one inside the other
x:6: 256-511 names the same as 0x0100-0x01ff on line 2; keep one
x:7: the range 0x01ff-0x0300 overlaps 256-511 on line 6, and neither holds the other; part them, or put one inside the other
x:7: the range 0x01ff-0x0300 overlaps 0x0300-0x03ff on line 3, and neither holds the other; part them, or put one inside the other`},
	{"two spellings", `[route]
CID_MSG_DATA = "drop"
0x0302 = "drop"

0x0301 = "drop"
769 = "close"
[service.SID_FILE]
0x508 = "drop"
CID_FILE_NOTIFY = "drop"
[service.5]
else = "drop"
`, `
x:5: 0x0301 names the same as CID_MSG_DATA on line 2; keep one
x:6: 769 names the same as CID_MSG_DATA on line 2; keep one
x:9: CID_FILE_NOTIFY names the same as 0x508 on line 8; keep one
x:10: 5 names the same as SID_FILE on line 7; keep one`},
	{"one spelling twice", `[route]
else = "drop"
CID_MSG_DATA = "drop"
CID_MSG_DATA = "close"
"CID_MSG_DATA" = "close"
else = "close"

[route]
0x0301 = "drop"
`, `
x:4: route.CID_MSG_DATA is on line 3 already; keep one
x:5: route.CID_MSG_DATA is on line 3 already; keep one
x:6: route.else is on line 2 already; keep one
x:8: route is on line 1 already; keep one`},
	{"sections", `version = 1
[routes]
CID_MSG_DATA = "drop"
CID_MSG_DTA = "drop"
[servce.SID_FILE]
else = "drop"
[tenant.policy]
else = "drop"
[service.SID_FIEL]
else = "drop"
[service.0x10000]
[service.nothing]
`, `
x:1: version is outside of a section; write it below [route], [service.SERVICE] or [from.GROUP]
x:2: unknown section "routes"; did you mean route?
x:5: unknown section "servce"; did you mean service?
x:7: unknown section "tenant"; the sections are [route], [service.SERVICE] and [from.GROUP]
x:9: unknown service "SID_FIEL"; did you mean SID_FILE?
x:11: "0x10000" is not a service id; ids go from 0x0000 to 0xffff
x:12: unknown service "nothing"; services are SID_LOGIN, SID_BUDDY_LIST, SID_MSG, SID_GROUP, SID_FILE, SID_SWITCH_SERVICE, SID_OTHER, SID_INTERNAL`},
	{"sections of other types", `route = "drop"
[[service]]
else = "drop"
`, `
x:1: route is not a section; write the header [route] once, rules below it
x:2: service is not a section; write the header [service.SERVICE] once, rules below it`},
	{"services by dotted keys", `route.else = "drop"
service.SID_FIEL.else = "drop"
service.SID_MSG = "drop"
`, `
x:2: unknown service "SID_FIEL"; did you mean SID_FILE?
x:3: service.SID_MSG is not a section; write [service.SID_MSG] and below it else = "ACTION"`},
	{"rules of a service", `[service.SID_FILE]
0x0500-0x05ff = "drop"
CID_FILE_NOTIFI = "drop"
CID-FILE-NOTIFY = "drop"
else = 1
`, `
x:2: a range, 0x0500-0x05ff, is below a service; write its commands one by one, or the range below [route]
x:3: unknown command "CID_FILE_NOTIFI"; did you mean CID_FILE_NOTIFY?
x:4: unknown command "CID-FILE-NOTIFY"; did you mean CID_FILE_NOTIFY?
x:5: the rule else is not a string; write else = "ACTION"; actions are drop, consume, handle, unicast, broadcast-except-sender, broadcast-all, close`},
	{"types", `[route]
CID_MSG_DATA = 4
0x0302 = { unicast = "sender" }
CID_MSG_READ_ACK.unicast.fields = [1]
else = [
  "drop",
]
`, `
x:2: the rule CID_MSG_DATA is not a string; write CID_MSG_DATA = "ACTION"; actions are drop, consume, handle, unicast, broadcast-except-sender, broadcast-all, close
x:3: "unicast" is not a comparison; write FIELD = NUMBER, as in "msg_type = 1-2" or "body-length > 4096"; comparisons are =, !=, <, <=, > and >=, and several are joined by and
x:4: "unicast" is not a comparison; write FIELD = NUMBER, as in "msg_type = 1-2" or "body-length > 4096"; comparisons are =, !=, <, <=, > and >=, and several are joined by and
x:5: the rule else is not a string; write else = "ACTION"; actions are drop, consume, handle, unicast, broadcast-except-sender, broadcast-all, close`},
	{"actions", `[route]
1 = "brodcast-all"
2 = "broadcast"
3 = "Drop"
4 = ""
5 = "forward"
6 = "drop log"
7 = ", log"
8 = "reply"
`, `
x:2: unknown action "brodcast-all"; did you mean broadcast-all?
x:3: unknown action "broadcast"; did you mean broadcast-all?
x:4: unknown action "Drop"; did you mean drop?
x:5: no action is written; actions are drop, consume, handle, unicast, broadcast-except-sender, broadcast-all, close
x:6: unknown action "forward"; actions are drop, consume, handle, unicast, broadcast-except-sender, broadcast-all, close
x:7: drop takes nothing behind it, not "log"; flags come after a comma
x:8: no action is written; actions are drop, consume, handle, unicast, broadcast-except-sender, broadcast-all, close
x:9: unknown action "reply"; actions are drop, consume, handle, unicast, broadcast-except-sender, broadcast-all, close`},
	{"several faults of one rule", `[route]
CID_MSG_DTA = "brodcast-all"
CID_MSG_DAT = "unicast fields from_user_id 2, lgo"
0x10000 = 7
0x0009-0x0001 = "drop, not-sender"
[service.SID_FIEL]
CID_FILE_NOTIFI = "drop, else"
0x0001-0x0009 = "drp"
`, `
x:2: unknown command "CID_MSG_DTA"; did you mean CID_MSG_DATA?
x:2: unknown action "brodcast-all"; did you mean broadcast-all?
x:3: unknown command "CID_MSG_DAT"; did you mean CID_MSG_DATA?
x:3: unknown flag "lgo"; did you mean log?
x:4: "0x10000" is not a command id; ids go from 0x0000 to 0xffff
x:4: the rule 0x10000 is not a string; write 0x10000 = "ACTION"; actions are drop, consume, handle, unicast, broadcast-except-sender, broadcast-all, close
x:5: the range 0x0009-0x0001 runs backwards; write 0x0001-0x0009
x:5: not-sender does nothing with drop; it goes with unicast; remove it
x:6: unknown service "SID_FIEL"; did you mean SID_FILE?
x:7: unknown command "CID_FILE_NOTIFI"; did you mean CID_FILE_NOTIFY?
x:7: unknown flag "else"; did you mean else-broadcast?
x:8: a range, 0x0001-0x0009, is below a service; write its commands one by one, or the range below [route]`},
	{"handlers", `[route]
1 = "handle"
2 = "handle roleset"
3 = "handle role-set online-user-info"
4 = "handle everything"
5 = "handle 3"
`, `
x:2: handle takes one handler, not 0; handlers are online-user-info, user-status-update, role-set, users-status-request
x:3: unknown handler "roleset"; did you mean role-set?
x:4: handle takes one handler, not 2; handlers are online-user-info, user-status-update, role-set, users-status-request
x:5: unknown handler "everything"; handlers are online-user-info, user-status-update, role-set, users-status-request
x:6: unknown handler "3"; handlers are online-user-info, user-status-update, role-set, users-status-request`},
	{"targets", `[route]
1 = "unicast"
2 = "unicast sendr"
3 = "unicast to sender"
4 = "unicast sender 7"
5 = "unicast session"
6 = "unicast user 1 2"
7 = "unicast user bob"
8 = "unicast user 4294967296"
9 = "unicast session -1"
`, `
x:2: unicast to whom?; write unicast sender, session N, user N, fields F…, master, or group NAME
x:3: unknown target "sendr"; did you mean sender?
x:4: unknown target "to"; write unicast sender, session N, user N, fields F…, master, or group NAME
x:5: unicast sender takes nothing behind it, not "7"; flags come after a comma
x:6: unicast session takes one number, not 0; write unicast session 7
x:7: unicast user takes one number, not 2; write unicast user 7
x:8: "bob" is not a user's number; write a number from 0 to 4294967295
x:9: "4294967296" is not a user's number; write a number from 0 to 4294967295
x:10: "-1" is not a session's number; write a number from 0 to 4294967295`},
	{"fields", `[route]
1 = "unicast fields"
2 = "unicast fields 0"
3 = "unicast fields 32"
4 = "unicast fields 1 1"
CID_MSG_DATA = "unicast fields 2 to_session_id"
CID_MSG_READ_NOTIFY = "unicast fields usr_id"
CID_MSG_TIME_REQUEST = "unicast fields user_id"
0x0400-0x04ff = "unicast fields user_id"
else = "unicast fields user_id"
0x9999 = "unicast fields user_id"
0x0601 = "unicast fields msg_id"
`, `
x:2: unicast fields names no field; write the numbers of the fields that hold users, such as unicast fields 1 2
x:3: "0" is not a field that a verdict can name; fields go from 1 to 31
x:4: "32" is not a field that a verdict can name; fields go from 1 to 31
x:5: field 1 is named twice; keep one
x:6: field 2 is named twice; keep one
x:7: IM.Message.IMMsgDataReadNotify has no field "usr_id" that holds users; did you mean user_id?
x:8: no field of IM.Message.IMClientTimeReq is known to hold users, "user_id" neither; write the field's number if it does
x:9: the rule has no one known command to find the field "user_id" in; write the field's number, such as unicast fields 1
x:10: the rule has no one known command to find the field "user_id" in; write the field's number, such as unicast fields 1
x:11: the rule has no one known command to find the field "user_id" in; write the field's number, such as unicast fields 1
x:12: IM.SwitchService.IMP2PCmdMsg has no field "msg_id" that holds users; those that do are from_user_id, to_user_id`},
	{"flags", `[route]
1 = "drop, "
2 = "drop, lgo"
3 = "drop, quietly"
4 = "drop, log, log"
5 = "drop, not-sender"
6 = "broadcast-all, not-sender"
7 = "unicast sender, not-sender"
8 = "unicast session 1, else-broadcast"
9 = "consume, else-broadcast"
10 = "unicast master, else-broadcast"
11 = "consume, inspect-body"
12 = "unicast fields 1, 2"
13 = "unicast sender, else-broadcast"
`, `
x:2: no flag is written behind a comma; remove the comma; flags are log, not-sender, else-broadcast, also group NAME
x:3: unknown flag "lgo"; did you mean log?
x:4: unknown flag "quietly"; flags are log, not-sender, else-broadcast, also group NAME
x:5: the flag log is written twice; keep one
x:6: not-sender does nothing with drop; it goes with unicast; remove it
x:7: not-sender does nothing with broadcast-all; write broadcast-except-sender
x:8: unicast sender, not-sender reaches nobody; write drop
x:9: else-broadcast does nothing with unicast session, which names no user; remove it
x:10: else-broadcast does nothing with consume; it goes with unicast user and unicast fields; remove it
x:11: else-broadcast does nothing with unicast master, which names no user; remove it
x:12: a table cannot inspect-body: it holds no code to look with; write a policy in a language, see docs/policies.md
x:13: unknown flag "2"; flags are log, not-sender, else-broadcast, also group NAME; fields are parted by blanks
x:14: else-broadcast does nothing with unicast sender, which names no user; remove it`},
	{"syntax", `[route]
CID_MSG_DATA = drop
CID_MSG_DTA = "drop"
CID_MSG_DATA_ACK = "drop
CID_MSG_READ_ACK
CID_MSG_READ_NOTIFY =
CID_MSG_TIME_REQUEST = "consume" "log"
CID MSG = "drop"
[service SID_FILE]
CID_MSG_DATA = "drop"
CID_MSG_DATA = "drop"
[service.SID_MSG]
0x9999 = "drp"
`, `
x:2: expected value; write the action in quotes, as in COMMAND = "drop"
x:3: unknown command "CID_MSG_DTA"; did you mean CID_MSG_DATA?
x:4: a string does not end on its line; close the quote
x:5: expected '.' or '='; a rule is COMMAND = "action", a section [route], [service.SERVICE] or [from.GROUP]
x:6: expected value; write the action in quotes, as in COMMAND = "drop"
x:7: expected a top-level item to end with a newline, comment, or EOF; a rule is COMMAND = "action", a section [route], [service.SERVICE] or [from.GROUP]
x:8: expected '.' or '='; a rule is COMMAND = "action", a section [route], [service.SERVICE] or [from.GROUP]
x:9: expected '.' or ']' to end table name; a rule is COMMAND = "action", a section [route], [service.SERVICE] or [from.GROUP]
x:13: unknown action "drp"; did you mean drop?`},
	{"a file of Windows", "\ufeff[route]\r\nCID_MSG_DTA = \"drop\"\r\n\r\n1 =\r\n2 = \"drp\"\r\n2 = \"drop\"\r\n", `
x:2: unknown command "CID_MSG_DTA"; did you mean CID_MSG_DATA?
x:4: expected value; write the action in quotes, as in COMMAND = "drop"
x:5: unknown action "drp"; did you mean drop?
x:6: route.2 is on line 5 already; keep one`},
	{"a header that does not end", "[route\n1 = 'drop'\n", `
x:1: expected '.' or ']' to end table name; a rule is COMMAND = "action", a section [route], [service.SERVICE] or [from.GROUP]`},
	{"strings of several lines", "[route]\n1 = \"drp\" # not \"\"\" here\n2 = '''drop\n'''\n", `
x:3: a string of several lines; write sections as [route] and rules as COMMAND = "action"`},
	{"not text", "\x7fELF\x02\x01", `
x:1: it has the control character U+007F; remove that`},
	{"nesting", "[route]\n1 = " + strings.Repeat("[", 1000) + "\n", `
x:2: nests deeper than any table; write sections as [route] and rules as COMMAND = "action"`},
	{"dots", strings.Repeat("a.", 1000) + "a = 1\n", `
x:1: nests deeper than any table; write sections as [route] and rules as COMMAND = "action"`},
	{"a very long action", "[route]\n1 = \"" + strings.Repeat("x", 1<<19) + "\"\n",
		"\n" + `x:2: unknown action "` + strings.Repeat("x", 979) + ` … (524401 bytes) … ` + strings.Repeat("x", 908) + `"; actions are drop, consume, handle, unicast, broadcast-except-sender, broadcast-all, close`},
	{"size", strings.Repeat("#", MaxSize+1), `
x:1: the table has 1048577 bytes, the maximum is 1048576; a table is a page or two; is this the right file?`},
	{"nesting behind what looks like a comment", "[route]\n1 = ['\"#', \"\\\"'#\", '#\\', " + strings.Repeat("[", 1000) + "\n", `
x:2: nests deeper than any table; write sections as [route] and rules as COMMAND = "action"`},
	{"too many keys", repeated(1<<16, "%d = 1\n"), `
x:8193: the table continues, the maximum is 4096 rules; write ranges, such as 0x0720-0x072f`},
	{"too many sections", repeated(1<<14, "[service.%d]\n"), `
x:8193: the table continues, the maximum is 4096 rules; write ranges, such as 0x0720-0x072f`},
	{"too many rules", "[route]\n" + repeated(MaxRules+1, "%d = 'drop'\n"), `
x:1: the table has 4097 rules, the maximum is 4096 rules; write ranges, such as 0x0720-0x072f`},
}

func repeated(n int, format string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

func TestFaults(t *testing.T) {
	for _, test := range faultTests {
		t.Run(test.name, func(t *testing.T) {
			table, err := Parse("x", []byte(test.src))
			if err == nil {
				t.Fatalf("no error, want%s", test.want)
			}
			if table != nil {
				t.Error("a table beside the error")
			}
			if got, want := err.Error(), strings.TrimPrefix(test.want, "\n"); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			checkFaults(t, err, test.src)
			if module, err := Compile("x", []byte(test.src)); module != nil || err == nil {
				t.Errorf("Compile: got %d bytes and %v, want none and an error", len(module), err)
			}
		})
	}
}

func TestFaultsAreErrorsOfTheirOwn(t *testing.T) {
	_, err := Parse("dir/routes.toml", []byte("[route]\n1 = 'drp'\n2 = 'clse'\n"))
	var fault *tomlpos.Error
	if !errors.As(err, &fault) {
		t.Fatalf("no *tomlpos.Error in %v", err)
	}
	want := tomlpos.Error{Name: "dir/routes.toml", Line: 2, What: `unknown action "drp"`, Remedy: "did you mean drop?"}
	if *fault != want {
		t.Errorf("got %+v, want %+v", *fault, want)
	}
}
