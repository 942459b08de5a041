package admin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"switchyard/pdu"
	"switchyard/pdu/message"
	"switchyard/pdu/pdutest"
	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/policy/policytest"
	"switchyard/policy/table"
	"switchyard/policy/wasm"
	"switchyard/proxy/admin/api"
	"switchyard/proxy/hub"
)

// tell reads an answer of JSON into v.
func (f *fixture) tell(path string, v any) {
	f.Helper()
	r := f.ask("GET", path)
	if text := f.read(r); r.StatusCode != 200 {
		f.Fatalf("%s: %d %s", path, r.StatusCode, text)
	} else if err := json.Unmarshal([]byte(text), v); err != nil {
		f.Fatalf("%s: %v", path, err)
	}
}

// A snapshot is there at once, without a stream of events, and its rates are soon fresh.
func TestSnapshot(t *testing.T) {
	t.Parallel()
	f := startFull(t)
	var s api.Snapshot
	f.tell("/api/v1/snapshot", &s)
	if len(s.Tenants) != 1 || s.Totals.Tenants != 1 || s.Totals.Received != 9 || s.Totals.Users != 4 || s.Draining {
		t.Fatalf("got %+v", s)
	}
	one := s.Tenants[0]
	if one.Tenant != "acme" || one.Sessions != 3 || one.Received != 9 || one.Policy.Name != "teamtalk" || len(one.Commands) != 3 {
		t.Errorf("got %+v", one)
	}
	var peer guest
	peer.Seat = f.hub.Join(peer)
	f.await("rates are known", func() bool {
		f.hub.Handle(peer.Seat, pdutest.Raw(pdu.CID_MSG_DATA, 1, []byte{8, 1, 16, 7}))
		f.tell("/api/v1/snapshot", &s)
		return s.Totals.Rates.PDUsIn > 0 && s.Latency != nil
	})
}

// The first minute has fresh rates, although nobody has asked for any.
func TestRatesAreFreshAfterTheStart(t *testing.T) {
	t.Parallel()
	f := start(t, patient)
	f.await("samples are taken every second", func() bool { return f.sampler.freshUntil.Load() != 0 })
}

// An evaluation says who would be sent a copy, and what the policy may do.
func TestEvaluate(t *testing.T) {
	f := startFull(t)
	ask := func(body string) (e api.Evaluation) {
		t.Helper()
		r := f.post("/api/v1/evaluate", "application/json", strings.NewReader(body))
		if text := f.read(r); r.StatusCode != 200 {
			t.Fatalf("%d %s", r.StatusCode, text)
		} else if err := json.Unmarshal([]byte(text), &e); err != nil {
			t.Fatal(err)
		}
		return e
	}
	before := f.hub.Counts()
	e := ask(`{"command":"CID_MSG_DATA","body":"0801"}`)
	if e.Decision.Action != "broadcast-except-sender" || e.Copies == nil || *e.Copies != 2 || len(e.Sessions) != 2 || string(compact(e.PDU.Fields)) != `{"from_user_id":1}` || !e.ByIDs.Remembered {
		t.Errorf("got %+v", e)
	}
	if e = ask(`{"command":"0x0999","session":99}`); e.Decision.Action != "drop" || *e.Copies != 0 || e.PDU.Service != "0x0009" {
		t.Errorf("got %+v", e)
	}
	if e = ask(`{"command":"CID_OTHER_USER_STATUS_UPDATE"}`); e.Decision.Handler != "user-status-update" || e.Copies != nil || len(e.Notes) != 1 {
		t.Errorf("got %+v", e)
	}
	effects, err := policy.ParseEffects([]string{"unicast"}, nil, "consume")
	if err != nil {
		t.Fatal(err)
	}
	g := f.tenant.Active.Acquire()
	guest := g.Policy()
	f.tenant.Active.Install(policy.NewLimitedGeneration("limited", "", guest, effects))
	e = ask(`{"command":"CID_MSG_DATA"}`)
	if e.Decision.Action != "consume" || e.Fault == nil || e.Fault.Kind != string(policy.FaultEffect) || e.ByIDs.Decision.Action != "broadcast-except-sender" {
		t.Errorf("of a limited policy: %+v", e)
	}
	limited := f.tenant.Active.Acquire()
	if n := limited.Faults(policy.FaultEffect); n != uint64(len(limited.Outside())) { // those of the memo alone
		t.Errorf("%d faults are counted, want those from before", n)
	}
	limited.Release()
	f.tenant.Active.Install(inspecting(t, "broadcast-except-sender"))
	e = ask(`{"command":"CID_SWITCH_P2P_CMD","body":"0102"}`)
	if e.Decision.Action != "consume" || e.Fault == nil || e.Fault.Kind != string(policy.FaultEffect) || e.Inspection == nil || e.Inspection.Decision.Action != "unicast" || e.Inspection.Export != abi.InspectBody {
		t.Errorf("of a limited inspection: %+v, %+v", e, e.Inspection)
	}
	f.tenant.Active.Install(inspecting(t, "unicast")) // so that it is not even asked for more
	e = ask(`{"command":"CID_SWITCH_P2P_CMD","body":"0102"}`)
	if e.Decision.Action != "consume" || e.Fault == nil || e.Inspection != nil {
		t.Errorf("of a limited answer by ids: %+v", e)
	}
	if after := f.hub.Counts(); after.Received != before.Received || after.Due != before.Due {
		t.Errorf("an evaluation was routed: %+v, before %+v", after, before)
	}
}

// An evaluation puts the sender into groups, as the session's peer is or as asked for.
func TestEvaluateGroups(t *testing.T) {
	f := startFull(t)
	module, err := table.Compile("routes.toml", []byte("[from.admin]\nCID_MSG_DATA = \"broadcast-all\"\n[from.guests]\nelse = \"drop\"\n[route]\nelse = \"consume\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	engine := wasm.NewEngine(wasm.DefaultLimits(), nil)
	t.Cleanup(func() { engine.Close() })
	p, err := engine.Load(t.Context(), "groups", module, nil)
	if err != nil {
		t.Fatal(err)
	}
	f.tenant.Active.Install(policy.NewGeneration("groups", "", p))
	peer := guest{}
	peer.Seat = f.hub.Connect(peer, &hub.Membership{Groups: p.Groups()[:1]})
	peer.Seat.Begin()
	admin := fmt.Sprintf(`"session":%d`, peer.Seat.Session())
	for ask, want := range map[string]struct {
		status             int
		action, in, remark string
	}{
		`"session":2`:          {200, "consume", "[]", ""},
		admin:                  {200, "broadcast-all", "[admin]", ""},
		admin + `,"groups":[]`: {200, "consume", "[]", ""},
		`"groups":["admin"]`:   {200, "broadcast-all", "[admin]", ""},
		`"groups":["admn"]`:    {200, "consume", "[admn]", "the policy names no group admn; did you mean admin?"},
		`"groups":["archive"]`: {200, "consume", "[archive]", "the policy names no group archive; its groups are admin, guests"},
		`"groups":["Admin"]`:   {400, "", "", `groups: \"Admin\" is not a group's name`},
		`"groups":["master"]`:  {400, "", "", "declared themselves master"},
		`"groups":["g"` + strings.Repeat(`,"g"`, 32) + `]`: {400, "", "", "groups: 33 of them, where a tenant has 32 at most"},
	} {
		r := f.post("/api/v1/evaluate", "application/json", strings.NewReader(`{"command":"CID_MSG_DATA",`+ask+`}`))
		text := f.read(r)
		var e api.Evaluation
		if err := json.Unmarshal([]byte(text), &e); r.StatusCode != want.status || err != nil || !strings.Contains(text, want.remark) {
			t.Errorf("%s: %d %v %s", ask, r.StatusCode, err, text)
		}
		if want.status == 200 && (e.Decision.Action != want.action || fmt.Sprint(e.Sender.Groups) != want.in || (len(e.Notes) > 0) != (want.remark != "")) {
			t.Errorf("%s: %s of a sender in %v with the notes %q, want %+v", ask, e.Decision.Action, e.Sender.Groups, e.Notes, want)
		}
	}
}

// inspecting returns a policy that inspects, says broadcast-except-sender by ids and
// unicast then, and may do one action.
func inspecting(t *testing.T, may string) *policy.Generation {
	t.Helper()
	module, err := os.ReadFile("../../policy/wasm/testdata/sound.wasm")
	if err != nil {
		t.Fatal(err)
	}
	engine := wasm.NewEngine(wasm.DefaultLimits(), nil)
	t.Cleanup(func() { engine.Close() })
	p, err := engine.Load(t.Context(), "sound", module, nil)
	if err != nil {
		t.Fatal(err)
	}
	effects, err := policy.ParseEffects([]string{may}, nil, "consume")
	if err != nil {
		t.Fatal(err)
	}
	return policy.NewLimitedGeneration("sound", "", p, effects)
}

func compact(text json.RawMessage) []byte {
	var b bytes.Buffer
	json.Compact(&b, text)
	return b.Bytes()
}

// A request about a tenant that ends meanwhile is answered at once.
func TestTenantEnds(t *testing.T) {
	ended := newTenant(t, "ended", consume{})
	ended.Served.Close()
	ended.Active = policy.NewActive(policy.NewGeneration("gone", "", consume{}))
	ended.Active.Close()
	g := startAt(t, patient, Options{}, func(facts *fake) {
		facts.state.Tenants = []Tenant{ended}
	}, listen(t, "tcp", "127.0.0.1:0"))
	for path, want := range map[string]int{"/api/v1/tenants": 200, "/api/v1/routes": 404, "/api/v1/connections": 200} {
		if r := g.ask("GET", path); r.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, r.StatusCode, want)
		}
	}
	r := g.post("/api/v1/evaluate", "application/json", strings.NewReader(`{"command":"CID_MSG_DATA"}`))
	if g.read(r); r.StatusCode != 404 {
		t.Errorf("evaluate: %d, want 404", r.StatusCode)
	}
	if r := g.ask("GET", "/api/v1/events"); r.StatusCode != 200 {
		t.Errorf("events: %d", r.StatusCode)
	}
}

func TestReady(t *testing.T) {
	f := startAt(t, patient, Options{}, func(f *fake) {
		f.state.Draining, f.state.Listeners = true, []api.Listener{{Address: "127.0.0.1:1"}}
	}, listen(t, "tcp", "127.0.0.1:0"))
	r := f.ask("GET", "/readyz")
	if got := f.read(r); r.StatusCode != http.StatusServiceUnavailable || got != "[-]not draining the server stops\n[+]descriptors ok\n[+]listener 127.0.0.1:1 ok\n[+]tenant default ok\n" {
		t.Errorf("%d %q", r.StatusCode, got)
	}
}

// Snapshots have the first of many.
func TestMost(t *testing.T) {
	var rows []row
	for i := range 1000 {
		l := row{tenant: Tenant{Name: "a"}}
		l.Number, l.Lag = uint64(i), uint64(i*7919%1000)
		rows = append(rows, l)
	}
	got := firstOf(rows, byLag, func(l row) bool { return l.Lag > 0 })
	for i, l := range got {
		if l.Lag != uint64(999-i) {
			t.Errorf("at place %d: %d", i, l.Lag)
		}
	}
	if len(got) != mostShown {
		t.Errorf("got %d", len(got))
	}
	if got := firstOf(rows[:1], byLag, func(l row) bool { return l.Lag > 0 }); len(got) != 0 {
		t.Errorf("got %v", got)
	}
}

// Bodies are shown as JSON, if they are messages.
func TestBodyAsJSON(t *testing.T) {
	for _, c := range []struct {
		body string
		want string
	}{
		{"\x08\x01", `{"from_user_id":1}`},
		{"\x08", ""},
		{"\xff", ""},
		{"", "{}"},
	} {
		if got := compact(message.JSON(pdu.CID_MSG_DATA, []byte(c.body))); string(got) != c.want {
			t.Errorf("%q: %s, want %s", c.body, got, c.want)
		}
	}
	if got := message.JSON(0x0999, nil); got != nil {
		t.Errorf("of no command: %s", got)
	}
}

// Unknown commands with a rule have a row with their own traffic, and else counts the others.
func TestRoutesOfUnknownCommands(t *testing.T) {
	rules := policytest.Rules{0x0900: abi.BroadcastAll, 0x0901: abi.BroadcastAll}
	f := start(t, patient)
	f.tenant.Active.Install(policytest.Generation(rules))
	peer := f.peer
	for _, c := range []pdu.CommandID{0x0900, 0x0900, 0x0901, 0x0a00} {
		f.hub.Handle(peer.Seat, pdutest.Raw(c, 1, nil))
	}
	var routes api.Routes
	f.tell("/api/v1/routes", &routes)
	got := make(map[string]api.Route)
	for _, r := range routes.Routes {
		got[r.Command] = r
	}
	if r := got["0x0900-0x0901"]; r.PDUs != 3 || r.Actions["broadcast-all"] != 3 || r.Decision.Action != "broadcast-all" {
		t.Errorf("the rule's row is %+v", r)
	}
	if r := got["else"]; r.PDUs != 1 || r.Actions["drop"] != 1 || len(r.Actions) != 1 || r.Decision.Action != "drop" {
		t.Errorf("the row of the others is %+v", r)
	}
	if !strings.Contains(routes.Asked, "every command id") {
		t.Errorf("asked about %q", routes.Asked)
	}
	var s api.Snapshot
	f.tell("/api/v1/snapshot", &s)
	if all := s.Tenants[0].Commands; len(all) != 3 || all[0].Command != "0x0900" || all[0].PDUs != 2 {
		t.Errorf("the snapshot has %+v", all)
	}
}
