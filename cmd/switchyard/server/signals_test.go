package server

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"switchyard/pdu"
	"switchyard/pdu/pdutest"
	"switchyard/policy/release/history"
	"switchyard/proxy/admin"
	"switchyard/proxy/hub"
	"switchyard/proxy/hub/hubtest"
)

// Each signal of the whole tenant pauses a release that it becomes frequent in; an operator who
// resumes it has seen that.
func TestSignalsOfATenant(t *testing.T) {
	s, r := serveStaged(t)
	tenant := s.tenants["a"] // tenants are neither added nor removed meanwhile
	closed := func(why hub.Reason) func() {
		return func() { hubtest.Join(tenant.tenant.Hub()).Leave(why) }
	}
	for _, c := range []struct {
		signal string
		times  int
		count  func()
		paused bool
	}{
		{"", 9, closed(hub.PeerClosed), false}, // which is usual
		{"", 3, closed(hub.SlowConsumer), false},
		{"sessions closed for slow-consumer", 1, closed(hub.PeerReset), true}, // the fourth of its kind
		{"", 9, closed(hub.WriteTimeout), false},                              // it was seen
		{"", 3, func() { tenant.slowProbes.Add(1) }, false},
		{"seconds with a slow probe", 1, func() { tenant.slowProbes.Add(1) }, true},
		{"seconds with a log that is nearly full", 4, func() { tenant.fullLogs.Add(1) }, true},
		{"senders slowed", 4, func() { tenant.tenant.Hub().PauseBegins(hub.LogFull) }, true},
	} {
		for range c.times {
			c.count()
		}
		r.tick(time.Now())
		if p := r.stage(); p.Paused != c.paused || !strings.HasPrefix(p.Reason, c.signal) {
			t.Errorf("%d times %q: paused %v: %s", c.times, c.signal, p.Paused, p.Reason)
		}
		if c.paused {
			if err := s.verb(admin.Verb{Name: admin.Resume}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := s.verb(admin.Verb{Name: admin.Rollback}); err != nil {
		t.Fatal(err)
	}
	var receipt history.Statement
	if err := json.Unmarshal(s.lastEntry(history.RolledBack).Receipt, &receipt); err != nil {
		t.Fatal(err)
	}
	want := []history.Signal{{Name: "seconds with a log that is nearly full", During: 4}, {Name: "seconds with a slow probe", During: 4},
		{Name: "senders slowed", During: 4}, {Name: "sessions closed for slow-consumer, write-timeout or peer-reset", During: 13}}
	if !slices.Equal(receipt.Predicate.Signals, want) {
		t.Errorf("the receipt has the signals %+v, want %+v", receipt.Predicate.Signals, want)
	}
}

// A second counts as bad if the log is above 80 % of its limit.
func TestSecondsWithAFullLog(t *testing.T) {
	t.Parallel()
	s := serveIn(t, time.Hour, "[peer]\nmax_pdu = \"64KiB\"\n"+stagedTenant(`limits = { lag_soft = "1MiB", lag_hard = "4MiB", log = "5MiB" }`), "a")
	s.expect(`msg":"serving"`, 1)
	tenant := s.tenants["a"] // tenants are neither added nor removed meanwhile
	tenant.tenant.EverySecond(func() {})
	h := tenant.tenant.Hub()
	a, b := hubtest.Join(h), hubtest.Join(h)
	for _, c := range []struct {
		bytes int // that b has not taken
		want  uint64
	}{{0, 0}, {7 << 19, 0}, {9 << 19, 1}} {
		for h.Memory() < uint64(c.bytes) {
			a.Send(t, pdutest.Raw(pdu.CID_MSG_DATA, 1, make([]byte, 60_000)))
		}
		before := tenant.fullLogs.Load()
		if s.eachSecond(tenant); tenant.fullLogs.Load()-before != c.want {
			t.Errorf("with %d bytes of 5 MiB: %d bad seconds, want %d", h.Memory(), tenant.fullLogs.Load()-before, c.want)
		}
	}
	b.Leave(hub.PeerClosed)
	a.Leave(hub.PeerClosed)
}
