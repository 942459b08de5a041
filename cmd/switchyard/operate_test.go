//go:build full || race

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"switchyard/pdu"
	"switchyard/pdu/pb"
	"switchyard/pdu/pdutest"
)

const operateToken = "a-token-to-operate-with"

// A caller sends requests to a process over its socket, each over a connection of its own: the server may
// close one that is kept just when the next request is sent.
type caller struct {
	*testing.T
	client *http.Client
	base   string
	token  string
}

// startOperated starts switchyard with the table as its tenant's policy, in a folder with a socket
// and a token.
func startOperated(t *testing.T, table string, args ...string) (dir string, p *process, o *caller) {
	t.Helper()
	dir = t.TempDir()
	save(t, dir, "routes.toml", table)
	save(t, dir, "token", operateToken+"\n")
	save(t, dir, "config.toml", "[admin]\nsocket = \"a.sock\"\noperate_token_file = \"token\"\n[tenant.default]\npolicy = \"file:routes.toml\"\n[reload]\nwatch = false\n")
	p = start(t, dir, args...)
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(dir, "a.sock"))
	}}
	return dir, p, &caller{T: t, client: &http.Client{Transport: transport, Timeout: patience}, base: "http://localhost"}
}

// byAddress returns a caller that uses the TCP address, with or without a token.
func (o *caller) byAddress(p *process, token string) *caller {
	address := p.expect(`"msg":"admin"`, "127.0.0.1")["address"].(string)
	transport := &http.Transport{DisableKeepAlives: true}
	return &caller{T: o.T, client: &http.Client{Transport: transport, Timeout: patience}, base: "http://" + address, token: token}
}

// ask sends a request and reads the answer into v, which may be nil.
func (o *caller) ask(want int, method, path, kind, body string, v any) string {
	o.Helper()
	r, err := http.NewRequestWithContext(o.Context(), method, o.base+path, strings.NewReader(body))
	if err != nil {
		o.Fatal(err)
	}
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	if o.token != "" {
		r.Header.Set("Authorization", "Bearer "+o.token)
	}
	response, err := o.client.Do(r)
	if err != nil {
		o.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != want {
		o.Fatalf("%s %s: %d %s, %v; want %d", method, path, response.StatusCode, text, err, want)
	}
	if v != nil {
		if err := json.Unmarshal(text, v); err != nil {
			o.Fatalf("%s %s: %v", method, path, err)
		}
	}
	return string(text)
}

const (
	asJSON   = "application/json"
	asFile   = "application/octet-stream"
	everyone = "[route]\nCID_MSG_DATA = \"broadcast-all\"\nCID_OTHER_ONLINE_USER_INFO = \"handle online-user-info\"\nCID_BUDDY_LIST_USERS_STATUS_REQUEST = \"handle users-status-request\"\nCID_OTHER_HEARTBEAT = \"consume\"\n"
)

// The results of a reload, as the API returns them.
type reloaded struct {
	OK            bool
	Error         string
	Configuration struct {
		Result, Error string
		Changed       []string
	}
	Tenants []struct {
		Tenant, Result, Error string
		Policy                struct{ Name, SHA256 string }
	}
}

// Operators read what happens, and reload, explain and compare policies.
func TestOperate(t *testing.T) {
	t.Parallel()
	dir, p, o := startOperated(t, everyone)
	north, south := p.dial(), p.dial()
	north.say(pdutest.Online(pdutest.Stat(7, pb.UserStatType_USER_STATUS_ONLINE, pb.ClientType_CLIENT_TYPE_WINDOWS)))
	m := pdutest.Raw(pdu.CID_MSG_DATA, 1, []byte{8, 7})
	north.say(m)
	north.expect(m)
	south.expect(m)

	t.Run("presence", func(t *testing.T) {
		var got struct {
			Users int
			User  struct {
				Present bool
				Holders []struct{ Peer string }
			}
		}
		o.ask(200, "GET", "/api/v1/presence?user=7", "", "", &got)
		if got.Users != 1 || !got.User.Present || len(got.User.Holders) != 1 || got.User.Holders[0].Peer != north.LocalAddr().String() {
			t.Errorf("got %+v", got)
		}
		o.ask(200, "GET", "/api/v1/presence?user=8", "", "", &got)
		if got.User.Present {
			t.Errorf("user 8 is %+v", got.User)
		}
	})
	t.Run("evaluate", func(t *testing.T) {
		var got struct {
			Decision struct{ Action string }
			Copies   int
			ByIDs    struct{ Fuel uint64 } `json:"by_ids"`
		}
		o.byAddress(p, "").ask(200, "POST", "/api/v1/evaluate", asJSON, `{"command":"CID_MSG_DATA"}`, &got)
		if got.Decision.Action != "broadcast-all" || got.Copies != 2 || got.ByIDs.Fuel == 0 {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("compare", func(t *testing.T) {
		var got struct {
			Same    bool
			Changes []struct {
				Command       string
				Before, After struct{ Action string }
			}
		}
		candidate := strings.Replace(everyone, "broadcast-all", "drop", 1)
		o.ask(200, "POST", "/api/v1/compare?name=next.toml", asFile, candidate, &got)
		if got.Same || len(got.Changes) != 1 || got.Changes[0].Command != "CID_MSG_DATA" || got.Changes[0].Before.Action != "broadcast-all" || got.Changes[0].After.Action != "drop" {
			t.Errorf("got %+v", got)
		}
		o.ask(200, "POST", "/api/v1/compare", asFile, everyone, &got)
		if !got.Same || len(got.Changes) != 0 {
			t.Errorf("of the same: %+v", got)
		}
		for body, gate := range map[string]string{"[route]\nCID_MSG = 1\n": "table", "\x00asm\x01\x00\x00\x00": "exports", "": "table"} {
			var refused struct{ Error, Gate string }
			if body == "" {
				body = "\xff"
			}
			o.ask(422, "POST", "/api/v1/compare?name=../../x", asFile, body, &refused)
			if refused.Gate != gate || strings.Contains(refused.Error, "..") {
				t.Errorf("%q: got %+v, want the %s gate", body, refused, gate)
			}
		}
		if n := p.count("policy reloaded"); n > 0 {
			t.Error("a candidate came into force")
		}
	})
	t.Run("counts", func(t *testing.T) {
		var got struct {
			Routes []struct {
				Command string
				PDUs    int
				Actions map[string]int
			}
		}
		o.ask(200, "GET", "/api/v1/routes", "", "", &got)
		found := false
		for _, r := range got.Routes {
			found = found || r.Command == "CID_MSG_DATA" && r.PDUs == 1 && r.Actions["broadcast-all"] == 1
		}
		if !found {
			t.Errorf("got %+v", got)
		}
		metrics := o.ask(200, "GET", "/metrics", "", "", nil)
		for _, want := range []string{
			`switchyard_connections{tenant="default"} 2`,
			`switchyard_pdus_total{action="broadcast-all",command="CID_MSG_DATA",tenant="default"} 1`,
			`switchyard_policy_info{name="file:routes.toml",`,
			`switchyard_presence_users{tenant="default"} 1`,
		} {
			if !strings.Contains(metrics, "\n"+want) {
				t.Errorf("no %s in\n%s", want, metrics)
			}
		}
	})
	t.Run("reload", func(t *testing.T) {
		var got reloaded
		o.ask(200, "POST", "/api/v1/reload", "", "", &got)
		if !got.OK || got.Configuration.Result != "unchanged" || got.Tenants[0].Result != "unchanged" {
			t.Errorf("of nothing: %+v", got)
		}
		save(t, dir, "routes.toml", strings.Replace(everyone, "broadcast-all", "broadcast-except-sender", 1))
		o.ask(200, "POST", "/api/v1/reload", "", "", &got)
		if !got.OK || got.Tenants[0].Result != "changed" || got.Tenants[0].Policy.SHA256 == "" {
			t.Errorf("of a policy: %+v", got)
		}
		north.say(m)
		south.expect(m)
		north.settle() // and received nothing

		save(t, dir, "routes.toml", "[route]\nCID_MSG = \"drop\"\n")
		o.ask(422, "POST", "/api/v1/reload", "", "", &got)
		if got.OK || got.Tenants[0].Result != "refused" || !strings.Contains(got.Tenants[0].Error, "CID_MSG") || got.Error == "" {
			t.Errorf("of a bad policy: %+v", got)
		}
		north.say(m)
		south.expect(m)

		save(t, dir, "routes.toml", everyone)
		text := "[admin]\nsocket = \"a.sock\"\noperate_token_file = \"token\"\n[reload]\nwatch = false\n[tenant.default]\npolicy = \"file:routes.toml\"\n[tenant.acme]\n[peer]\nmax_pdu = \"8MiB\"\n"
		save(t, dir, "config.toml", text)
		o.ask(200, "POST", "/api/v1/reload", "", "", &got)
		if !got.OK || got.Configuration.Result != "changed" || fmt.Sprint(got.Configuration.Changed) != "[peer.max_pdu tenant.acme]" ||
			got.Tenants[0].Tenant != "acme" || got.Tenants[0].Result != "added" || got.Tenants[1].Result != "changed" {
			t.Errorf("of a configuration: %+v", got)
		}
		save(t, dir, "config.toml", text+"timeut = 1\n")
		o.ask(422, "POST", "/api/v1/reload", "", "", &got)
		if got.OK || got.Configuration.Result != "refused" || !strings.Contains(got.Configuration.Error, "timeut") {
			t.Errorf("of a bad configuration: %+v", got)
		}
		save(t, dir, "config.toml", strings.Replace(text, "[tenant.acme]\n", "", 1))
		o.ask(200, "POST", "/api/v1/reload", "", "", &got)
		if !got.OK || got.Tenants[0].Result != "removed" || len(got.Tenants) != 2 {
			t.Errorf("of a tenant that goes: %+v", got)
		}
		o.ask(404, "GET", "/api/v1/routes?tenant=acme", "", "", nil)
	})
	t.Run("policies", func(t *testing.T) {
		var got struct {
			Policies []struct {
				History []struct{ State, Gate, Error, Until string }
			}
		}
		o.ask(200, "GET", "/api/v1/policies", "", "", &got)
		var states []string
		for _, h := range got.Policies[0].History {
			states = append(states, h.State+h.Gate)
		}
		if fmt.Sprint(states) != "[in-force refusedtable retired retired]" {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("log level", func(t *testing.T) {
		var got struct{ Level, Configured string }
		o.ask(200, "PUT", "/api/v1/log-level", asJSON, `{"level":"error"}`, &got)
		if got.Level != "error" || got.Configured != "info" {
			t.Errorf("got %+v", got)
		}
		p.expect("admin request", "log level") // the last line; the log is written asynchronously
		from := p.logged()
		o.ask(200, "POST", "/api/v1/reload", "", "", nil)
		if n := p.logged(); n != from {
			t.Errorf("%d lines were logged: %s", n-from, p.log())
		}
		o.ask(200, "PUT", "/api/v1/log-level", asJSON, `{"level":"info"}`, nil)
		o.ask(200, "POST", "/api/v1/reload", "", "", nil)
		p.expectFrom(from, "policy unchanged")
	})
	t.Run("rights", func(t *testing.T) {
		stranger, trusted := o.byAddress(p, ""), o.byAddress(p, operateToken)
		stranger.ask(401, "POST", "/api/v1/reload", "", "", nil)
		trusted.ask(200, "POST", "/api/v1/reload", "", "", nil)
		if text := p.log(); strings.Contains(text, operateToken) || !strings.Contains(text, `"client":"socket, user `) {
			t.Errorf("the log is %s", text)
		}
	})
}

// Only its owner can use the socket, and it replaces one that was left behind.
func TestOperateSocket(t *testing.T) {
	t.Parallel()
	dir, p, o := startOperated(t, everyone)
	path := filepath.Join(dir, "a.sock")
	info, err := os.Stat(path)
	if err != nil || info.Mode() != fs.ModeSocket|0o600 {
		t.Fatalf("the socket is %v, %v", info.Mode(), err)
	}
	o.ask(200, "GET", "/livez", "", "", nil)

	_, stderr := runIn(t, dir, exitUnavailable, "--listen", "127.0.0.1:0", "--set", "admin.address=127.0.0.1:0")
	if !strings.Contains(stderr, "another process answers there") {
		t.Errorf("a second server says %s", stderr)
	}
	p.signal(syscall.SIGKILL)
	p.exit()
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("the socket was not left behind: %v", err)
	}
	start(t, dir)
	o.ask(200, "GET", "/livez", "", "", nil)

	other := t.TempDir()
	save(t, other, "a.sock", "precious")
	for _, c := range [][2]string{{filepath.Join(other, "a.sock"), "not a socket"}, {filepath.Join(other, "none", "a.sock"), "make the folder"}} {
		_, stderr := runIn(t, other, exitUnavailable, "--listen", "127.0.0.1:0", "--set", "admin.address=", "--set", "admin.socket="+c[0])
		if !strings.Contains(stderr, c[1]) {
			t.Errorf("%s: %s, want %q", c[0], stderr, c[1])
		}
	}
	if text, err := os.ReadFile(filepath.Join(other, "a.sock")); string(text) != "precious" {
		t.Errorf("the file is %q, %v", text, err)
	}
}

// The server does not start with an invalid token.
func TestOperateBadToken(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	save(t, dir, "token", "short")
	for _, file := range []string{"token", "none"} {
		_, stderr := runIn(t, dir, exitConfig, "--listen", "127.0.0.1:0", "--set", "admin.address=127.0.0.1:0", "--set", "admin.read_token_file="+filepath.Join(dir, file))
		if !strings.Contains(stderr, "admin.read_token_file") || strings.Contains(stderr, "short") {
			t.Errorf("%s: %s", file, stderr)
		}
	}
}
