package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
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
	"switchyard/pdu"
	"switchyard/pdu/pdutest"
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
	// Most tests wait for servers and timers, not for a core.
	if err := flag.Set("test.parallel", strconv.Itoa(8*min(runtime.GOMAXPROCS(0), 4))); err != nil {
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

// launch is startCommand, but does not wait until peers are served.
func launch(t testing.TB, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{t: t, cmd: cmd}
	p.more = sync.NewCond(&p.mu)
	p.cmd.Env = append(p.cmd.Environ(), asCommand+"=1", "XDG_CACHE_HOME="+t.TempDir(), "SWITCHYARD_ADMIN__ADDRESS=127.0.0.1:0")
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

// awaitPDUs waits until lines with that message account for n PDUs: each line for one, and a line
// that summarizes more of the same for as many as it says.
func (p *process) awaitPDUs(message string, n int) {
	p.t.Helper()
	total := func() (pdus int) {
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, l := range p.lines {
			switch more, _ := l["pdus"].(float64); {
			case l["msg"] == message:
				pdus++
			case l["msg"] == "more of the same" && l["message"] == message:
				pdus += int(more)
			}
		}
		return pdus
	}
	eventually(p.t, func() bool { return total() == n }, func() string {
		return fmt.Sprintf("%q is logged of %d PDUs, want %d", message, total(), n)
	})
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

// A peer is a connection of the tests.
type peer struct {
	t testing.TB
	net.Conn
}

// dial connects and returns when the hub has given the connection its seat.
func (p *process) dial() peer {
	p.t.Helper()
	conn, err := net.Dial("tcp", p.address)
	if err != nil {
		p.t.Fatal(err)
	}
	return p.join(conn)
}

// join returns conn as a peer when the hub has given it its seat.
func (p *process) join(conn net.Conn) peer {
	p.t.Helper()
	p.t.Cleanup(func() { conn.Close() })
	c := peer{p.t, conn}
	c.settle()
	return c
}

func (c peer) say(pdus ...[]byte) {
	c.t.Helper()
	c.SetWriteDeadline(time.Now().Add(patience))
	if _, err := c.Write(bytes.Join(pdus, nil)); err != nil {
		c.t.Fatal(err)
	}
}

// expect reads exactly the wanted PDUs, and heartbeats, which come in a slow test.
func (c peer) expect(want ...[]byte) {
	c.t.Helper()
	c.SetReadDeadline(time.Now().Add(patience))
	for _, w := range want {
		got := make([]byte, len(w))
		n, err := io.ReadFull(c, got[:pdu.HeaderLen])
		for err == nil && isHeartbeat(got) && !isHeartbeat(w) {
			n, err = io.ReadFull(c, got[:pdu.HeaderLen])
		}
		if err == nil {
			var more int
			more, err = io.ReadFull(c, got[n:])
			n += more
		}
		if err != nil || !bytes.Equal(got, w) {
			c.t.Fatalf("got %d bytes, %.40x (%v), want %s", n, got[:n], err, pdutest.Dump(w))
		}
	}
}

func isHeartbeat(p []byte) bool {
	return binary.BigEndian.Uint16(p[10:]) == uint16(pdu.CID_OTHER_HEARTBEAT)
}

// next reads one PDU.
func (c peer) next() []byte {
	c.t.Helper()
	c.SetReadDeadline(time.Now().Add(patience))
	p, err := readPDU(c)
	if err != nil {
		c.t.Fatal(err)
	}
	return p
}

// readPDU reads one PDU, of at most 1 MiB.
func readPDU(r io.Reader) ([]byte, error) {
	p := make([]byte, pdu.HeaderLen)
	if _, err := io.ReadFull(r, p); err != nil {
		return nil, err
	}
	length := int(pdu.ParseHeader(p).Length)
	if length < pdu.HeaderLen || length > 1<<20 {
		return nil, fmt.Errorf("a header %x, which no PDU has", p)
	}
	p = append(p, make([]byte, length-len(p))...)
	_, err := io.ReadFull(r, p[pdu.HeaderLen:])
	return p, err
}

// settle requests the status of no user, and expects the answer next: then everything that
// was sent before has been handled.
func (c peer) settle() {
	c.t.Helper()
	c.say(pdutest.StatusRequest(7, 1, nil))
	c.expect(pdutest.StatusResponse(7, 1, nil))
}
