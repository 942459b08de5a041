package wasm

import (
	"bytes"
	"testing"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/table"
)

// The cases of a table fit into the fuel of a call, whatever a body is made of: as many fields as are
// read, each of the longest form, for a rule that compares as many fields as it may.
func TestFuelOfCases(t *testing.T) {
	module, err := table.Compile("routes.toml", []byte(`
[route.CID_MSG_DATA]
"field 1 = 1 and field 2 = 1 and field 3 = 1" = "broadcast-all"
"msg_type = 1-2" = "drop"
"msg_type = 17-18 and body-length > 9" = "close"
else = "broadcast-except-sender"
`))
	if err != nil {
		t.Fatal(err)
	}
	e := NewEngine(DefaultLimits(), nil)
	defer e.Close()
	p, err := e.LoadOwn(t.Context(), "routes", module, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	long := []byte("\xa8\x80\x80\x80\x80\x80\x80\x80\x80\x00" + "\x92\x80\x80\x80\x80\x80\x80\x80\x80\x00") // field 5 is 18, both in ten bytes
	body := bytes.Repeat(long, 256)
	x := p.Explain(policy.Question{Header: pdu.Append(nil, pdu.SID_MSG, pdu.CID_MSG_DATA, 0, body)[:pdu.HeaderLen], Body: body, Session: 1})
	if x.Verdict.String() != "close" || x.Inspection == nil || x.Inspection.Fuel > 200_000 {
		t.Errorf("%v after %+v, want close after less than 200000 units of fuel", x.Verdict, x.Inspection)
	}
	t.Logf("%d units of fuel", x.Inspection.Fuel)
}
