package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"switchyard/cmd/switchyard/trial"
	"switchyard/proxy/order/jetstream/bustest"
)

// asCommand makes the test's program run as switchyard, for tests that need a process with
// signals and an exit code.
const asCommand = "SWITCHYARD_TEST_AS_COMMAND"

func TestMain(m *testing.M) {
	if trial.IsChild(os.Args) { // of this test's own program
		main()
	}
	if os.Getenv(asCommand) != "" {
		main()
	}
	if os.Getenv(asWorker) != "" {
		work()
		os.Exit(0)
	}
	if what := os.Getenv(asAttacker); what != "" {
		attack(what)
		os.Exit(0)
	}
	// Memory is not scarce, and the processes that tests start live for a second.
	debug.SetGCPercent(400)
	if err := os.Setenv("GOGC", "400"); err != nil {
		panic(err)
	}
	// Many tests wait for servers and timers, not for a core. Those with the tag full start
	// several servers each, which keep the cores busy.
	each := 4
	if full {
		each = 2
	}
	if err := flag.Set("test.parallel", strconv.Itoa(each*min(runtime.GOMAXPROCS(0), 4))); err != nil {
		panic(err)
	}
	testscript.Main(withBus{m}, map[string]func(){"switchyard": main})
}

// withBus removes the server of the bus that a test has built.
type withBus struct{ *testing.M }

func (m withBus) Run() int { return bustest.Main(m.M) }

// patience is how long a test waits for what must happen. It only costs time if the test fails.
const patience = 60 * time.Second

// eventually polls until ok. state says how things are, should that not come about.
func eventually(t testing.TB, ok func() bool, state func() string) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not in time: ", state())
		}
	}
}

// executable returns the path of the test's program, which launch runs as switchyard.
func executable(t testing.TB) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return exe
}

// A process is a running switchyard.
type process struct {
	t       testing.TB
	cmd     *exec.Cmd
	address string // of its one listener

	mu    sync.Mutex // guards what follows
	more  *sync.Cond // there is a further line, or the end
	lines []line
	ended bool
}

// A line is one line of the log, as JSON has it.
type line map[string]any

func (l line) text() string {
	b, _ := json.Marshal(l)
	return string(b)
}

// patientLimits are in the environment of every server of the tests, so that no limit of a peer's time
// is over because the machine is busy. Tests of a limit set theirs with --set.
var patientLimits = []string{
	"SWITCHYARD_PEER__HEARTBEAT=25s", // the longest
	"SWITCHYARD_PEER__TIMEOUT=1h",
	"SWITCHYARD_PEER__FIRST_PDU=1h",
	"SWITCHYARD_PEER__WRITE_TIMEOUT=10m",
}

// start starts switchyard on a free port in dir, waits until it serves, and stops it
// with the test.
func start(t testing.TB, dir string, args ...string) *process {
	t.Helper()
	exe := executable(t)
	args = append(args, "--set", "log.format=json")
	if !slices.Contains(args, "listener.0.address=127.0.0.1:0") {
		args = append(args, "--listen", "127.0.0.1:0")
	}
	cmd := exec.Command(exe, args...)
	cmd.Dir = dir
	return startCommand(t, cmd)
}

// startCommand is start for a command that becomes switchyard.
func startCommand(t testing.TB, cmd *exec.Cmd) *process {
	t.Helper()
	p := launch(t, cmd)
	p.expect("serving")
	p.address = p.expect("listening")["address"].(string)
	return p
}

// launch is startCommand, but does not wait until peers are served. A command with an environment of
// its own gets no patientLimits.
func launch(t testing.TB, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{t: t, cmd: cmd}
	p.more = sync.NewCond(&p.mu)
	if p.cmd.Env == nil {
		p.cmd.Env = append(p.cmd.Environ(), patientLimits...)
	}
	p.cmd.Env = append(p.cmd.Env, asCommand+"=1", "XDG_CACHE_HOME="+t.TempDir(), "SWITCHYARD_ADMIN__ADDRESS=127.0.0.1:0")
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var reading sync.WaitGroup
	reading.Go(func() { p.read(stderr) })
	t.Cleanup(func() {
		p.cmd.Process.Kill()
		reading.Wait()
		p.cmd.Wait()
		if t.Failed() {
			t.Logf("the log of %v:\n%s", p.cmd.Args, p.log())
		}
	})
	return p
}

// read reads the log. A line that is not JSON is kept as a message.
func (p *process) read(r io.Reader) {
	for s := bufio.NewScanner(r); s.Scan(); {
		l := make(line)
		if json.Unmarshal(s.Bytes(), &l) != nil {
			l["msg"] = s.Text()
		}
		p.mu.Lock()
		p.lines = append(p.lines, l)
		p.more.Broadcast()
		p.mu.Unlock()
	}
	p.mu.Lock()
	p.ended = true
	p.more.Broadcast()
	p.mu.Unlock()
}

func (p *process) log() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var b strings.Builder
	for _, l := range p.lines {
		b.WriteString(l.text() + "\n")
	}
	return b.String()
}

// expect waits for a line that contains all the words, and returns the first.
func (p *process) expect(words ...string) line {
	p.t.Helper()
	return p.expectFrom(0, words...)
}

// expectFrom is expect for lines from number from on.
func (p *process) expectFrom(from int, words ...string) line {
	p.t.Helper()
	return p.expectWithin(patience, from, words...)
}

// expectWithin is expectFrom for a line that may take long.
func (p *process) expectWithin(limit time.Duration, from int, words ...string) line {
	p.t.Helper()
	timer := time.AfterFunc(limit, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.ended = true
		p.more.Broadcast()
	})
	defer timer.Stop()
	p.mu.Lock()
	defer p.mu.Unlock()
	for ; ; from++ {
		for from >= len(p.lines) {
			if p.ended {
				p.t.Fatalf("no line with %q", words)
			}
			p.more.Wait()
		}
		if l := p.lines[from]; containsAll(l.text(), words) {
			return l
		}
	}
}

func containsAll(text string, words []string) bool {
	for _, w := range words {
		if !strings.Contains(text, w) {
			return false
		}
	}
	return true
}

// logged returns how many lines there are so far.
func (p *process) logged() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.lines)
}

// count returns how many lines there are so far that contain all the words.
func (p *process) count(words ...string) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.lines {
		if containsAll(l.text(), words) {
			n++
		}
	}
	return n
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// exit waits for the process to end and returns its exit code.
func (p *process) exit() int {
	p.t.Helper()
	p.mu.Lock()
	for !p.ended {
		p.more.Wait()
	}
	p.mu.Unlock()
	p.cmd.Wait()
	return p.cmd.ProcessState.ExitCode()
}

// configured starts switchyard with that configuration in dir. Its first listener gets a free
// port.
func configured(t testing.TB, dir, configuration string, args ...string) *process {
	t.Helper()
	write(t, filepath.Join(dir, "config.toml"), configuration)
	return start(t, dir, append(args, "--set", "listener.0.address=127.0.0.1:0", "--set", "reload.debounce=20ms")...)
}

// guestPolicy returns the value of the key policy for a guest of the tests of policy/wasm.
func guestPolicy(t testing.TB, name string) string {
	t.Helper()
	path, err := filepath.Abs("../../policy/wasm/testdata/" + name + ".wasm")
	if err != nil {
		t.Fatal(err)
	}
	return "file:" + path
}

// underRaceDetector reports whether this is a run of go test -race.
func underRaceDetector() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// at sets p's address to that of the listener whose log line has all the words.
func (p *process) at(words ...string) *process {
	p.t.Helper()
	p.address = p.expect(append(words, `"msg":"listening"`)...)["address"].(string)
	return p
}
