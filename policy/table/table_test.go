package table

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/abi"
)

const anyService = pdu.ServiceID(0x4242) // one that no table of the tests names

func parse(t testing.TB, src string) *Table {
	t.Helper()
	table, err := Parse("routes.toml", []byte(src))
	if err != nil {
		t.Fatalf("Parse of\n%s\n%v", src, err)
	}
	return table
}

func TestVerdictsOfOneRule(t *testing.T) {
	const unicast = abi.Unicast
	tests := []struct {
		text string
		want policy.Verdict
	}{
		{"drop", abi.Drop},
		{"drop, log", abi.Drop | abi.Log},
		{"consume", abi.Consume},
		{"close,log", abi.Close | abi.Log},
		{"broadcast-except-sender", abi.BroadcastExceptSender},
		{"broadcast-all, log", abi.BroadcastAll | abi.Log},
		{"handle online-user-info", abi.Handle | 1<<32},
		{"handle user-status-update", abi.Handle | 2<<32},
		{"handle role-set, log", abi.Handle | abi.Log | 3<<32},
		{"handle users-status-request", abi.Handle | 4<<32},
		{"unicast sender", unicast},
		{"unicast session 7", unicast | 1<<16 | 7<<32},
		{"unicast session 0xffffffff, not-sender", unicast | 1<<16 | abi.NotSender | 0xffffffff<<32},
		{"unicast user 0", unicast | 2<<16},
		{"  unicast   user 7 ,  else-broadcast , not-sender  ", unicast | 2<<16 | abi.ElseBroadcast | abi.NotSender | 7<<32},
		{"unicast fields 1 31", unicast | 3<<16 | (1<<31|1<<1)<<32},
		{"unicast fields from_user_id to_session_id", unicast | 3<<16 | (1<<1|1<<2)<<32},
		{"unicast fields from_user_id 2, else-broadcast", unicast | 3<<16 | abi.ElseBroadcast | (1<<1|1<<2)<<32},
		{"unicast master, not-sender, log", unicast | 4<<16 | abi.NotSender | abi.Log},
	}
	for _, test := range tests {
		table := parse(t, fmt.Sprintf("[route]\nCID_MSG_DATA = %q\n", test.text))
		got := table.Verdict(anyService, pdu.CID_MSG_DATA)
		if got != test.want {
			t.Errorf("%q: got %#x (%v), want %#x (%v)", test.text, uint64(got), got, uint64(test.want), test.want)
		}
		if err := got.Check(); err != nil {
			t.Errorf("%q: %v", test.text, err)
		}
	}
}

// Tables spell verdicts as policy.Verdict prints them.
func TestVerdictsReadAsTheyPrint(t *testing.T) {
	for _, v := range allVerdicts() {
		table := parse(t, fmt.Sprintf("[route]\n0x0001 = %q\n", v))
		if got := table.Verdict(anyService, 1); got != v {
			t.Errorf("%q reads as %#x, want %#x", v, uint64(got), uint64(v))
		}
	}
}

// allVerdicts returns every kind of verdict that a table can express.
func allVerdicts() []policy.Verdict {
	var all []policy.Verdict
	add := func(v policy.Verdict) { all = append(all, v, v|abi.Log) }
	for _, v := range []policy.Verdict{abi.Drop, abi.Consume, abi.BroadcastExceptSender, abi.BroadcastAll, abi.Close, abi.Unicast} {
		add(v)
	}
	for h := 1; h < len(policy.Handlers); h++ {
		add(abi.Handle | policy.Verdict(h)<<32)
	}
	for selector := policy.Verdict(abi.ToSession); selector <= abi.ToMaster; selector++ {
		v := abi.Unicast | selector<<16
		if selector != abi.ToMaster {
			v |= 0x80000002 << 32
		}
		add(v)
		add(v | abi.NotSender)
		if selector == abi.ToUser || selector == abi.ToFields {
			add(v | abi.ElseBroadcast)
			add(v | abi.ElseBroadcast | abi.NotSender)
		}
	}
	return all
}

func TestPrecedence(t *testing.T) {
	tests := []struct {
		service pdu.ServiceID
		command pdu.CommandID
		want    uint32
	}{
		{pdu.SID_FILE, 0x0508, 1},
		{pdu.SID_FILE, 0x0601, 11},
		{pdu.SID_MSG, 0x0508, 2},
		{pdu.SID_FILE, 0x0507, 3},
		{pdu.SID_MSG, 0x0506, 3},
		{pdu.SID_MSG, 0x0509, 33},
		{pdu.SID_MSG, 0x0505, 33},
		{pdu.SID_FILE, 0x05ff, 33},
		{pdu.SID_FILE, 0x0600, 34},
		{pdu.SID_MSG, 0x0601, 34},
		{pdu.SID_FILE, 0x0400, 34},
		{pdu.SID_FILE, 0x03ff, 4},
		{pdu.SID_FILE, 0x1000, 4},
		{pdu.SID_MSG, 0x1000, 5},
		{0, 0, 5},
		{0xffff, 0xffff, 5},
	}
	table := parse(t, ranks)
	classify := load(t, table.Module())
	for _, test := range tests {
		want := policy.Verdict(abi.Unicast | abi.ToUser<<16 | uint64(test.want)<<32)
		if got := table.Verdict(test.service, test.command); got != want {
			t.Errorf("%v %#04x: got %v, want %v", test.service, uint16(test.command), got, want)
		}
		if got := classify(uint32(test.service), uint32(test.command)); got != want {
			t.Errorf("%v %#04x by the module: got %v, want %v", test.service, uint16(test.command), got, want)
		}
	}
}

func TestElseIsDropAndLogUnlessWritten(t *testing.T) {
	table := parse(t, "[route]\nCID_MSG_DATA = 'close'\n")
	if got, want := table.Verdict(anyService, 0x9999), policy.Verdict(abi.Drop|abi.Log); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

// All TOML spellings of a table compile to the same module.
func TestSpellings(t *testing.T) {
	want := parse(t, "[route]\nCID_MSG_DATA = \"close\"\n0x0720-0x072f = \"consume\"\n[service.SID_FILE]\nelse = \"broadcast-all\"\n").Module()
	for _, src := range []string{
		"[service.0x0005]\nelse = 'broadcast-all'\n[route]\n0x0301 = 'close'\n1824-1839 = 'consume'\n",
		"route.'769' = 'close'\nroute.\"0x720-0x72F\" = 'consume'\nservice.5.else = 'broadcast-all'\n",
		"route = { CID_MSG_DATA = 'close', 0x0720-1839 = 'consume' }\nservice = { SID_FILE = { else = 'broadcast-all' } }\n",
		"\ufeff# a mark, and lines that end as on Windows\r\n[route]\r\nCID_MSG_DATA = \"close\" # here\r\n0x0720-0x072f = \"consume\"\r\n[service]\r\n[service.SID_FILE]\r\nelse = \"broadcast-all\"\r\n",
	} {
		if got := parse(t, src).Module(); string(got) != string(want) {
			t.Errorf("other module than expected from\n%s", src)
		}
	}
	table := parse(t, "[route]\nCID_OTHER_FILE_TRANSFER_REQ-CID_OTHER_FILE_SERVER_IP_RSP = 'close'\n")
	for command, want := range map[pdu.CommandID]policy.Action{0x0730: policy.Drop, 0x0731: policy.Close, 0x0734: policy.Close, 0x0735: policy.Drop} {
		if got := table.Verdict(anyService, command).Action(); got != want {
			t.Errorf("range of names, %v: got %v, want %v", command, got, want)
		}
	}
}

// Every rule names another user, which shows which rule matched.
const ranks = `
[route]
CID_FILE_NOTIFY = "unicast user 2"        # 0x0508
0x0500-0x05ff   = "unicast user 33"
0x0400-0x0fff   = "unicast user 34"
0x0506-0x0508   = "unicast user 3"
else            = "unicast user 5"
[service.SID_FILE]
1288            = "unicast user 1"        # 0x0508
CID_SWITCH_P2P_CMD = "unicast user 11"
else            = "unicast user 4"
`

// The example in the package comment is a table with the documented meaning.
func TestExampleOfPackageComment(t *testing.T) {
	source, err := os.ReadFile("table.go")
	if err != nil {
		t.Fatal(err)
	}
	comment, _, _ := strings.Cut(string(source), "// # Keys")
	var example strings.Builder
	for line := range strings.Lines(comment) {
		if rule, ok := strings.CutPrefix(line, "//\t"); ok {
			example.WriteString(rule)
		}
	}
	table := parse(t, example.String())
	for _, test := range []struct {
		service pdu.ServiceID
		command pdu.CommandID
		want    string
	}{
		{pdu.SID_OTHER, pdu.CID_OTHER_HEARTBEAT, "consume"},
		{pdu.SID_OTHER, pdu.CID_OTHER_ROLE_SET, "handle role-set"},
		{pdu.SID_SWITCH_SERVICE, pdu.CID_SWITCH_P2P_CMD, "unicast fields 1 2, not-sender, else-broadcast"},
		{pdu.SID_FILE, 0x0725, "broadcast-except-sender"},
		{pdu.SID_FILE, pdu.CID_FILE_NOTIFY, "unicast fields 2, else-broadcast"},
		{pdu.SID_FILE, 0x9999, "drop"},
		{pdu.SID_MSG, pdu.CID_FILE_NOTIFY, "drop, log"},
	} {
		if got := table.Verdict(test.service, test.command).String(); got != test.want {
			t.Errorf("%v %v: got %s, want %s", test.service, test.command, got, test.want)
		}
	}
}
