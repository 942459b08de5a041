//go:build full

package jetstream

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"switchyard/proxy/order"
	"switchyard/proxy/order/jetstream/bustest"
)

// These tests use real servers of the bus, which bustest builds and starts.

func TestMain(m *testing.M) { os.Exit(bustest.Main(m)) }

// deadline is how long anything may take on a machine that is busy with other work.
const deadline = 2 * time.Minute

func settingsFor(b *bustest.Bus, hub, replicas int) Settings {
	return Settings{Servers: b.Servers(hub), Cluster: "test", Tenant: "main", Hub: uint16(hub), Replicas: replicas, LogBytes: 32 << 20, Log: slog.New(slog.DiscardHandler)}
}

// A hub is a member that appends numbered records and keeps what it reads.
type hub struct {
	t    *testing.T
	log  *Log
	done chan struct{}
	stop chan struct{}

	mu      sync.Mutex // held for moments
	records map[order.Position]string
	next    order.Position // what has to come
	fell    []order.Reason
	lost    int // times that the bus was not reached
}

// join opens a log and reads it until the test ends.
func join(t *testing.T, s Settings) *hub {
	t.Helper()
	l, err := Open(s)
	if err != nil {
		t.Fatal(err)
	}
	h := &hub{t: t, log: l, done: make(chan struct{}), stop: make(chan struct{}), records: map[order.Position]string{}}
	h.begin()
	go h.run()
	t.Cleanup(func() {
		close(h.stop)
		<-h.done
		l.Close()
	})
	return h
}

func (h *hub) begin() {
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	_, head, err := h.log.Begin(ctx)
	if err != nil {
		h.t.Error(err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.next = order.Position{Epoch: head.Epoch, Sequence: head.Sequence + 1}
}

// run appends a record every 2 ms, and reads.
func (h *hub) run() {
	defer close(h.done)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for n := 0; ; {
		select {
		case <-h.stop:
			return
		case <-tick.C:
			if h.log.Append(fmt.Appendf(nil, "hub %d record %d", h.log.settings.Hub, n)) == nil {
				n++
			}
		case e := <-h.log.Events():
			h.event(e)
		}
	}
}

func (h *hub) event(e order.Event) {
	switch e.Kind {
	case order.FellOut:
		h.mu.Lock()
		h.fell = append(h.fell, e.Reason)
		if e.Reason == order.OtherLog {
			clear(h.records) // the new log may have the creation time of the old one, and the same positions
		}
		h.mu.Unlock()
		h.begin()
	case order.Unreached:
		h.mu.Lock()
		h.lost++
		h.mu.Unlock()
	case order.Recorded:
		h.mu.Lock()
		defer h.mu.Unlock()
		if e.Entry.Position != h.next {
			h.t.Errorf("hub %d read %v, want %v", h.log.settings.Hub, e.Entry.Position, h.next)
		}
		h.next.Sequence = e.Entry.Sequence + 1
		h.records[e.Entry.Position] = string(e.Entry.Record)
	}
}

// reads waits until the hub has read n more records.
func (h *hub) reads(n int) {
	h.t.Helper()
	count := func() int { h.mu.Lock(); defer h.mu.Unlock(); return len(h.records) }
	was := count()
	eventually(h.t, func() bool { return count() >= was+n }, "hub %d reads %d more records", h.log.settings.Hub, n)
}

func eventually(t *testing.T, ok func() bool, what string, args ...any) {
	t.Helper()
	for end := time.Now().Add(deadline); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: "+what, append([]any{deadline}, args...)...)
		}
	}
}

// agree compares what hubs have read: what two hubs read at one position is equal. It wants at least
// half of what one of two has read to be common: the other may have read a new log for longer.
func agree(t *testing.T, hubs ...*hub) {
	t.Helper()
	furthest := uint64(0)
	each(hubs, func(h *hub) { furthest = max(furthest, h.position().Sequence) })
	each(hubs, func(h *hub) {
		eventually(t, func() bool { return h.position().Sequence >= furthest }, "hub %d reads as far as the others", h.log.settings.Hub)
	})
	first := hubs[0]
	first.mu.Lock()
	defer first.mu.Unlock()
	for _, h := range hubs[1:] {
		h.mu.Lock()
		common := 0
		for p, record := range h.records {
			if other, ok := first.records[p]; ok {
				common++
				if other != record {
					t.Errorf("at %v hub %d read %q, hub %d %q", p, first.log.settings.Hub, other, h.log.settings.Hub, record)
				}
			}
		}
		if common < min(len(first.records), len(h.records))/2 || common == 0 {
			t.Errorf("hubs have read %d records in common, of %d and %d", common, len(first.records), len(h.records))
		}
		h.mu.Unlock()
	}
}

// position is where the next record must be.
func (h *hub) position() order.Position {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.next
}

func (h *hub) fellOut() []order.Reason {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]order.Reason(nil), h.fell...)
}

// What has a place in the log is read by all, once and in one order, whichever server dies.
func TestServersFail(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		do   func(t *testing.T, b *bustest.Bus, leader int)
	}{
		{"leader killed", func(t *testing.T, b *bustest.Bus, leader int) { b.Kill(leader) }},
		{"follower killed", func(t *testing.T, b *bustest.Bus, leader int) { b.Kill((leader + 1) % 3) }},
		{"leader stands still for 5 s", func(t *testing.T, b *bustest.Bus, leader int) {
			b.Signal(leader, syscall.SIGSTOP)
			time.Sleep(5 * time.Second)
			b.Signal(leader, syscall.SIGCONT)
		}},
		{"planned stop", func(t *testing.T, b *bustest.Bus, leader int) { b.Signal(leader, syscall.SIGTERM) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := bustest.Start(t, 3)
			hubs := []*hub{join(t, settingsFor(b, 1, 3)), join(t, settingsFor(b, 2, 3)), join(t, settingsFor(b, 3, 3))}
			each(hubs, func(h *hub) { h.reads(300) })
			begun := time.Now()
			tc.do(t, b, b.Leader(b.Admin(), "SY_test_main"))
			each(hubs, func(h *hub) { h.reads(1000) })
			t.Logf("1000 records later after %v", time.Since(begun))
			agree(t, hubs...)
			each(hubs, func(h *hub) {
				if fell := h.fellOut(); fell != nil {
					t.Errorf("hub %d fell out: %v", h.log.settings.Hub, fell)
				}
			})
		})
	}
}

func each(hubs []*hub, do func(*hub)) {
	for _, h := range hubs {
		do(h)
	}
}
