package cases

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/policy/table"
)

const peers = `
[peers]
A = { users = [1, 2] }
B = { users = [2] }
C = { users = [3], master = true }
D = {}
`

// routes is a table with every way to send.
const routes = `
[route]
CID_MSG_DATA         = "unicast fields from_user_id to_session_id, not-sender, else-broadcast"
CID_FILE_NOTIFY      = "unicast fields to_user_id"
CID_MSG_READ_ACK     = "unicast sender"
CID_MSG_READ_NOTIFY  = "unicast session 2"
CID_MSG_TIME_REQUEST = "unicast master"
CID_SWITCH_P2P_CMD   = "broadcast-all, log"
CID_OTHER_HEARTBEAT  = "close"
0x0720-0x0722        = "consume"
0x0730               = "broadcast-all, limit 5/s per peer burst 3, else drop"
else                 = "drop"
`

func run(t *testing.T, src string) Report {
	t.Helper()
	module, err := table.Compile("routes.toml", []byte(routes))
	if err != nil {
		t.Fatal(err)
	}
	return Run(t.Context(), "routes", "", load(t, module), parse(t, peers+src))
}

// The hub of production routes these.
func TestCasesThatPass(t *testing.T) {
	var src strings.Builder
	for i, c := range [][3]string{
		{"A", `command = "CID_MSG_DATA"` + "\n" + `body = { from_user_id = 1, to_session_id = 2 }`, `to = ["B"]`},
		{"D", `command = "CID_MSG_DATA"` + "\n" + `body = { from_user_id = 1, to_session_id = 2 }`, `to = ["B", "A"]`},
		{"A", `command = "CID_MSG_DATA"` + "\n" + `body = { from_user_id = 1, to_session_id = 9 }`, `to = ["B", "C", "D"]`},
		{"A", `command = "CID_FILE_NOTIFY"` + "\n" + `body = { to_user_id = 2 }`, `to = ["A", "B"], sends = ["CID_FILE_NOTIFY"]`},
		{"A", `command = "CID_FILE_NOTIFY"` + "\n" + `body = { to_user_id = 9 }`, `to = [], dropped = "no-holder"`},
		{"A", `command = "CID_FILE_NOTIFY"` + "\n" + `hex = "ff"`, `action = "unicast", dropped = "malformed-body"`},
		{"B", `command = "CID_MSG_READ_ACK"`, `to = ["B"]`},
		{"D", `command = "CID_MSG_READ_NOTIFY"`, `to = ["B"], verdict = "unicast session 2"`},
		{"D", `command = "CID_MSG_TIME_REQUEST"`, `to = ["C"]`},
		{"D", "command = 0x0730\nbefore = 2", `to = ["A", "B", "C", "D"], verdict = "broadcast-all, limit 5/s per peer burst 3"`},
		{"D", "command = 0x0730\nbefore = 3", `to = [], action = "broadcast-all", dropped = "over-limit"`},
		{"D", "command = 0x0730\nbefore = 3\nwait = \"199ms\"", `dropped = "over-limit"`},
		{"D", "command = 0x0730\nbefore = 3\nwait = \"200ms\"", `to = ["A", "B", "C", "D"]`},
		{"D", `command = "CID_MSG_TIME_REQUEST"` + "\nmaster = true", `to = ["C", "D"]`},
		{"D", `command = "CID_SWITCH_P2P_CMD"`, `to = ["A", "B", "C", "D"], verdict = "broadcast-all, log"`},
		{"D", `command = "CID_OTHER_HEARTBEAT"`, `to = [], action = "close"`},
		{"D", `command = "CID_OTHER_ROLE_SET"`, `action = "drop", dropped = "policy"`},
	} {
		fmt.Fprintf(&src, "[[case]]\nname = \"%d\"\nfrom = \"%s\"\n%s\nexpect = { %s }\n", i, c[0], c[1], c[2])
	}
	r := run(t, src.String())
	for _, result := range r.Results {
		if !result.Passed {
			t.Errorf("%s: %+v", result.Name, result)
		}
	}
	if got, want := r.Coverage.Missing, "0x0720-0x0722"; len(got) != 1 || got[0] != want || r.Coverage.Ruled != 9 || r.Coverage.Covered != 8 {
		t.Errorf("coverage %+v, want all but %s", r.Coverage, want)
	}
}

func TestCasesThatFail(t *testing.T) {
	const chat = "[[case]]\nfrom = \"A\"\ncommand = \"CID_MSG_DATA\"\nbody = { from_user_id = 1, to_session_id = 2 }\n"
	for _, c := range []struct{ expect, want string }{
		{`to = ["B", "C"]`, "[{to B, C B}]"},
		{`to = []`, "[{to nobody B}]"},
		{`action = "drop"`, "[{action drop unicast}]"},
		{`verdict = "unicast fields 1"`, "[{verdict unicast fields 1 unicast fields 1 2, not-sender, else-broadcast}]"},
		{`sends = ["CID_FILE_NOTIFY"]`, "[{sends to B CID_FILE_NOTIFY CID_MSG_DATA}]"},
		{`dropped = "policy"`, "[{dropped policy no}]"},
		{`fault = "trap"`, "[{fault trap no}]"},
	} {
		r := run(t, chat+"expect = { "+c.expect+" }")
		got := r.Results[0]
		if fmt.Sprint(got.Mismatches) != c.want || got.Passed || r.Failed != 1 {
			t.Errorf("%s: got %v, want %s", c.expect, got.Mismatches, c.want)
		}
		if notes := strings.Join(got.Notes, "\n"); !strings.Contains(notes, "msg_id, create_time, msg_type, msg_data") {
			t.Errorf("%s: notes %q do not say what the body lacks", c.expect, notes)
		}
	}
	// A case fails if its PDU is dropped for a reason that it does not expect.
	r := run(t, "[[case]]\nfrom = \"A\"\ncommand = \"CID_FILE_NOTIFY\"\nexpect.action = \"unicast\"")
	if got := fmt.Sprint(r.Results[0].Mismatches); got != "[{dropped no no-holder}]" {
		t.Errorf("got %s", got)
	}
	if r := run(t, "[[case]]\nfrom = \"A\"\ncommand = \"CID_FILE_NOTIFY\"\nexpect = { sends = [\"CID_MSG_DATA\"], dropped = \"no-holder\" }"); r.Passed != 0 {
		t.Errorf("nothing was sent, and passed: %+v", r.Results)
	}
}

// Peers receive the handler's PDUs. Presence is as the case says, although the policy
// drops the PDUs that announce it.
func TestHandlers(t *testing.T) {
	module, err := table.Compile("x", []byte("[route]\nCID_BUDDY_LIST_USERS_STATUS_REQUEST = \"handle users-status-request\""))
	if err != nil {
		t.Fatal(err)
	}
	harness := NewHarness("x", "", load(t, module), []Peer{{Name: "A"}, {Name: "B", Users: []uint32{7}}})
	defer harness.Close()
	body, _, err := Body(pdu.CID_BUDDY_LIST_USERS_STATUS_REQUEST, map[string]any{"user_id": int64(1), "user_id_list": []any{int64(7), int64(8)}})
	if err != nil {
		t.Fatal(err)
	}
	o := harness.Send("A", pdu.Append(nil, pdu.SID_BUDDY_LIST, pdu.CID_BUDDY_LIST_USERS_STATUS_REQUEST, 3, body))
	if len(o.Copies) != 1 || o.Copies[0].Peer != "A" || len(o.Copies[0].PDUs) != 1 {
		t.Fatalf("got %+v", o)
	}
	h, want := pdu.ParseHeader(o.Copies[0].PDUs[0]), "\x08\x01\x12\x04\x08\x07\x10\x01\x12\x04\x08\x08\x10\x02\xa2\x01\x00"
	if got := string(o.Copies[0].PDUs[0][pdu.HeaderLen:]); got != want || h.Seq != 3 {
		t.Errorf("got %x, want %x: 7 is online, 8 is not", got, want)
	}
}

// masters is a policy whose verdict depends on whether the sender is master.
type masters struct{ setupPolicy }

func (masters) Classify(pdu.ServiceID, pdu.CommandID) (policy.Verdict, error) {
	return abi.InspectHeader | abi.Drop, nil
}

func (masters) Inspect(_ policy.Verdict, q policy.Question) (policy.Verdict, error) {
	if q.Attributes == abi.AttributeMaster {
		return abi.BroadcastAll, nil
	}
	return policy.Verdict(q.Session<<abi.ArgumentShift | abi.ToSession<<abi.SelectorShift | abi.Unicast), nil
}

// The reported verdict and the hub agree on the sender's session and attributes.
func TestSenderIsAsTheCaseSays(t *testing.T) {
	r := Run(t.Context(), "masters", "", masters{}, parse(t, peers+`
[[case]]
name    = "not master"
from    = "B"
command = "CID_MSG_DATA"
expect  = { verdict = "unicast session 2", to = ["B"] }
[[case]]
name    = "made master"
from    = "B"
master  = true
command = "CID_MSG_DATA"
expect  = { verdict = "broadcast-all", to = ["A", "B", "C", "D"] }
[[case]]
name    = "master"
from    = "C"
command = "CID_MSG_DATA"
expect  = { verdict = "broadcast-all", to = ["A", "B", "C", "D"] }
[[case]]
name    = "master no more"
from    = "C"
master  = false
command = "CID_MSG_DATA"
expect  = { verdict = "unicast session 3", to = ["C"] }
`))
	if r.Passed != 4 {
		t.Errorf("got %+v", r.Results)
	}
}

// failing is a policy that fails in every inspection.
type failing struct{ asked int }

func (*failing) Classify(pdu.ServiceID, pdu.CommandID) (policy.Verdict, error) {
	return abi.InspectHeader | abi.BroadcastAll, nil
}

func (f *failing) Inspect(policy.Verdict, policy.Question) (policy.Verdict, error) {
	f.asked++
	return 0, &policy.Fault{Kind: policy.FaultTrap, Err: errors.New("unreachable in .the_guilty_one")}
}

func (*failing) Close() error { panic("closed, though it is the caller's") }

// A fault fails each case that does not expect it, also when the circuit breaker would be
// open, and the report has the guest's message.
func TestFaultsOfThePolicy(t *testing.T) {
	src := peers
	for i := range 30 { // more than the circuit breaker allows
		src += fmt.Sprintf("[[case]]\nname = \"%d\"\nfrom = \"A\"\ncommand = \"CID_MSG_DATA\"\nexpect.to = [\"A\", \"B\", \"C\", \"D\"]\n", i)
	}
	src += "[[case]]\nfrom = \"A\"\ncommand = \"CID_MSG_DATA\"\nexpect = { fault = \"trap\", action = \"broadcast-all\" }"
	r := Run(t.Context(), "failing", "", new(failing), parse(t, src))
	if r.Passed != 1 || r.Failed != 30 {
		t.Errorf("%d passed, want the one that expects it: %+v", r.Passed, r.Results[0])
	}
	for _, result := range r.Results[:30] {
		if fmt.Sprint(result.Mismatches) != "[{fault no trap}]" || !strings.Contains(strings.Join(result.Notes, "\n"), "the_guilty_one") {
			t.Fatalf("got %+v", result)
		}
	}
}

// A policy that takes long for each command is not asked about all of them for hours. Its cases count all
// the same.
func TestCoverageOfASlowPolicy(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := Run(ctx, "masters", "", masters{}, parse(t, peers+"[[case]]\nfrom = \"A\"\ncommand = \"CID_MSG_DATA\"\nexpect.to = []\n"))
	if len(r.Results) != 1 || r.Passed+r.Failed != 1 || r.Coverage.Ruled != 0 || r.Coverage.Unknown != "the policy answers too slowly to be asked about every command" {
		t.Errorf("got %+v", r)
	}
}

func TestReportAsJSON(t *testing.T) {
	r := run(t, "[[case]]\nname = \"x\"\nfrom = \"A\"\ncommand = \"CID_MSG_READ_ACK\"\nexpect.to = []")
	got, err := json.Marshal(r.Results[0])
	want := `{"name":"x","line":7,"passed":false,"mismatches":[{"what":"to","want":"nobody","got":"A"}],` +
		`"got":{"verdict":"unicast sender","to":["A"],"sends":{"A":["CID_MSG_READ_ACK"]}},"notes":["the verdict is unicast sender"]}`
	if err != nil || string(got) != want {
		t.Errorf("got\n%s, %v\nwant\n%s", got, err, want)
	}
}
