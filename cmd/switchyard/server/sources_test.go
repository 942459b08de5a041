package server

import (
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"switchyard/policy/release/history"
	"switchyard/proxy/admin"
	"switchyard/proxy/admin/api"
)

// A webServer serves policies; an empty text is an answer that it is broken.
type webServer struct {
	*httptest.Server
	text  atomic.Pointer[string]
	asked atomic.Int64
}

func serveWeb(t *testing.T, action string) *webServer {
	w := new(webServer)
	w.set(action)
	w.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) {
		w.asked.Add(1)
		if *w.text.Load() == "" {
			out.WriteHeader(http.StatusInternalServerError)
		} else {
			out.Header().Set("ETag", revisionOf(*w.text.Load()))
		}
		io.WriteString(out, *w.text.Load())
	}))
	w.Config.ErrorLog = log.New(io.Discard, "", 0) // of handshakes that clients end
	w.StartTLS()
	t.Cleanup(w.Close)
	return w
}

// set makes it serve a policy that does this with all PDUs; "" makes it broken.
func (w *webServer) set(action string) {
	text := ""
	if action != "" {
		text = routesFor(action)
	}
	w.text.Store(&text)
}

func revisionOf(text string) string { return `"` + history.Sum([]byte(text))[:8] + `"` }

func routesFor(action string) string { return fmt.Sprintf("[route]\nelse = %q\n", action) }

// serveFrom serves a tenant whose policy is on the web server. more belongs to the tenant.
func serveFrom(t *testing.T, w *webServer, more string) *testServer {
	s := &testServer{t: t, dir: t.TempDir()}
	s.save("ca.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.Certificate().Raw}))
	s.configure(w, more)
	s.begin()
	return s
}

func (s *testServer) configure(w *webServer, more string) {
	s.save("config.toml", fmt.Appendf(nil, "[admin]\naddress = \"\"\n[releases]\nstate = \"state\"\n[reload]\nwatch = false\n[registry]\npoll = \"30m\"\nca = \"ca.pem\"\n"+
		"[[listener]]\naddress = \"127.0.0.1:0\"\ntenant = \"a\"\n[tenant.a]\npolicy = \"%s/routes.toml\"\n%s\n", w.URL, more))
}

// begin starts the server, again if it ran. It waits for a web server that does not answer no
// longer than necessary.
func (s *testServer) begin() {
	s.t.Helper()
	if s.server != nil {
		s.state.Drain()
		s.stop(nil)
	}
	wait := time.Hour
	if s.server != nil {
		wait = time.Millisecond
	}
	s.run(func(srv *server) { srv.startTime, srv.sourceTime = time.Hour, wait })
}

func (s *testServer) reload() api.Reload {
	s.t.Helper()
	r, err := s.state.Reload(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

// wantInForce waits until the policy that does this is in force.
func (s *testServer) wantInForce(action string) {
	s.t.Helper()
	want := history.Sum([]byte(routesFor(action)))
	s.eventually(action+" is in force", func() bool {
		r := s.state.Release("a")
		return r.InForce != nil && r.InForce.SHA256 == want && len(s.state.State().Tenants) == 1
	})
}

// A policy comes into force from its address. When that fails, nothing changes, and a start takes
// what was in force.
func TestPolicyFromAnAddress(t *testing.T) {
	t.Parallel()
	w := serveWeb(t, "drop")
	s := serveFrom(t, w, "insecure_source = true")
	s.wantInForce("drop")
	s.expect("serving", 1)
	if m := s.state.metrics().Tenants[0]; !m.Remote || m.SourceReached.IsZero() {
		t.Errorf("metrics: remote %v, reached %v", m.Remote, m.SourceReached)
	}
	w.set("broadcast-all")
	s.reload()
	s.wantInForce("broadcast-all")
	s.eventually("the history has what the address reported", func() bool {
		e := s.state.records.Load().Recent("a", 1)
		return e[0].Who.By == "source" && e[0].From != nil && e[0].From.Revision == revisionOf(routesFor("drop")) && e[0].To.Revision == revisionOf(routesFor("broadcast-all"))
	})

	w.set("")
	before := s.state.metrics().Tenants[0].SourceReached
	s.reload()
	s.expect("policy source unreachable", 1)
	if r := s.reload(); r.Tenants[0].Result != api.Unchanged {
		t.Errorf("with its web server broken: %+v", r)
	}
	if after := s.state.metrics().Tenants[0].SourceReached; !after.Equal(before) {
		t.Errorf("reached at %v, before at %v", after, before)
	}

	s.begin()
	s.wantInForce("broadcast-all")
	s.expect("the policy that was in force is taken from the history", 1)
	s.expect("serving", 1)
	if m := s.state.metrics().Tenants[0]; !m.Remote || !m.SourceReached.IsZero() {
		t.Errorf("metrics after a start: remote %v, reached %v", m.Remote, m.SourceReached)
	}
	w.set("consume")
	s.reload()
	s.wantInForce("consume")
}

// A policy that is taken from the history passes the same checks as one from its address.
func TestKeptPolicyIsPinned(t *testing.T) {
	t.Parallel()
	w := serveWeb(t, "drop")
	s := serveFrom(t, w, fmt.Sprintf("policy_sha256 = %q", history.Sum([]byte(routesFor("drop")))))
	s.wantInForce("drop")
	s.expect("serving", 1)
	w.set("consume")
	s.reload()
	s.expect("refused at the pin gate", 1)
	s.wantInForce("drop")
	w.set("")
	s.begin()
	s.wantInForce("drop")
	s.state.Drain()
	s.stop(nil)
	s.configure(w, fmt.Sprintf("policy_sha256 = %q", history.Sum([]byte("another"))))
	s.run(func(srv *server) { srv.sourceTime = time.Millisecond })
	s.stop(fmt.Errorf("refused at the pin gate"))
}

// Without what was in force, a start says why it ends.
func TestStartWithoutAnAddress(t *testing.T) {
	t.Parallel()
	w := serveWeb(t, "")
	s := &testServer{t: t, dir: t.TempDir()}
	s.save("ca.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.Certificate().Raw}))
	s.configure(w, "insecure_source = true")
	s.run(func(srv *server) { srv.sourceTime = time.Millisecond })
	s.stop(fmt.Errorf("refused at the fetch gate: "))
}

// A reload adds, removes and changes addresses; it waits for a new one, and a broken one changes
// nothing.
func TestReloadOfAddresses(t *testing.T) {
	t.Parallel()
	w, other := serveWeb(t, "drop"), serveWeb(t, "consume")
	s := serveFrom(t, w, "insecure_source = true")
	s.wantInForce("drop")
	s.expect("serving", 1)
	s.configure(w, "insecure_source = true\n[tenant.b]\ninsecure_source = true\npolicy = \""+other.URL+"/b.toml\"")
	if r := s.reload(); len(r.Tenants) != 2 || r.Tenants[1].Result != api.Added {
		t.Errorf("another address: %+v\n%s", r, s.log)
	}
	s.configure(other, "insecure_source = true")
	if r := s.reload(); len(r.Tenants) != 2 || r.Tenants[0].Policy.Name != other.URL+"/routes.toml" || r.Tenants[1].Result != api.Removed {
		t.Errorf("instead of the first: %+v", r)
	}
	asked := w.asked.Load()
	s.reload()
	s.save("a.toml", []byte(routesFor("drop")))
	s.configure(other, "")
	config := strings.Replace(string(readConfig(s)), other.URL+"/routes.toml", "file:a.toml", 1)
	s.save("config.toml", []byte(config))
	if r := s.reload(); r.Tenants[0].Policy.Name != "file:a.toml" {
		t.Errorf("a file again: %+v", r)
	}
	if now := w.asked.Load(); now != asked {
		t.Errorf("a removed address was asked %d times", now-asked)
	}
	s.wantInForce("drop")
}

// stagesByHand makes a policy come into force in stages that wait for an operator.
const stagesByHand = "insecure_source = true\n[tenant.a.release]\nmode = \"manual\""

// A candidate from an address is rolled back, too, when the pin no longer lets it in.
func TestPinDuringReleaseFromAnAddress(t *testing.T) {
	t.Parallel()
	w := serveWeb(t, "drop")
	s := serveFrom(t, w, stagesByHand)
	s.expect("serving", 1)
	w.set("broadcast-all")
	s.reload()
	r := s.nextRelease(nil)
	s.configure(w, fmt.Sprintf("policy_sha256 = %q\n%s", history.Sum([]byte(routesFor("drop"))), stagesByHand))
	s.reload()
	s.wantRolledBack(r)
	s.expect("the candidate is let in no more", 1)
}

// serveCandidate begins the release of a policy from a web server. stable is the previous policy, if it
// is not from there.
func serveCandidate(t *testing.T, stable string) (*webServer, *testServer, *staged) {
	t.Helper()
	w := serveWeb(t, "drop")
	s := serveFromFirst(t, w, stable, stagesByHand)
	w.set("broadcast-all")
	s.reload()
	return w, s, s.nextRelease(nil)
}

// After a start that does not reach the address of the candidate, the release continues in its stage
// with the candidate that the history keeps.
func TestReleaseWithoutAnAddress(t *testing.T) {
	t.Parallel()
	for name, stable := range map[string]string{"from there": "", "from a file": "file:a.toml"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, s, r := serveCandidate(t, stable)
			if err := s.verb(admin.Verb{Name: admin.Promote}); err != nil {
				t.Fatal(err)
			}
			w.set("")
			s.begin()
			s.wantInForce("drop")
			s.expect("the policy that was in force is taken from the history", 1)
			again := s.nextRelease(nil)
			if p := again.stage(); again.id != r.id || !again.to.Same(&r.to) || p.State != "stage" || p.Share != 0.01 {
				t.Errorf("release %d was in its first stage; after the start, release %d: %+v", r.id, again.id, p)
			}
			s.reload()
			w.set("broadcast-all")
			s.reload()
			if now := s.state.view.Load().about["a"].staged; now != again {
				t.Errorf("when the address is reached again, the release is %+v", now)
			}
			s.finishRelease()
			s.wantInForce("broadcast-all")
			if e := s.lastEntry(history.Done); e.To.Revision != revisionOf(routesFor("broadcast-all")) {
				t.Errorf("the last entry is %+v, want what the address reported", e)
			}
		})
	}
}

// If the history lacks the candidate, the stable policy is in force until its address is reached.
func TestReleaseWithoutItsCandidate(t *testing.T) {
	t.Parallel()
	for name, stable := range map[string]string{"from there": "", "from a file": "file:a.toml"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, s, r := serveCandidate(t, stable)
			w.set("")
			if err := os.Remove(filepath.Join(s.dir, "state", "policies", r.to.SHA256)); err != nil {
				t.Fatal(err)
			}
			s.begin()
			s.expect("serving", 1)
			s.expect("the policy that was in force is taken from the history", 1)
			s.reload()
			s.wantInForce("drop")
			if u := s.state.records.Load().State("a").Underway; u == nil || u.Release != r.id {
				t.Errorf("release %d is under way no more: %+v", r.id, u)
			}
			w.set("broadcast-all")
			s.reload()
			if again := s.nextRelease(nil); again.id != r.id {
				t.Errorf("release %d goes on as %d", r.id, again.id)
			}
		})
	}
}

// A rollback ends a release that waits for its candidate, and does not go back further than that. Other
// verbs have to wait.
func TestRollbackOfAReleaseThatWaits(t *testing.T) {
	t.Parallel()
	w, s, _ := serveCandidate(t, "")
	s.finishRelease()
	w.set("consume")
	s.reload()
	r := s.nextRelease(nil)
	w.set("")
	if err := os.Remove(filepath.Join(s.dir, "state", "policies", r.to.SHA256)); err != nil {
		t.Fatal(err)
	}
	s.begin()
	s.expect("serving", 1)
	s.wantInForce("broadcast-all")
	for _, v := range []admin.Verb{{Name: admin.Promote}, {Name: admin.Rollback, To: history.Sum([]byte(routesFor("drop")))}, {Name: admin.Rollback, Release: r.id - 1}} {
		if err := s.verb(v); err == nil || !strings.Contains(err.Error(), "release ") {
			t.Errorf("%+v: %v", v, err)
		}
	}
	if err := s.verb(admin.Verb{Name: admin.Rollback, Release: r.id, Reason: "no"}); err != nil {
		t.Fatal(err)
	}
	s.wantRolledBack(r)
	w.set("consume")
	s.reload()
	s.expect("policy held back", 1)
	s.wantInForce("broadcast-all")
	if e := s.lastEntry(history.RolledBack); e.Release != r.id || e.Reason != "no" {
		t.Errorf("the last entry is %+v", e)
	}
}

// What was gone back to stays in force after a start that does not reach the address of what was
// rolled back. When it is reached, that is skipped still.
func TestRolledBackWithoutAnAddress(t *testing.T) {
	t.Parallel()
	w := serveWeb(t, "consume")
	s := serveFromFirst(t, w, "file:a.toml", "insecure_source = true")
	s.reload()
	s.wantInForce("consume")
	if err := s.verb(admin.Verb{Name: admin.Rollback}); err != nil {
		t.Fatal(err)
	}
	w.set("")
	s.begin()
	s.expect("serving", 1)
	s.wantInForce("drop")
	w.set("consume")
	s.reload()
	s.eventually("the address is reached", func() bool { return !s.state.metrics().Tenants[0].SourceReached.IsZero() })
	s.reload()
	s.wantInForce("drop")
	w.set("broadcast-all")
	s.reload()
	s.wantInForce("broadcast-all")
}

// serveFromFirst serves what the policy first names, in a.toml, and then names the web server; of ""
// it serves from there at once.
func serveFromFirst(t *testing.T, w *webServer, first, more string) *testServer {
	if first == "" {
		s := serveFrom(t, w, more)
		s.expect("serving", 1)
		return s
	}
	s := &testServer{t: t, dir: t.TempDir()}
	s.save("ca.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.Certificate().Raw}))
	s.save("a.toml", []byte(routesFor("drop")))
	s.configure(w, more)
	s.save("config.toml", []byte(strings.Replace(string(readConfig(s)), w.URL+"/routes.toml", first, 1)))
	s.begin()
	s.expect("serving", 1)
	s.configure(w, more)
	return s
}

func readConfig(s *testServer) []byte {
	text, err := os.ReadFile(filepath.Join(s.dir, "config.toml"))
	if err != nil {
		s.t.Fatal(err)
	}
	return text
}
