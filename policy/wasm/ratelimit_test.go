package wasm

import (
	"testing"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/table"
)

// The limits of a guest are known once it is loaded, and its verdicts name them by ids and after an
// inspection.
func TestRateLimits(t *testing.T) {
	module, err := table.Compile("routes.toml", []byte(`
[route]
CID_MSG_READ_NOTIFY = "broadcast-all, limit 3/s per peer, limit 5/min per tenant burst 1"
[route.CID_MSG_DATA]
"body-length > 3" = "broadcast-all, limit 2/s per peer"
else              = "broadcast-all"
`))
	if err != nil {
		t.Fatal(err)
	}
	p := loadModule(t, newEngine(t, DefaultLimits(), nil), "routes", module, nil)
	limits := p.RateLimits()
	if len(limits) != 2 {
		t.Fatalf("limits: %v", limits)
	}
	for _, test := range []struct {
		command pdu.CommandID
		body    string
		want    string
	}{
		{pdu.CID_MSG_READ_NOTIFY, "", "broadcast-all, limit 3/s per peer, limit 5/min per tenant burst 1, else drop"},
		{pdu.CID_MSG_DATA, "long", "broadcast-all, limit 2/s per peer, else drop"},
		{pdu.CID_MSG_DATA, "", "broadcast-all"},
	} {
		g := policy.NewGeneration("", "", p)
		v, fault := g.Judge(pdu.Append(nil, pdu.SID_MSG, test.command, 0, []byte(test.body)), 1, 0)
		if got := limits.Spell(v); got != test.want || fault != nil {
			t.Errorf("%v %q: %s, %v; want %s", test.command, test.body, got, fault, test.want)
		}
	}
}
