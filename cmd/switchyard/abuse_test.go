package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"switchyard/pdu"
	"switchyard/pdu/pdutest"
)

// One tenant is abused while another is observed: a test fails if the other loses a PDU, and a
// benchmark measures how much longer its PDUs take.

// An abuse is what is done to one of two tenants.
type abuse struct {
	name   string
	policy string   // of the abused tenant; "" is the default
	limits string   // further keys of the abused tenant
	attack string   // what the abused tenant's peers do
	seen   []string // what is logged of it
	quick  bool     // runs without the tag full, too
}

var abuses = []abuse{
	{name: "endless loop", policy: "endless_loop", attack: "talk", seen: []string{`"fault":"fuel"`}, quick: true},
	{name: "recursion", policy: "endless_recursion", attack: "talk", seen: []string{`"fault":"recursion"`}},
	{name: "memory bomb", policy: "fill_loop", attack: "talk", seen: []string{`"fault":"fuel"`}},
	{name: "trap", policy: "trap", attack: "talk", seen: []string{`"fault":"trap"`}},
	{name: "flood", attack: "flood", limits: "quota.pdus_in = 2000\nquota.bytes_in = \"1MiB\"\n"},
	{name: "flood, dropped", attack: "flood", limits: "quota.pdus_in = 2000\nquota.bytes_in = \"1MiB\"\nquota.on_breach = \"drop\"\n",
		seen: []string{"over-quota"}, quick: true},
	{name: "connections", attack: "connect"},
	{name: "never read", attack: "mute", limits: "quota.bytes_out = \"64MiB\"\nlimits.lag_hard = \"32MiB\"\n", seen: []string{"slow-consumer"}},
	{name: "a byte a second", attack: "dribble"},
}

// start starts a switchyard with an abused and a quiet tenant, and an attacker. It returns the
// process with the quiet tenant's address.
func (a abuse) start(t testing.TB) (*process, *attacker) {
	t.Helper()
	policy := "teamtalk"
	if a.policy != "" {
		path, err := filepath.Abs("../../policy/wasm/testdata/" + a.policy + ".wasm")
		if err != nil {
			t.Fatal(err)
		}
		policy = "file:" + path
	}
	p := configured(t, t.TempDir(), fmt.Sprintf(`
[[listener]]
tenant = "quiet"
[[listener]]
address = "127.0.0.1:0"
tenant = "abused"
accept_rate = 50
source_connections = 300
[tenant.quiet]
[tenant.abused]
policy = %q
%s`, policy, a.limits))
	abused := p.at(`"tenant":"abused"`).address
	return p.at(`"tenant":"quiet"`), startAttacker(t, a.attack, abused)
}

// A tenant loses no PDU while another is abused, and the counts of both add up.
func TestAbuse(t *testing.T) {
	t.Parallel()
	for _, a := range abuses {
		if !a.quick && !full {
			continue
		}
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			p, attacker := a.start(t)
			v := watchVictim(t, p)
			attacker.on(t)
			for _, want := range a.seen {
				p.expect(want, `"tenant":"abused"`)
			}
			v.wait(t, 100)
			attacker.off(t)
			v.end(t)
			p.signal(syscall.SIGTERM)
			// The stop may discard copies that are due to an attacker that has just left.
			if code := p.exit(); code != exitStopped && code != exitForced {
				t.Errorf("exit code %d", code)
			}
			p.expect(`"msg":"copies"`, `"tenant":"quiet"`, `"discarded":{}`)
			checkCounts(t, p)
		})
	}
}

// BenchmarkAbuse measures a tenant's latency, alternately with and without the abuse of another,
// and reports the medians of p99 and their ratio.
func BenchmarkAbuse(b *testing.B) {
	const rounds, each = 5, time.Second
	for _, a := range abuses {
		b.Run(a.name, func(b *testing.B) {
			p, attacker := a.start(b)
			v := watchVictim(b, p)
			v.measure(each) // warms up
			var quiet, abused []time.Duration
			for range rounds {
				quiet = append(quiet, percentile(v.measure(each), 99))
				attacker.on(b)
				abused = append(abused, percentile(v.measure(each), 99))
				attacker.off(b)
				v.measure(each / 4)
			}
			v.end(b)
			before, during := percentile(quiet, 50), percentile(abused, 50)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(before.Microseconds()), "quiet-p99-µs")
			b.ReportMetric(float64(during.Microseconds()), "abused-p99-µs")
			b.ReportMetric(float64(during)/float64(before), "ratio")
		})
	}
}

func percentile(all []time.Duration, p int) time.Duration {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[min(len(all)*p/100, len(all)-1)]
}

// A victim is the quiet tenant's traffic: one peer sends a PDU every millisecond, others measure
// how long after it was due it arrives.
type victim struct {
	stop      chan struct{}
	done      sync.WaitGroup
	sent      atomic.Int64
	received  []atomic.Int64 // by receiver
	mu        sync.Mutex     // guards what follows
	latencies []time.Duration
	err       error
}

func watchVictim(t testing.TB, p *process) *victim {
	const receivers = 4
	v := &victim{stop: make(chan struct{}), received: make([]atomic.Int64, receivers)}
	sender := p.dial()
	begun := time.Now()
	for i := range receivers {
		conn := p.dial()
		v.done.Go(func() { v.fail(v.receive(conn, begun, &v.received[i])) })
	}
	v.done.Go(func() { v.fail(v.send(sender, begun)) })
	return v
}

func (v *victim) fail(err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.err = errors.Join(v.err, err)
}

// last is the number of the last PDU.
const last = 1<<64 - 1

func (v *victim) send(conn net.Conn, begun time.Time) error {
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for n := uint64(0); ; n++ {
		due := time.Since(begun)
		select {
		case <-ticker.C:
		case <-v.stop:
			n = last
		}
		b := binary.BigEndian.AppendUint64(nil, n)
		b = binary.BigEndian.AppendUint64(b, uint64(due))
		if _, err := conn.Write(pdutest.Raw(pdu.CID_MSG_DATA, 1, append(b, make([]byte, 200)...))); err != nil || n == last {
			return err
		}
		v.sent.Add(1)
	}
}

func (v *victim) receive(conn net.Conn, begun time.Time, received *atomic.Int64) error {
	r := pdu.NewReader(conn, 1<<20)
	for next := uint64(0); ; {
		batch, err := r.ReadBatch()
		now := time.Since(begun)
		if err != nil {
			return fmt.Errorf("a connection of the quiet tenant ended: %w", err)
		}
		v.mu.Lock()
		for _, p := range pdutest.Split(batch) {
			if pdu.ParseHeader(p).Command != pdu.CID_MSG_DATA {
				continue // a heartbeat
			}
			n := binary.BigEndian.Uint64(p[pdu.HeaderLen:])
			if n == last {
				v.mu.Unlock()
				return nil
			}
			if n != next {
				v.mu.Unlock()
				return fmt.Errorf("got number %d, want %d", n, next)
			}
			next++
			received.Add(1)
			v.latencies = append(v.latencies, now-time.Duration(binary.BigEndian.Uint64(p[pdu.HeaderLen+8:])))
		}
		v.mu.Unlock()
	}
}

// measure returns the latencies during the next d.
func (v *victim) measure(d time.Duration) []time.Duration {
	v.mu.Lock()
	v.latencies = nil
	v.mu.Unlock()
	time.Sleep(d)
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.latencies
}

// wait waits until every receiver has got n more PDUs.
func (v *victim) wait(t testing.TB, n int64) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for i := range v.received {
		for want := v.received[i].Load() + n; v.received[i].Load() < want; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("a receiver has got %d PDUs, want %d", v.received[i].Load(), want)
			}
		}
	}
}

// end ends the traffic, and fails the test if a PDU has not arrived.
func (v *victim) end(t testing.TB) {
	t.Helper()
	close(v.stop)
	v.done.Wait()
	if v.err != nil {
		t.Error(v.err)
	}
	for i := range v.received {
		if got, want := v.received[i].Load(), v.sent.Load(); got != want {
			t.Errorf("receiver %d got %d PDUs, want %d", i, got, want)
		}
	}
}

// asAttacker makes the test's program attack an address, in a process of its own with low
// priority, as if it ran on another machine.
const asAttacker = "SWITCHYARD_TEST_AS_ATTACKER"

// An attacker is that process.
type attacker struct {
	commands io.WriteCloser
	answers  *bufio.Reader
}

func startAttacker(t testing.TB, attack, address string) *attacker {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), asAttacker+"="+attack+" "+address)
	cmd.Stderr = os.Stderr
	commands, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	answers, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		commands.Close() // which ends it
		cmd.Wait()
	})
	return &attacker{commands, bufio.NewReader(answers)}
}

func (a *attacker) on(t testing.TB)  { a.do(t, "on\n") }
func (a *attacker) off(t testing.TB) { a.do(t, "off\n") }

func (a *attacker) do(t testing.TB, command string) {
	t.Helper()
	if _, err := io.WriteString(a.commands, command); err != nil {
		t.Fatal(err)
	}
	if answer, err := a.answers.ReadString('\n'); err != nil || answer != command {
		t.Fatalf("the attacker answers %q (%v) to %q", answer, err, command)
	}
}

// attack is the attacker's main function.
func attack(what string) {
	syscall.Setpriority(syscall.PRIO_PROCESS, 0, 10)
	kind, address, _ := strings.Cut(what, " ")
	var stop chan struct{}
	var done sync.WaitGroup
	end := func() {
		if stop != nil {
			close(stop)
			done.Wait()
			stop = nil
		}
	}
	for in := bufio.NewScanner(os.Stdin); in.Scan(); fmt.Println(in.Text()) {
		switch in.Text() {
		case "on":
			stop = make(chan struct{})
			attacks[kind](address, stop, &done)
		case "off":
			end()
		}
	}
	end()
}

// attacks start goroutines, which end when stop is closed.
var attacks = map[string]func(address string, stop chan struct{}, done *sync.WaitGroup){
	// talk: four peers send 500 PDUs a second each.
	"talk": func(address string, stop chan struct{}, done *sync.WaitGroup) {
		many(4, address, stop, done, func(conn net.Conn) {
			done.Go(func() { io.Copy(io.Discard, conn) })
			every(2*time.Millisecond, stop, func() bool {
				_, err := conn.Write(pdutest.Raw(pdu.CID_MSG_DATA, 1, make([]byte, 200)))
				return err == nil
			})
		})
	},
	// flood: four peers send as fast as they can.
	"flood": func(address string, stop chan struct{}, done *sync.WaitGroup) {
		many(4, address, stop, done, func(conn net.Conn) {
			done.Go(func() { io.Copy(io.Discard, conn) })
			flood(conn)
		})
	},
	// connect: 2,000 connections a second, each closed at once.
	"connect": func(address string, stop chan struct{}, done *sync.WaitGroup) {
		for range 4 {
			done.Go(func() {
				every(2*time.Millisecond, stop, func() bool {
					if conn, err := net.Dial("tcp", address); err == nil {
						conn.Close()
					}
					return true
				})
			})
		}
	},
	// mute: eight peers never read, two send as fast as they can.
	"mute": func(address string, stop chan struct{}, done *sync.WaitGroup) {
		many(8, address, stop, done, func(net.Conn) { <-stop })
		many(2, address, stop, done, func(conn net.Conn) {
			done.Go(func() { io.Copy(io.Discard, conn) })
			flood(conn)
		})
	},
	// dribble: 200 peers send a byte a second.
	"dribble": func(address string, stop chan struct{}, done *sync.WaitGroup) {
		many(200, address, stop, done, func(conn net.Conn) {
			every(time.Second, stop, func() bool {
				_, err := conn.Write([]byte{0})
				return err == nil
			})
		})
	},
}

func flood(conn net.Conn) {
	m := pdutest.Raw(pdu.CID_MSG_DATA, 1, make([]byte, 200))
	batch := slices.Repeat(m, 300)
	for {
		if _, err := conn.Write(batch); err != nil {
			return
		}
	}
}

// many runs do on n connections, each in a goroutine, and closes them when stop is closed. A
// connection that is refused or closed is made again.
func many(n int, address string, stop chan struct{}, done *sync.WaitGroup, do func(net.Conn)) {
	for range n {
		done.Go(func() {
			for {
				if conn, err := net.Dial("tcp", address); err == nil {
					over := make(chan struct{})
					done.Go(func() {
						select {
						case <-stop:
						case <-over:
						}
						conn.Close()
					})
					do(conn)
					close(over)
				}
				select {
				case <-stop:
					return
				case <-time.After(50 * time.Millisecond):
				}
			}
		})
	}
}

// every calls do at that interval until stop is closed or it returns false.
func every(interval time.Duration, stop chan struct{}, do func() bool) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
			if !do() {
				return
			}
		}
	}
}
