package admin

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"switchyard/pdu"
	"switchyard/pdu/pb"
	"switchyard/pdu/pdutest"
	"switchyard/plugins/teamtalk"
	"switchyard/policy"
	"switchyard/policy/release/history"
	"switchyard/policy/wasm"
	"switchyard/proxy/admin/api"
	"switchyard/proxy/admission"
)

// A full server has a value for every property that the document describes.
type full struct {
	*fixture
	token string
}

const fullToken = "operate-operate-operate"

func startFull(t *testing.T) *full {
	t.Helper()
	engine := wasm.NewEngine(wasm.DefaultLimits(), nil)
	t.Cleanup(func() { engine.Close() })
	load := func(name string, module []byte) (*policy.Generation, error) {
		p, err := engine.Load(t.Context(), name, module, nil)
		if err != nil {
			return nil, err
		}
		return policy.NewGeneration(name, strings.Repeat("1f", 32), p), nil
	}
	tenant := newTenant(t, "acme", consume{})
	g, err := load("teamtalk", teamtalk.Module)
	if err != nil {
		t.Fatal(err)
	}
	tenant.Active.Install(g)
	audited, err := load("audited", teamtalk.Module)
	if err != nil {
		t.Fatal(err)
	}
	tenant.Served.SetAudit(audited)
	t.Cleanup(func() { tenant.Served.SetAudit(nil) })
	tenant.Audited = api.Policy{Name: "audited", SHA256: audited.SHA256}
	tenant.Member = fakeMember{was: memberStatus(), is: memberStatus()}
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(fullToken+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := startAt(t, patient, Options{OperateToken: file}, func(facts *fake) {
		until := time.Now()
		facts.state.Tenants = []Tenant{tenant}
		facts.state.Listeners = []api.Listener{
			{Listener: "127.0.0.1:0", Address: "127.0.0.1:1", Tenant: "acme", Tenants: []string{}, CertificateWarnings: []string{}, Refused: map[string]uint64{}},
			{Listener: "127.0.0.1:2", Address: "127.0.0.1:2", Tenants: []string{"acme"}, TLS: true, MutualTLS: true, CertificateUntil: &until,
				CertificateWarnings: []string{}, Accepted: 2, Refused: map[string]uint64{string(admission.NotAllowed): 2}},
		}
		facts.state.Configuration = api.Configuration{File: "config.toml", Since: until, Restart: []string{"log.format"}}
		facts.state.Marks = []api.Mark{{Time: until, Kind: api.MarkStart, Text: "the server started"}}
		facts.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain; version=0.0.4")
			io.WriteString(w, "switchyard_draining 0\n")
		})
		facts.load = func(_ context.Context, _, name string, file []byte) (*policy.Generation, error) {
			return load(name, file)
		}
		facts.kept = func(_ context.Context, name, _ string) (*policy.Generation, error) {
			return load(name, teamtalk.Module)
		}
		facts.reload = func(context.Context) (api.Reload, error) {
			r := api.Reload{Configuration: api.ReloadConfiguration{Result: api.Changed, Changed: []string{"peer.timeout"}},
				Listeners: []api.ReloadListener{{Listener: "127.0.0.1:0", Result: api.Plain}}, Tenants: []api.ReloadTenant{{Tenant: "acme", Result: api.Unchanged, Policy: api.Policy{Name: "teamtalk", SHA256: "1f"}}}}
			r.Sum()
			return r, nil
		}
		facts.drain = time.Minute
		begun := time.Now()
		facts.last = api.Upgrade{Result: api.UpgradeDone, Begun: &begun, Program: "/bin/switchyard", From: "v1", To: "v2", PID: 7, FrozenSeconds: 0.1, Moved: 2, Drained: 1}
		facts.upgrade = func(_ context.Context, r api.UpgradeRequest) (api.Upgrade, error) {
			if r.Check {
				return api.Upgrade{Result: api.UpgradeChecked, Check: true, Begun: &begun, To: "v2"}, nil
			}
			return api.Upgrade{Result: api.UpgradeFailed, Begun: &begun, Step: "offer", Error: "it ended"}, nil
		}
		six := history.Policy{Name: "file:p.toml", SHA256: strings.Repeat("6f", 32), Identity: "1", Version: 6, Signers: []string{"ops"}}
		changed := time.Now()
		facts.Records.Append(history.Entry{Kind: history.AtOnce, Tenant: "acme", To: &six, Who: history.Who{By: "file", Owner: "1000", Changed: &changed}}, history.Receipt{Sums: &history.Sums{}})
		released := api.Release{Tenant: "acme", Mode: "at-once", InForce: PolicyOf(&six), Previous: []api.ReleasedPolicy{*PolicyOf(&six)}, Held: []api.ReleasedPolicy{}, Drift: "rolled-back",
			Stage: &api.ReleaseStage{Candidate: *PolicyOf(&six), State: "stage", Share: 0.1, Steps: []api.ReleaseStep{{State: "shadow"}, {State: "stage", Share: 0.1}}, Step: 1,
				Budgets: []api.BudgetUse{{Budget: "copies", Used: -0.5, Allowed: 0.25}}, Commands: []string{"CID_MSG_DATA"}, Unseen: []string{}}}
		facts.release = func(string) api.Release { return released }
		facts.carry = func(_ context.Context, v Verb) (api.Release, error) {
			return released, map[string]error{Retry: Conflict{"nothing is held back"}, Kill: errors.New("it traps"), Revive: ErrStopping}[v.Name]
		}
		soon := time.Now()
		facts.History.Refused("acme", "file:no.wasm", "", &wasm.GateError{Gate: wasm.GateMagic, Policy: "file:no.wasm", Err: errors.New("no module"), Remedy: "build one"})
		facts.History.InForce("acme", g, api.PolicyEvent{Signature: &api.Signature{Version: 3, Signers: []string{"ops"}, Expires: &soon}, LoadSeconds: new(float64), Routes: "all"})
	}, listen(t, "tcp", "127.0.0.1:0"))
	f.tenant, f.hub = tenant, tenant.Hub()
	full := &full{f, fullToken}
	full.populate()
	return full
}

// populate has peers say this and that.
func (f *full) populate() {
	f.Helper()
	l := listen(f.T, "tcp", "127.0.0.1:0")
	f.Cleanup(func() { l.Close() })
	for i := range 3 {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			f.Fatal(err)
		}
		f.Cleanup(func() { conn.Close() })
		server, err := l.Accept()
		if err != nil {
			f.Fatal(err)
		}
		if err := f.tenant.Served.Serve(server, func(bool) {}); err != nil {
			f.Fatal(err)
		}
		conn.Write(pdutest.Online(stat(7), stat(uint32(100+i))))
		conn.Write(pdutest.Raw(pdu.CID_MSG_DATA, 1, []byte{8, 1, 16, 7}))
		conn.Write(pdutest.Raw(0x0999, 2, nil))
	}
	f.await("everything is said", func() bool { return f.hub.Counts().Received == 9 })
}

func stat(user uint32) *pb.ServerUserStat {
	return pdutest.Stat(user, pb.UserStatType_USER_STATUS_ONLINE, pb.ClientType_CLIENT_TYPE_WINDOWS)
}

// Every operation of the document answers as it says, and every handler is in it.
func TestDocument(t *testing.T) {
	t.Parallel()
	f, d := startFull(t), described(t)
	seen := make(map[string]bool)
	for _, v := range visits {
		t.Run(strings.ToLower(v.method+" "+v.path+" "+fmt.Sprint(v.status)), func(t *testing.T) {
			operation, ok := d.Paths[v.path][strings.ToLower(v.method)]
			if !ok {
				t.Fatal("the document does not have it")
			}
			seen[v.path+" "+v.method] = true
			f.visit(t, d, operation, v)
		})
	}
	for path, methods := range d.Paths {
		for name, operation := range methods {
			method := strings.ToUpper(name)
			if !seen[path+" "+method] {
				t.Errorf("nothing asks for %s %s", method, path)
			}
			handler, ok := f.endpoints[path][method]
			if !ok {
				t.Errorf("no handler answers %s %s", method, path)
			} else if want := rightIn(t, operation); handler.needs != want {
				t.Errorf("%s %s needs right %d, the document says %d", method, path, handler.needs, want)
			}
		}
	}
	for path, endpoint := range f.endpoints {
		for method := range endpoint {
			if _, ok := d.Paths[path][strings.ToLower(method)]; !ok {
				t.Errorf("the document does not have %s %s", method, path)
			}
		}
	}
}

// Requests beyond a limit are answered as the document says.
func TestDocumentBusy(t *testing.T) {
	f, d := startFull(t), described(t)
	f.clientTimeout = 10 * time.Millisecond // those who ask policies wait for half of it
	for _, all := range []semaphore{f.captures, f.taps, f.streams, f.policyCalls, f.reloads} {
		for range cap(all) {
			all <- struct{}{}
		}
	}
	for _, v := range []visit{
		{"GET", "/api/v1/routes", "", "", "", 429},
		{"GET", "/api/v1/policies/compare", "before=1f&after=1f", "", "", 429},
		{"POST", "/api/v1/evaluate", "", `{"command":"CID_MSG_DATA"}`, "application/json", 429},
		{"POST", "/api/v1/compare", "", "x", "application/octet-stream", 429},
		{"POST", "/api/v1/reload", "", "", "", 429},
		{"POST", "/api/v1/releases/rollback", "", `{}`, "application/json", 429},
		{"GET", "/api/v1/events", "", "", "", 429},
		{"GET", "/api/v1/capture", "", "", "", 429},
		{"GET", "/api/v1/tap", "", "", "", 429},
	} {
		f.visit(t, d, d.Paths[v.path][strings.ToLower(v.method)], v)
	}
}

// rightIn returns the right that an operation takes, as the document says it.
func rightIn(t *testing.T, o operation) right {
	t.Helper()
	var names []string
	for _, one := range o.Security {
		name := "anonymous"
		for scheme := range one {
			name = scheme
		}
		names = append(names, name)
	}
	switch got := strings.Join(names, " "); got {
	case "anonymous":
		return nothing
	case "read operate anonymous": // where no token for reading is configured
		return read
	case "operate":
		return operate
	default:
		t.Fatalf("security is %q", got)
		return nothing
	}
}

// visit makes the request and holds the answer against the document.
func (f *full) visit(t *testing.T, d *description, o operation, v visit) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, v.method, "http://"+f.Addrs()[0].String()+v.path+"?"+v.query, strings.NewReader(v.body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+f.token)
	if v.kind != "" {
		r.Header.Set("Content-Type", v.kind)
	}
	response, err := f.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != v.status {
		t.Fatalf("status %d, want %d", response.StatusCode, v.status)
	}
	kind, _, _ := strings.Cut(response.Header.Get("Content-Type"), ";")
	content, ok := o.Responses[fmt.Sprint(v.status)].Content[kind]
	if !ok {
		t.Fatalf("the document does not know an answer of %d and type %s", v.status, kind)
	}
	switch kind {
	case "application/json":
		d.conforms(t, content.Schema, f.read(response), v.path)
		if v.body != "" && v.status == 200 && v.kind == "application/json" {
			d.conforms(t, o.RequestBody.Content[v.kind].Schema, v.body, "request of "+v.path)
		}
	case "text/event-stream":
		f.checkEvents(t, d, response.Body)
	case "application/x-ndjson":
		f.checkTap(t, d, content.Schema, response.Body)
	case "text/plain":
		if f.read(response) == "" {
			t.Error("the answer is empty")
		}
	}
}

// checkEvents reads events until there was one of each.
func (f *full) checkEvents(t *testing.T, d *description, body io.Reader) {
	t.Helper()
	schemas := map[string]string{"snapshot": "Snapshot", "policy": "PolicyEvent", "release": "HistoryEntry", "log": "Line"}
	counts := make(map[string]int)
	for e := range eventsIn(t, body) {
		d.conforms(t, ref(schemas[e.name]), e.data, e.name)
		if counts[e.name]++; e.name == "snapshot" && counts[e.name] == 1 {
			f.log.Info("something", "tenant", "acme", "at", time.Now(), "took", time.Second, "n", 3, "error", io.EOF, "counts", map[string]int{"a": 1})
			f.options.History.Refused("acme", "file:other", "", errors.New("again"))
			f.options.Records.Append(history.Entry{Kind: history.Kill, Tenant: "acme", Who: history.Who{By: "token ops"}}, history.Receipt{})
		}
		if counts["snapshot"] > 1 && counts["policy"] > 0 && counts["release"] == 1 && counts["log"] > 0 {
			return
		}
	}
	t.Errorf("the stream ended after %v", counts)
}

type event struct{ name, id, data string }

// eventsIn reads server-sent events.
func eventsIn(t *testing.T, body io.Reader) func(func(event) bool) {
	return func(yield func(event) bool) {
		lines := bufio.NewScanner(body)
		lines.Buffer(nil, 4<<20)
		var e event
		for lines.Scan() {
			name, value, _ := strings.Cut(lines.Text(), ": ")
			switch name {
			case "event":
				e.name = value
			case "id":
				e.id = value
			case "data":
				e.data = value
			case "":
				if !yield(e) {
					return
				}
				e = event{}
			default:
				t.Errorf("unexpected line %q", lines.Text())
			}
		}
	}
}

// checkTap reads lines of a tap until there was one of each kind that there is.
func (f *full) checkTap(t *testing.T, d *description, schema any, body io.Reader) {
	t.Helper()
	seats := pdutest.Raw(pdu.CID_MSG_DATA, 5, []byte{8, 7, 16, 9})
	lines := bufio.NewScanner(body)
	var kinds []string
	for lines.Scan() {
		text := lines.Text()
		d.conforms(t, schema, text, "line")
		kind, _, _ := strings.Cut(strings.TrimPrefix(text, `{"kind":"`), `"`)
		if kinds = append(kinds, kind); len(kinds) == 1 {
			peer := guest{hub: f.hub}
			peer.Seat = f.hub.Join(peer)
			f.hub.Handle(peer.Seat, seats)
			f.hub.Handle(peer.Seat, pdutest.Raw(pdu.CID_MSG_DATA, 5, []byte{8, 8, 16, 9})) // names others
		}
		if kind == "pdu" && !strings.Contains(text, `"body":{"from_user_id":7,"to_session_id":9}`) {
			t.Errorf("got %s", text)
		}
		if slices.Contains(kinds, "pdu") && kinds[len(kinds)-1] == "statistics" {
			return
		}
	}
	t.Errorf("the tap ended after %v", kinds)
}
