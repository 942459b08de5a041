//go:build full

package jetstream

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"switchyard/proxy/order"
	"switchyard/proxy/order/jetstream/bustest"
)

// Each of three servers is restarted, and has forgotten what it kept in memory.
func TestServersRestartInTurn(t *testing.T) {
	t.Parallel()
	b := bustest.Start(t, 3)
	hubs := []*hub{join(t, settingsFor(b, 1, 3)), join(t, settingsFor(b, 2, 3)), join(t, settingsFor(b, 3, 3))}
	each(hubs, func(h *hub) { h.reads(300) })
	js := b.Admin()
	for i := range 3 {
		b.Kill(i)
		each(hubs, func(h *hub) { h.reads(100) })
		b.Restart(i)
		eventually(t, func() bool { return current(js, "SY_test_main") }, "all replicas of the stream are current")
		each(hubs, func(h *hub) { h.reads(100) })
	}
	agree(t, hubs...)
	each(hubs, func(h *hub) {
		if fell := h.fellOut(); fell != nil {
			t.Errorf("hub %d fell out: %v", h.log.settings.Hub, fell)
		}
	})
}

// current says whether a stream has a leader and all followers have what it has.
func current(js nats.JetStreamContext, stream string) bool {
	info, err := js.StreamInfo(stream)
	return err == nil && info.Cluster.Leader != "" && len(info.Cluster.Replicas) == 2 &&
		!slices.ContainsFunc(info.Cluster.Replicas, func(p *nats.PeerInfo) bool { return !p.Current || p.Offline })
}

// If nobody keeps the records any more, or somebody deletes the stream, all fall out, and
// agree on what follows.
func TestStreamIsLost(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		do   func(t *testing.T, b *bustest.Bus)
	}{
		{"deleted", func(t *testing.T, b *bustest.Bus) {
			if err := b.Admin().DeleteStream("SY_test_main"); err != nil {
				t.Fatal(err)
			}
		}},
		{"all servers restarted at once", func(t *testing.T, b *bustest.Bus) {
			for i := range 3 {
				b.Kill(i)
			}
			for i := range 3 {
				b.Restart(i)
			}
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := bustest.Start(t, 3)
			hubs := []*hub{join(t, settingsFor(b, 1, 3)), join(t, settingsFor(b, 2, 3)), join(t, settingsFor(b, 3, 3))}
			each(hubs, func(h *hub) { h.reads(300) })
			tc.do(t, b)
			each(hubs, func(h *hub) {
				eventually(t, func() bool { return h.fellOut() != nil }, "hub %d falls out", h.log.settings.Hub)
				h.reads(300)
				if fell := h.fellOut(); slices.ContainsFunc(fell, func(r order.Reason) bool { return r != order.OtherLog }) {
					t.Errorf("hub %d fell out for %v, want %v", h.log.settings.Hub, fell, order.OtherLog)
				}
			})
			agree(t, hubs...)
		})
	}
}

// A stream with one replica is gone while its server is, and its records with it.
func TestSingleServerRestarts(t *testing.T) {
	t.Parallel()
	b := bustest.Start(t, 1)
	h := join(t, settingsFor(b, 1, 1))
	h.reads(100)
	b.Kill(0)
	eventually(t, func() bool { h.mu.Lock(); defer h.mu.Unlock(); return h.lost > 0 }, "the hub sees that the bus is not reached")
	if err := h.log.Append([]byte("x")); err == nil || !strings.Contains(err.Error(), "no server of the bus is connected") {
		t.Errorf("Append without a bus returned %v", err)
	}
	b.Restart(0)
	eventually(t, func() bool { return h.fellOut() != nil }, "the hub falls out")
	h.reads(100)
}

// A reader that is slower than the ring is long falls out; one that lags less gets all.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	b := bustest.Start(t, 1)
	js := b.Admin()
	s := settingsFor(b, 1, 1)
	s.LogBytes = 1 << 20
	l := opened(t, s)
	write := func(n int) {
		for range n {
			if _, err := js.Publish("sy.test.main.in.2", make([]byte, 100_000)); err != nil {
				t.Fatal(err)
			}
		}
	}
	_, head, err := l.Begin(ctx(t))
	if err != nil {
		t.Fatal(err)
	}
	write(50) // more than the ring holds, less than a subscription
	for i := range 50 {
		if e := receive(t, l); e.Kind != order.Recorded || e.Entry.Sequence != head.Sequence+uint64(i)+1 {
			t.Fatalf("event %+v, want record %d", e, i+1)
		}
	}
	write(1000) // more than a subscription holds
	var e order.Event
	for e = receive(t, l); e.Kind == order.Recorded; e = receive(t, l) {
	}
	if e.Kind != order.FellOut || e.Reason != order.Overtaken {
		t.Fatalf("event %+v, want that the reader fell out, overtaken", e)
	}
	if _, _, err := l.Begin(ctx(t)); err != nil {
		t.Fatal(err)
	}
	write(1)
	if e := receive(t, l); e.Kind != order.Recorded {
		t.Errorf("after beginning again: event %+v, want a record", e)
	}
}

// Another process reads on behind what one has read, without a gap, unless the stream is another one or
// has lost what comes next.
func TestContinue(t *testing.T) {
	t.Parallel()
	b := bustest.Start(t, 1)
	l := opened(t, settingsFor(b, 1, 1))
	if _, _, err := l.Begin(ctx(t)); err != nil {
		t.Fatal(err)
	}
	write := func(n int) {
		for i := range n {
			if err := l.Append(fmt.Appendf(nil, "record %d", i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	write(3)
	last := receive(t, l).Entry
	receive(t, l)
	receive(t, l)
	for _, at := range []time.Time{last.At, {}} {
		next := opened(t, settingsFor(b, 1, 1))
		if err := next.Continue(ctx(t), order.Entry{Position: last.Position, At: at}); err != nil {
			t.Fatal(err)
		}
		for i := range uint64(2) {
			if e := receive(t, next); e.Kind != order.Recorded || e.Entry.Sequence != last.Sequence+1+i {
				t.Errorf("event %+v, want record %d", e, last.Sequence+1+i)
			}
		}
	}
	other, later := last, last
	other.Epoch--
	later.At = later.At.Add(time.Second)
	for _, at := range []order.Entry{other, later} {
		next := opened(t, settingsFor(b, 1, 1))
		if err := next.Continue(ctx(t), at); err != nil {
			t.Fatal(err)
		}
		if e := receive(t, next); e.Kind != order.FellOut || e.Reason != order.OtherLog {
			t.Errorf("behind %+v: event %+v, want that the reader fell out of another stream", at, e)
		}
	}
}

// A hub that begins learns the last record of each hub.
func TestBeginTellsWhoIsThere(t *testing.T) {
	t.Parallel()
	b := bustest.Start(t, 1)
	var logs []*Log
	for hub := range 3 {
		s := settingsFor(b, 1, 1)
		s.Hub = uint16(hub + 1)
		l := opened(t, s)
		last, head, err := l.Begin(ctx(t))
		if err != nil {
			t.Fatal(err)
		}
		if len(last) != hub || hub > 0 && (last[hub-1].Position != head || string(last[hub-1].Record) != fmt.Sprintf("b%d", hub)) {
			t.Errorf("hub %d: last records %v, head %v", hub+1, last, head)
		}
		for _, record := range []string{"a", "b"} {
			if err := l.Append(fmt.Appendf(nil, "%s%d", record, hub+1)); err != nil {
				t.Fatal(err)
			}
		}
		receive(t, l)
		receive(t, l)
		logs = append(logs, l)
	}
	if e := receive(t, logs[0]); string(e.Entry.Record) != "a2" || time.Since(e.Entry.At) > deadline {
		t.Errorf("event %+v, want record a2", e)
	}
}

func TestStateGoesFromHubToHub(t *testing.T) {
	t.Parallel()
	b := bustest.Start(t, 3)
	donor, entering := opened(t, settingsFor(b, 1, 3)), opened(t, settingsFor(b, 2, 3))
	if _, _, err := donor.Begin(ctx(t)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := entering.Begin(ctx(t)); err != nil {
		t.Fatal(err)
	}
	from, to := order.Origin{Hub: 1, Incarnation: 7}, order.Origin{Hub: 2, Incarnation: 1<<32 - 1}
	sent := make(chan error)
	for round := range 2 {
		go func() {
			for i := range 4 {
				if err := donor.SendState(ctx(t), from, to, make([]byte, 512<<10-i), i == 3); err != nil {
					sent <- err
					return
				}
			}
			sent <- nil
		}()
		for i := range 4 {
			c := <-entering.State()
			if c.From != from || c.For != to || len(c.Chunk) != 512<<10-i || c.Last != (i == 3) {
				t.Errorf("round %d: chunk %d: from %v for %v, %d bytes, last %v", round, i, c.From, c.For, len(c.Chunk), c.Last)
			}
			if err := c.Ack(); err != nil {
				t.Error(err)
			}
		}
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
	}
	to.Hub = 3
	if err := donor.SendState(ctx(t), from, to, nil, true); !errors.Is(err, nats.ErrNoResponders) {
		t.Errorf("sent to a hub that is not there: %v", err)
	}
}

// What an operator has to mend is said at once, with the place, the fault and the remedy.
func TestFaultsOfTheBus(t *testing.T) {
	t.Parallel()
	b := bustest.Start(t, 1)
	js := b.Admin()
	for _, c := range []nats.StreamConfig{
		{Name: "SY_test_file", Subjects: []string{"sy.test.file.in.*"}, Storage: nats.FileStorage},
		{Name: "mine", Subjects: []string{"sy.test.overlap.in.>"}, Storage: nats.MemoryStorage},
	} {
		if _, err := js.AddStream(&c); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct {
		tenant   string
		replicas int
		soon     bool // returned at once
		want     []string
	}{
		{"file", 1, true, []string{"stream SY_test_file has other settings", "storage is File, want memory", "not republished", "delete the stream"}},
		{"overlap", 1, true, []string{"create stream SY_test_overlap", "subjects overlap", "sy.test.overlap.in.*", "delete it"}},
		{"main", 3, false, []string{"create stream SY_test_main", "set replicas to 1"}},
	} {
		s := settingsFor(b, 1, tc.replicas)
		s.Tenant = tc.tenant
		refused(t, s, tc.soon, tc.want)
	}
}

// refused wants Begin to fail with these words: at once, or when its time is over. On a busy
// machine that may be too early to see more than that nothing answers, so it tries again.
func refused(t *testing.T, s Settings, soon bool, want []string) {
	t.Helper()
	l := opened(t, s)
	limit := deadline
	if !soon {
		limit = 5 * time.Second
	}
	var err error
	eventually(t, func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		if _, _, err = l.Begin(ctx); err == nil || soon && ctx.Err() != nil {
			t.Fatalf("tenant %s: %v, and time is over: %v", s.Tenant, err, ctx.Err())
		}
		return soon || !slices.ContainsFunc(want, func(words string) bool { return !strings.Contains(err.Error(), words) })
	}, "tenant %s is refused with %q", s.Tenant, want)
	for _, words := range want {
		if !strings.Contains(err.Error(), words) {
			t.Errorf("tenant %s: error %q does not say %q", s.Tenant, err, words)
		}
	}
}

func TestAccountsOfTheBus(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	conf := filepath.Join(dir, "accounts.conf")
	text := `accounts: {
  hubs: { jetstream: enabled, users: [
    {user: good, password: x, permissions: {publish: ["sy.test.>", "$JS.API.STREAM.>", "$JS.API.DIRECT.GET.*"], subscribe: "sy.test.>"}}
    {user: deaf, password: x, permissions: {publish: ">", subscribe: "sy.test._INBOX.>"}}
    {user: mute, password: x, permissions: {publish: "sy.test.>", subscribe: "sy.test.>"}}
  ]}
  none: { users: [{user: none, password: x}] }
}`
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	b := bustest.Start(t, 1, "--accounts", conf)
	as := func(user string) Settings {
		s := settingsFor(b, 1, 1)
		s.Servers = []string{strings.Replace(s.Servers[0], "://", "://"+user+":x@", 1)}
		return s
	}
	join(t, as("good")).reads(10)
	refused(t, as("deaf"), true, []string{"sy.test.main.log.*", "Permissions Violation for Subscription", "permit the hubs' user", "sy.test.>"})
	refused(t, as("mute"), true, []string{"Permissions Violation for Publish", "$JS.API.STREAM.INFO.SY_test_main", "permit the hubs' user"})
	refused(t, as("none"), false, []string{"JetStream does not answer", "enable it"})
	refused(t, as("stranger"), false, []string{"no server of the bus is connected", "Authorization Violation"})
}

// A hub whose server stands still reads on at another server.
func TestOwnServerStalled(t *testing.T) {
	t.Parallel()
	b := bustest.Start(t, 3)
	js := b.Admin()
	h := join(t, settingsFor(b, 0, 3))
	h.reads(100)
	other := join(t, settingsFor(b, 1, 3))
	if b.Leader(js, "SY_test_main") == 0 {
		t.Log("the server that stands still leads the stream")
	}
	b.Signal(0, syscall.SIGSTOP)
	defer b.Signal(0, syscall.SIGCONT)
	h.reads(500)
	other.reads(500)
	agree(t, h, other)
}

func opened(t *testing.T, s Settings) *Log {
	t.Helper()
	l, err := Open(s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

func ctx(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	t.Cleanup(cancel)
	return ctx
}

// receive returns the next event.
func receive(t *testing.T, l *Log) order.Event {
	t.Helper()
	select {
	case e := <-l.Events():
		return e
	case <-time.After(deadline):
		t.Fatalf("no event within %v", deadline)
		return order.Event{}
	}
}
