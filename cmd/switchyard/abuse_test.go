package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
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
	policy string   // of the abused tenant: a guest of the tests, or a file; "" is the default
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
	switch {
	case filepath.IsAbs(a.policy):
		policy = "file:" + a.policy
	case a.policy != "":
		policy = guestPolicy(t, a.policy)
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
	for i := range v.received {
		got := &v.received[i]
		want := got.Load() + n
		eventually(t, func() bool { return got.Load() >= want }, func() string {
			return fmt.Sprintf("a receiver has got %d PDUs, want %d", got.Load(), want)
		})
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
