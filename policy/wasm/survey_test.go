package wasm

import (
	"slices"
	"testing"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/table"
)

// surveyed returns what is found in a table.
func surveyed(t *testing.T, text string) (*Policy, policy.Named) {
	t.Helper()
	module, err := table.Compile("routes.toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	p := loadModule(t, newEngine(t, DefaultLimits(), nil), "table", module, nil)
	return p, p.Named()
}

// named reports whether the pair was found.
func named(n policy.Named, s pdu.ServiceID, c pdu.CommandID) bool {
	return slices.Contains(n.Pairs, policy.IDs{Service: s, Command: c})
}

func TestRulesBeyondTheProtocolAreFound(t *testing.T) {
	_, n := surveyed(t, `
[route]
CID_MSG_DATA  = "broadcast-all"
0x0900        = "broadcast-all"
0x1200-0x120f = "consume"
0xffff        = "close"
[service.SID_MSG]
0x0a00 = "consume"
[service.0x0123]
CID_FILE_NOTIFY = "consume"
[service.0x4242]
else = "broadcast-all"
`)
	for _, want := range []policy.IDs{{Service: 0, Command: 0x0900}, {Service: 8, Command: 0x0900}, {Service: 3, Command: 0x0a00},
		{Service: 3, Command: 0xffff}, {Service: 0x0123, Command: pdu.CID_FILE_NOTIFY}, {Service: 0x4242, Command: pdu.CID_MSG_DATA}} {
		if !named(n, want.Service, want.Command) {
			t.Errorf("%v %v was not found", want.Service, want.Command)
		}
	}
	for c := pdu.CommandID(0x1200); c <= 0x120f; c++ {
		if !named(n, 5, c) {
			t.Errorf("%v of a range was not found", c)
		}
	}
	for _, none := range []policy.IDs{{Service: 3, Command: 0x0901}, {Service: 4, Command: 0x0a00}, {Service: 3, Command: 0x1210}, {Service: 3, Command: pdu.CID_MSG_DATA}} {
		if named(n, none.Service, none.Command) {
			t.Errorf("%v %v was found, and has no rule or an entry in the memo", none.Service, none.Command)
		}
	}
	if want := []pdu.ServiceID{0x0123, 0x4242}; !slices.Equal(n.Services, want) || n.Partial {
		t.Errorf("services %v, partial %v; want %v, false", n.Services, n.Partial, want)
	}
}

// A policy with more rules than are kept says so, and is bounded.
func TestSurveyIsBounded(t *testing.T) {
	_, n := surveyed(t, "[route]\n0x0900-0xfeff = \"consume\"\n")
	if len(n.Pairs) != policy.MaxNamedPairs || !n.Partial {
		t.Errorf("%d pairs, partial %v", len(n.Pairs), n.Partial)
	}
}

// A generation calls the policy once for a pair that it names.
func TestNamedPairsAreRemembered(t *testing.T) {
	p, _ := surveyed(t, "[route]\n0x0900 = \"broadcast-all\"\n")
	for command, want := range map[pdu.CommandID]bool{0x0900: true, 0x0901: false, 0x0301: true} {
		e := p.Explain(policy.Question{Header: pdu.Append(nil, 3, command, 0, nil)})
		if e.Remembered != want {
			t.Errorf("%v: remembered %v, want %v", command, e.Remembered, want)
		}
	}
}

// The verdicts of custom commands are remembered, whatever the policy names: their PDUs are common.
func TestCustomCommandsAreRemembered(t *testing.T) {
	t.Cleanup(func() { pdu.SetCustomCommands(nil) })
	const text = "[route]\n0x0900-0x09ff = 'consume'\n"
	if _, n := surveyed(t, text); named(n, 9, 0x0950) {
		t.Fatal("the pair is found without being known")
	}
	pdu.SetCustomCommands([]pdu.Command{{Service: 9, ID: 0x0950, Name: "CID_MY_ORDER"}})
	if _, n := surveyed(t, text); !named(n, 9, 0x0950) {
		t.Errorf("not found in %v", n.Pairs)
	}
}
