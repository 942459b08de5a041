package cases

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"switchyard/pdu"
	"switchyard/pdu/pb"
	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/policy/tomlpos"
)

func parse(t *testing.T, src string) []Case {
	t.Helper()
	cases, err := Parse("cases.toml", []byte(src))
	if err != nil {
		t.Fatal(err)
	}
	return cases
}

func TestParse(t *testing.T) {
	got := parse(t, `
[peers]
B = { users = [3, 4294967295], master = true }
A = {}

[[case]]
from = "A"
command = 0x0301
seq = 65535
master = true
body.from_user_id = 7
body.msg_data = "hex:00 ff"
expect = { action = "unicast", to = [], sends = ["CID_MSG_DATA"], dropped = "no-holder", fault = "fuel" }

  [[ case ]]   # another one
name = "other peers"
from = "C"
command = "CID_OTHER_ROLE_SET"
service = "SID_MSG"
hex = "08 01"
[case.peers]
C = { users = [1] }
[case.expect]
verdict = "unicast user 5, not-sender"
`)
	first := pdu.Append(nil, pdu.SID_MSG, pdu.CID_MSG_DATA, 65535, []byte("\x08\x07\x32\x02\x00\xff"))
	m := new(pb.IMMsgData)
	if err := (proto.UnmarshalOptions{AllowPartial: true}).Unmarshal(got[0].PDU[pdu.HeaderLen:], m); err != nil || m.GetFromUserId() != 7 || string(m.GetMsgData()) != "\x00\xff" {
		t.Errorf("the body is %v, %v", m, err)
	}
	first = append(first[:pdu.HeaderLen], got[0].PDU[pdu.HeaderLen:]...)
	pdu.SetLength(first)
	unicast, verdict := policy.Unicast, policy.Verdict(abi.Unicast|abi.ToUser<<abi.SelectorShift|abi.NotSender|5<<abi.ArgumentShift)
	want := []Case{
		{Name: "CID_MSG_DATA on line 6", Line: 6, From: "A", PDU: first,
			Lacks: []string{"to_session_id", "msg_id", "create_time", "msg_type"},
			Peers: []Peer{{Name: "B", Users: []uint32{3, 4294967295}, Master: true}, {Name: "A", Master: true}},
			Want:  Expectation{Action: &unicast, To: []string{}, Sends: []pdu.CommandID{pdu.CID_MSG_DATA}, Dropped: "no-holder", Fault: policy.FaultFuel}},
		{Name: "other peers", Line: 15, From: "C", PDU: pdu.Append(nil, pdu.SID_MSG, pdu.CID_OTHER_ROLE_SET, 0, []byte{8, 1}),
			Peers: []Peer{{Name: "C", Users: []uint32{1}}},
			Want:  Expectation{Verdict: &verdict}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
}

// Every fault has its line and what to do. No fault hides another.
func TestFaults(t *testing.T) {
	const head = "[peers]\nA = {}\nB = {}\n"
	sound := func(more string) string {
		return head + "[[case]]\nfrom = \"A\"\ncommand = \"CID_MSG_DATA\"\nexpect.action = \"drop\"\n" + more
	}
	for name, c := range map[string]struct {
		src  string
		want []string
	}{
		"nothing":         {"", []string{"cases.toml:1: there is no case; write [[case]]"}},
		"one case":        {head + "[case]\nfrom = \"A\"", []string{":4: a case is one of many; write [[case]]"}},
		"other table":     {"[peer]\nA = {}\n" + sound("")[len(head):], []string{`:1: unknown table "peer"; did you mean peers?`, ":4: there are no peers; write [peers]"}},
		"peers below":     {sound("[peers]\nC = {}"), []string{":8: [peers] is below a case; write it above"}},
		"peer no table":   {"peers.A = 3\n" + sound("")[len(head):], []string{":1: peer A is not a table; write A = { users", ":3: there are no peers"}},
		"peers no table":  {"peers = 3\n" + sound("")[len(head):], []string{":1: peers is not a table", ":3: there are no peers"}},
		"users":           {strings.Replace(sound(""), "B = {}", "B = { users = [1, -1], mastr = true }", 1), []string{":3: unknown key \"mastr\"; did you mean master?", ":3: users are a list of numbers"}},
		"master":          {sound("master = 1"), []string{":8: master is neither true nor false; write master = true"}},
		"no sender":       {strings.Replace(sound(""), "from = \"A\"", "", 1), []string{`:4: the case has no sender; write from = "A"`}},
		"unknown sender":  {strings.Replace(sound(""), `"A"`, `"C"`, 1), []string{`:5: unknown peer "C"; did you mean`}},
		"no command":      {strings.Replace(sound(""), "command", "#", 1), []string{":4: the case has no command"}},
		"unknown command": {strings.Replace(sound(""), "DATA", "DAT", 1), []string{`:6: unknown command "CID_MSG_DAT"; did you mean CID_MSG_DATA?`}},
		"command id":      {strings.Replace(sound(""), `"CID_MSG_DATA"`, "65536", 1), []string{":6: 65536 is not a command id; ids go from"}},
		"service":         {sound(`service = "SID_MGS"`), []string{`:8: unknown service "SID_MGS"; did you mean SID_MSG?`}},
		"seq":             {sound("seq = 1.5"), []string{":8: seq is not a number from 0 to 65535"}},
		"before":          {sound("before = -1"), []string{":8: before is not a number from 0 to 100000; write before = 50"}},
		"wait":            {sound(`wait = "20"`), []string{`:8: wait is not a time: "20"; write wait = "20ms"`}},
		"limit":           {sound(`expect.verdict = "broadcast-all, limit 50 per peer"`), []string{":8: the rate \"50\" has no unit; write 50/s or 50/min"}},
		"unknown key":     {sound("form = 1"), []string{`:8: unknown key "form"; did you mean from?`}},
		"no message":      {strings.Replace(sound("body = {}"), `"CID_MSG_DATA"`, "0x999", 1), []string{":8: 0x0999 is not a command of the protocol, so its body has no fields; write the body as hex"}},
		"unknown field":   {sound("body.from_user = 1"), []string{`:8: IM.Message.IMMsgData has no field "from_user"; did you mean from_user_id?`}},
		"no fields": {strings.Replace(sound("body.x = 1"), "CID_MSG_DATA", "CID_OTHER_HEARTBEAT", 1),
			[]string{`:8: IM.Other.IMHeartBeat has no field "x"; it has none`}},
		"type of field":    {sound("[case.body]\nmsg_id = 1\nfrom_user_id = \"7\""), []string{":10: from_user_id is of type uint32"}},
		"size of field":    {sound("body.from_user_id = 4294967296"), []string{":8: from_user_id is of type uint32; 4294967296 does not fit"}},
		"enumeration":      {sound(`body.msg_type = "MSG_TYPE_SINGLE_TXT"`), []string{`:8: IM.BaseDefine.MsgType has no value "MSG_TYPE_SINGLE_TXT"; did you mean MSG_TYPE_SINGLE_TEXT?`}},
		"bytes":            {sound(`body.msg_data = "hex:0"`), []string{`:8: msg_data is of type bytes; behind "hex:"`}},
		"unquoted":         {sound(`body.msg_data = 5`), []string{`:8: msg_data is of type bytes; write it in quotes`}},
		"hex":              {sound(`hex = "0g"`), []string{":8: hex is not a list of bytes"}},
		"two bodies":       {sound("hex = \"00\"\nbody = {}"), []string{":8: the body is written twice"}},
		"body no table":    {sound("body = 1"), []string{":8: body is not a table; write body = { … }"}},
		"text":             {sound("name = 1"), []string{":8: name is not a string"}},
		"same name":        {sound("name = \"x\"\n") + sound("name = \"x\"")[len(head):], []string{`:13: the case on line 4 is called "x" too`}},
		"nothing expected": {strings.Replace(sound(""), `expect.action = "drop"`, "", 1), []string{":4: the case expects nothing; write expect = "}},
		"expect is empty":  {strings.Replace(sound(""), `expect.action = "drop"`, "expect = {}", 1), []string{":7: the case expects nothing; write one of action, verdict"}},
		"expectations": {sound(`expect.actoin = "x"
expect.verdict = "unicast fields form_user_id"
expect.to = ["A", "Bee"]
expect.sends = "CID_MSG_DATA"
expect.dropped = "no-hodler"
expect.fault = "overflow"`), []string{`:8: unknown key "actoin"; did you mean action?`, `:9: IM.Message.IMMsgData has no field "form_user_id" that holds users; did you mean from_user_id?`,
			`:10: unknown peer "Bee"; did you mean B?`, `:11: sends is not a list of strings`, `:12: dropped cannot be "no-hodler"; did you mean no-holder?`, `:13: fault cannot be "overflow"`}},
		"action":           {strings.Replace(sound(""), `"drop"`, `"drpo"`, 1), []string{`:7: action cannot be "drpo"; did you mean drop?`}},
		"syntax":           {sound("seq = = 1\n") + sound("body.x = 1")[len(head):], []string{":8: ", ":13: IM.Message.IMMsgData has no field \"x\""}},
		"twice":            {sound("seq = 1\nseq = 2"), []string{":9: "}},
		"multiline":        {sound("name = \"\"\"\n[[case]]\n\"\"\""), []string{":8: a string of several lines", ":10: a string of several lines"}},
		"deep":             {sound("body.user_id = " + strings.Repeat("[", 40)), []string{":8: nests deeper"}},
		"verdict injected": {sound(`expect.verdict = "drop\"\nelse = \"close"`), []string{`:8: unknown action "drop\""`}},
	} {
		_, err := Parse("cases.toml", []byte(c.src))
		if err == nil {
			t.Errorf("%s: accepted, want %q", name, c.want)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got\n%v\nwant it to say %q", name, err, want)
			}
		}
	}
}

// Editors on Windows may begin a file with a byte order mark and end lines with CR LF.
func TestFileOfWindows(t *testing.T) {
	src := "[peers]\nA = {}\n\n[[case]] # one\nfrom = \"A\"\ncommand = 0x999\nexpect.to = [\n]\n[[case]]\nfrom = \"A\"\ncommand = 1\nexpect.action = \"drop\"\n"
	windows := "\ufeff" + strings.ReplaceAll(src, "\n", "\r\n")
	if got, want := parse(t, windows), parse(t, src); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	_, err := Parse("x", []byte(strings.ReplaceAll(strings.Replace(windows, "0x999", "=", 1), "drop", "drp")))
	want := "x:6: expected value; correct the TOML; strings need quotes, and a table in braces must be on one line\n" +
		"x:12: action cannot be \"drp\"; did you mean drop?"
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

func TestBounds(t *testing.T) {
	many := strings.Repeat("[[case]]\n", MaxCases+1)
	large := "[[case]]\nhex = \"" + strings.Repeat("0", maxBlock) + "\""
	keys := "[[case]]\n"
	for i := range maxKeys + 1 {
		keys += fmt.Sprintf("k%d = 1\n", i)
	}
	for say, src := range map[string]string{
		"more than 10000 cases":         many,
		"at most 4194304 are read":      strings.Repeat("#\n", MaxSize/2+1),
		"without a new case, at most":   large,
		"more than 2000 keys":           keys,
		"nests deeper than any message": "a = " + strings.Repeat("{a=", 20),
	} {
		if _, err := Parse("x", []byte(src)); err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("got %.200v, want it to say %q", err, say)
		}
	}
	wrong := strings.Repeat("[[case]]\nname = 1\n", 1000)
	if _, err := Parse("x", []byte(wrong)); len(err.(tomlpos.Errors)) != maxFaults {
		t.Errorf("%d faults are reported, want %d", len(err.(tomlpos.Errors)), maxFaults)
	}
}

func TestAssign(t *testing.T) {
	photo := filepath.Join(t.TempDir(), "photo")
	if err := os.WriteFile(photo, []byte{0xff, 0}, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		command pdu.CommandID
		args    []string
		want    string // the fields, or part of the error
	}{
		{pdu.CID_MSG_DATA, []string{"from_user_id=0x10", "msg_type=MSG_TYPE_SINGLE_TEXT", "msg_data=a=b, \"c\""}, `map[from_user_id:16 msg_data:a=b, "c" msg_type:MSG_TYPE_SINGLE_TEXT]`},
		{pdu.CID_MSG_DATA, []string{"msg_type=1"}, "map[msg_type:1]"},
		{pdu.CID_BUDDY_LIST_USERS_STATUS_REQUEST, []string{"user_id_list=1", "user_id_list=[2, 3]"}, "map[user_id_list:[1 2 3]]"},
		{pdu.CID_OTHER_ONLINE_USER_INFO, []string{"user_stat_list={user_id=1, status=1}"}, "map[user_stat_list:[map[status:1 user_id:1]]]"},
		{pdu.CID_MSG_DATA, []string{"msg_data=file:" + photo}, "map[msg_data:hex:ff00]"},
		{pdu.CID_MSG_DATA, []string{"msg_data=file:" + photo + ".png"}, "name a file of at most 16 MiB"},
		{pdu.CID_SWITCH_P2P_CMD, []string{"cmd_msg_data=file:x"}, "map[cmd_msg_data:file:x]"},
		{pdu.CID_MSG_DATA, []string{"from_user_id"}, "write FIELD=VALUE"},
		{pdu.CID_MSG_DATA, []string{"from=1"}, "did you mean from_user_id?"},
		{pdu.CID_MSG_DATA, []string{"from_user_id=1\nx=2"}, "is not a value for from_user_id"},
		{pdu.CID_MSG_DATA, []string{"from_user_id="}, "is not a value for from_user_id"},
		{pdu.CID_MSG_DATA, []string{"from_user_id=1", "from_user_id=2"}, "written twice"},
		{0x0999, []string{"x=1"}, "not a command of the protocol"},
	} {
		fields, err := Assign(c.command, c.args)
		got := fmt.Sprint(fields)
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, c.want) {
			t.Errorf("%q: got %s, want %s", c.args, got, c.want)
		}
		if err == nil {
			if _, _, err := Body(c.command, fields); err != nil {
				t.Errorf("%q: %v", c.args, err)
			}
		}
	}
}

// Parse returns for every file. It accepts only cases that can be run, and every fault has
// a line of the file.
func FuzzParse(f *testing.F) {
	f.Add("[peers]\nA = {}\n[[case]]\nfrom = \"A\"\ncommand = 769\nexpect.to = []\nbody.msg_data = \"hex:00\"")
	f.Add("[[case]]\n[case.peers.A]\nusers = [1]\n[case.expect]\nverdict = \"unicast user 5, not-sender\"")
	f.Add("[peers]\nA.users = [\n1,\n]\n[[case]]\nbody.user_stat_list = [{user_id = 1}]\ncommand = \"CID_OTHER_ONLINE_USER_INFO\"")
	f.Fuzz(func(t *testing.T, src string) {
		cases, err := Parse("fuzz", []byte(src))
		end := strings.Count(src, "\n") + 1
		if err != nil {
			for _, fault := range err.(tomlpos.Errors) {
				if fault.Line < 1 || fault.Line > end || fault.What == "" || fault.Remedy == "" {
					t.Errorf("fault %+v of %d lines", fault, end)
				}
			}
			return
		}
		for _, c := range cases {
			if n, err := pdu.Next(c.PDU, pdu.DefaultMaxLen); n != len(c.PDU) || err != nil || n == 0 {
				t.Errorf("%s sends %x", c.Name, c.PDU)
			}
			if len(c.Peers) > 0 && len(c.Peers) < 10 {
				s := NewHarness("", "", setupPolicy{}, c.Peers)
				s.Send(c.From, c.PDU)
				s.Close()
			}
		}
	})
}
