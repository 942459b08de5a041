package server

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
	"weak"

	"switchyard/policy/wasm"
	"switchyard/proxy/admin/api"
	"switchyard/proxy/config"
	"switchyard/proxy/logtest"
)

// Parallel tests wait for timers and files, not for a core. The servers keep their history in a folder
// of the tests.
func TestMain(m *testing.M) {
	flag.Set("test.parallel", "32")
	cache, err := os.MkdirTemp("", "switchyard-server-test")
	if err != nil {
		panic(err)
	}
	os.Setenv("XDG_CACHE_HOME", cache)
	code := m.Run()
	os.RemoveAll(cache)
	os.Exit(code)
}

// signalling is held by tests that send this process signals, and have one server to receive them.
var signalling sync.Mutex

// A slowSandbox tries no module: it passes it at once, or holds it if its content contains "slow",
// until the test says how the trial ends.
type slowSandbox struct{ end chan wasm.Report }

func (s slowSandbox) Try(ctx context.Context, t wasm.Trial) (wasm.Report, error) {
	if !bytes.Contains(t.Module, []byte("slow")) {
		return wasm.Report{}, nil
	}
	select {
	case r := <-s.end:
		return r, nil
	case <-ctx.Done():
		return wasm.Report{}, ctx.Err()
	}
}

// A testServer serves in this process; its goroutine is the test's to wait for, by stop.
type testServer struct {
	*server
	t    *testing.T
	dir  string
	log  *logtest.Lines
	end  chan wasm.Report
	done chan error
}

// serveIn serves a configuration that is saved in a folder of the test. The start waits for
// policies no longer than startTime.
func serveIn(t *testing.T, startTime time.Duration, configuration string, policies ...string) *testServer {
	s := &testServer{t: t, dir: t.TempDir(), end: make(chan wasm.Report)}
	for _, name := range policies {
		s.savePolicy(name, name)
	}
	s.save("config.toml", []byte(configuration))
	s.run(func(srv *server) { srv.startTime = startTime })
	return s
}

// run serves, with a server that prepare has changed before it starts.
func (s *testServer) run(prepare func(*server)) {
	s.log, s.done = new(logtest.Lines), make(chan error, 1)
	load := func() (*config.Config, string, error) {
		c, err := config.Load(filepath.Join(s.dir, "config.toml"), nil, nil)
		return c, "for the test", err
	}
	s.server = newServer(load, slowSandbox{s.end})
	s.stderr = s.log
	s.historyTime = time.Minute // a busy machine's disk takes more than some seconds
	prepare(s.server)
	over := make(chan struct{})
	go s.stopper.watch(nil, s.state.drain, over)
	go func() {
		s.done <- s.serve(signals{})
		close(over)
	}()
	s.t.Cleanup(func() {
		if s.state.Drain(); s.done != nil {
			s.stop(nil)
		}
	})
}

// stop waits for the end of the server, whose error has to contain the text of want.
func (s *testServer) stop(want error) {
	s.t.Helper()
	select {
	case err := <-s.done:
		if s.done = nil; want == nil && err != nil || want != nil && (err == nil || !strings.Contains(err.Error(), want.Error())) {
			s.t.Errorf("the server ended with %v, want %v", err, want)
		}
	case <-time.After(time.Minute):
		s.t.Fatalf("the server does not end\n%s", s.log)
	}
}

// expect waits until the log contains a text so many times.
func (s *testServer) expect(text string, times int) {
	s.t.Helper()
	s.eventually(fmt.Sprintf("%q is in the log %d times", text, times), func() bool {
		return strings.Count(s.log.String(), text) >= times
	})
}

// eventually waits until a condition holds, for a minute at most.
func (s *testServer) eventually(what string, holds func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(time.Minute); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("not true after a minute: %s\n%s", what, s.log)
		}
	}
}

func (s *testServer) save(name string, content []byte) {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path+".new", content, 0o600); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		s.t.Fatal(err)
	}
}

// savePolicy saves a sound policy with a custom section of that name, in NAME.wasm.
func (s *testServer) savePolicy(name, custom string) {
	s.t.Helper()
	module, err := os.ReadFile("../../../policy/wasm/testdata/sound.wasm")
	if err != nil {
		s.t.Fatal(err)
	}
	section := append([]byte{0, byte(len(custom) + 1), byte(len(custom))}, custom...)
	s.save(name+".wasm", append(module, section...))
}

// tenants is a configuration with a listener for each of the tenants, whose policies are files.
func tenants(names ...string) string {
	text := "[admin]\naddress = \"\"\n[reload]\ndebounce = \"10ms\"\n"
	for _, name := range names {
		text += fmt.Sprintf("[[listener]]\naddress = \"127.0.0.1:0\"\ntenant = %q\n[tenant.%s]\npolicy = \"file:%s.wasm\"\n", name, name, name)
	}
	return text
}

// address returns the address of the listener of a tenant that is served.
func (s *testServer) address(tenant string) string {
	for _, l := range s.state.State().Listeners {
		if l.Tenant == tenant {
			return l.Address
		}
	}
	return ""
}

// served waits until a tenant is served, and returns the address of its listener. The state that tells
// it follows the line in the log.
func (s *testServer) served(tenant string) (address string) {
	s.t.Helper()
	s.eventually(tenant+" is served", func() bool {
		address = s.address(tenant)
		return address != ""
	})
	return address
}

// The start serves a tenant whose policy is loaded while that of another one takes long, and
// reloads it. The other one is served when its policy is loaded.
func TestStartServesThoseThatAreReady(t *testing.T) {
	t.Parallel()
	s := serveIn(t, 0, tenants("a", "slow"), "a", "slow")
	s.expect("still loading policies", 1)
	conn, err := net.Dial("tcp", s.served("a"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	s.savePolicy("a", "again")
	s.expect("policy reloaded", 1)
	if strings.Contains(s.log.String(), `msg":"serving"`) || s.address("slow") != "" {
		t.Errorf("all tenants are served although a policy is still being loaded\n%s", s.log)
	}
	s.end <- wasm.Report{}
	s.expect(`msg":"listening"`, 2)
	s.expect(`msg":"serving"`, 1)
}

// A policy that is refused late ends a start, as one that is refused early does.
func TestStartEndsWithALateRefusal(t *testing.T) {
	t.Parallel()
	s := serveIn(t, 0, tenants("a", "slow"), "a", "slow")
	s.expect(`msg":"listening"`, 1)
	s.end <- wasm.Report{Refusal: wasm.Overdue(time.Second)}
	s.stop(errors.New("tenant slow: policy \"file:slow.wasm\" refused"))
	if strings.Contains(s.log.String(), `msg":"serving"`) {
		t.Errorf("it said that it serves\n%s", s.log)
	}
}

// The start tries again what was refused as this machine had too little time for it, or if the
// file was saved meanwhile.
func TestStartTriesAgain(t *testing.T) {
	t.Parallel()
	s := serveIn(t, time.Hour, tenants("slow"), "slow")
	s.end <- wasm.Report{Refusal: wasm.Starved(time.Minute, 0)}
	s.expect("trying again", 1)
	s.savePolicy("slow", "slow again")
	s.end <- wasm.Report{Refusal: wasm.Overdue(time.Second)}
	s.expect("trying again", 2)
	s.end <- wasm.Report{}
	s.expect(`msg":"serving"`, 1)
}

// A start that is waiting for a policy stops when it is to, and nothing is left behind.
func TestStopWhileStarting(t *testing.T) {
	t.Parallel()
	for _, startTime := range []time.Duration{0, time.Hour} {
		s := serveIn(t, startTime, tenants("slow"), "slow")
		s.expect("wasm engine", 1)
		s.state.Drain()
		s.stop(nil)
		s.eventually("no policy is being loaded", func() bool { return s.loading.Load() == 0 })
	}
}

// While the policy of one tenant takes long, saves for others take effect, whether it is an
// existing tenant or one that a new configuration adds.
func TestReloadGoesOnBesideASlowPolicy(t *testing.T) {
	t.Parallel()
	s := serveIn(t, time.Hour, tenants("a", "b"), "a", "b")
	s.expect(`msg":"serving"`, 1)
	s.savePolicy("b", "slow")
	s.savePolicy("a", "1")
	s.expect("policy reloaded", 1)
	s.savePolicy("b", "quick") // what takes long is not waited for
	s.expect("policy reloaded", 2)

	s.savePolicy("slow", "slow")
	s.save("config.toml", []byte(tenants("a", "b", "slow")))
	s.end <- wasm.Report{Refusal: wasm.Overdue(time.Second)}
	s.expect("configuration refused", 1)
	s.savePolicy("slow", "slow again")
	s.savePolicy("a", "2")
	s.expect("policy reloaded", 3)
	s.end <- wasm.Report{}
	s.expect("configuration reloaded", 1)
	s.served("slow")
}

// An operator who asks for a reload waits for what it loads, and not for what is saved later.
func TestOperatorWaitsForWhatIsLoaded(t *testing.T) {
	t.Parallel()
	s := serveIn(t, time.Hour, strings.Replace(tenants("a", "b"), "[reload]", "[reload]\nwatch = false", 1), "a", "b")
	s.expect(`msg":"serving"`, 1)
	s.savePolicy("a", "slow")
	result := make(chan api.Reload)
	go func() {
		r, err := s.state.Reload(t.Context())
		if err != nil {
			t.Error(err)
		}
		result <- r
	}()
	select {
	case s.end <- wasm.Report{Refusal: wasm.Overdue(time.Second)}:
	case r := <-result:
		t.Fatalf("the answer came before the policy was loaded: %+v", r)
	}
	if r := <-result; r.OK || len(r.Tenants) != 2 || r.Tenants[0].Result != api.Refused || r.Tenants[1].Result != api.Unchanged {
		t.Errorf("got %+v, want the first tenant's policy refused", r)
	}
}

// A reload that changes the limits of policies makes an engine. Nothing keeps earlier ones, except
// that of the previous policy.
func TestEarlierEnginesAreFreed(t *testing.T) {
	t.Parallel()
	s := serveIn(t, time.Hour, strings.Replace(tenants("a"), "[reload]", "[reload]\nwatch = false", 1), "a")
	s.expect(`msg":"serving"`, 1)
	configuration := strings.Replace(tenants("a"), "[reload]", "[reload]\nwatch = false", 1)
	var engines []weak.Pointer[wasm.Engine]
	const reloads = 10
	for n := range reloads {
		s.save("config.toml", fmt.Appendf(nil, "%s[wasm]\nfuel = %d\n", configuration, 280_000+n))
		if r, err := s.state.Reload(t.Context()); err != nil || !r.OK {
			t.Fatal(r, err)
		}
		engines = append(engines, weak.Make(s.state.view.Load().engine))
	}
	s.expect("policy reloaded", reloads-1) // the first sets the default
	s.eventually("earlier engines are freed", func() bool {
		runtime.GC()
		left := 0
		for _, e := range engines {
			if e.Value() != nil {
				left++
			}
		}
		return left <= 3
	})
}
