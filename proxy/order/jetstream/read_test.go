package jetstream

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"switchyard/proxy/order"
)

// limit is how long anything may take on a machine that is busy with other work.
const limit = time.Minute

// short makes a reader ask soon, and believe a contradiction late.
var short = times{idle: 5 * time.Millisecond, poll: time.Millisecond, answer: 10 * time.Second, retry: time.Millisecond, lag: time.Hour}

func settingsOf(b *fakeBus) Settings {
	return Settings{Servers: []string{"nats://" + b.listener.Addr().String()}, Cluster: "test", Tenant: "main", Hub: 1, Replicas: 1, LogBytes: 1 << 20, Log: slog.New(slog.DiscardHandler)}
}

// begun returns a log that reads from the fake's stream.
func begun(t *testing.T, b *fakeBus, times times) *Log {
	t.Helper()
	l, err := open(settingsOf(b), times)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	begin(t, l)
	return l
}

// event returns the next event that is one of kinds.
func event(t *testing.T, l *Log, kinds ...order.EventKind) order.Event {
	t.Helper()
	timeout := time.After(limit)
	for {
		select {
		case e := <-l.Events():
			for _, kind := range kinds {
				if e.Kind == kind {
					return e
				}
			}
		case <-timeout:
			t.Fatalf("no event of kind %v within %v", kinds, limit)
		}
	}
}

// reads wants the records, in order, at consecutive positions from number first on.
func reads(t *testing.T, l *Log, first uint64, records ...string) {
	t.Helper()
	for i, want := range records {
		e := event(t, l, order.Recorded, order.FellOut)
		if e.Kind != order.Recorded || string(e.Entry.Record) != want || e.Entry.Sequence != first+uint64(i) {
			t.Fatalf("event %v %q at %d (%v), want %q at %d", e.Kind, e.Entry.Record, e.Entry.Sequence, e.Err, want, first+uint64(i))
		}
	}
}

// What was appended is read back, with the time that the stream gave it.
func TestAppendAndRead(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	t.Run("", func(t *testing.T) {
		b := startFake(t)
		l := begun(t, b, short)
		for _, record := range []string{"a", "b"} {
			if err := l.Append([]byte(record)); err != nil {
				t.Fatal(err)
			}
		}
		e := event(t, l, order.Recorded)
		b.mu.Lock() // the other record may arrive now
		at := b.records[0].at
		b.mu.Unlock()
		if want := (order.Position{Epoch: b.created.UnixNano(), Sequence: 1}); e.Entry.Position != want || !e.Entry.At.Equal(at) || string(e.Entry.Record) != "a" {
			t.Errorf("read %+v, want a at %v of %v", e.Entry, want, at)
		}
		reads(t, l, 2, "b")
	})
}

// What was not republished is got from the stream as soon as something behind it is read.
func TestGap(t *testing.T) {
	b := startFake(t)
	times := short
	times.idle = time.Hour // so nothing else shows the gap
	l := begun(t, b, times)
	b.append("a")
	reads(t, l, 1, "a")
	b.mu.Lock()
	b.lose = func(number uint64) bool { return number < 2000 }
	b.mu.Unlock()
	want := []string{}
	for n := 2; n <= 2001; n++ { // several direct gets
		b.append(fmt.Sprint(n))
		want = append(want, fmt.Sprint(n))
	}
	reads(t, l, 2, want...)
	if gets := b.count("DIRECT.GET"); gets != 4 {
		t.Errorf("%d direct gets for 1998 records and the one before, want 4", gets)
	}
}

func (b *fakeBus) count(verb string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.asked[verb]
}

// A lost tail shows although nothing more is said. A replica that does not have it yet is
// asked again.
func TestTail(t *testing.T) {
	b := startFake(t)
	l := begun(t, b, short)
	b.append("a")
	reads(t, l, 1, "a")
	b.mu.Lock()
	b.lose = func(uint64) bool { return true }
	b.behind = 3
	b.mu.Unlock()
	b.append("b")
	b.append("c")
	reads(t, l, 2, "b", "c")
}

// Late copies of records that were got by direct get are not read twice.
func TestLateCopies(t *testing.T) {
	b := startFake(t)
	l := begun(t, b, short)
	b.mu.Lock()
	b.lose = func(uint64) bool { return true }
	b.mu.Unlock()
	b.append("a")
	b.append("b")
	reads(t, l, 1, "a", "b")
	b.mu.Lock()
	b.lose = nil
	b.republish(1)
	b.republish(2)
	b.republish(2)
	b.mu.Unlock()
	b.append("c")
	reads(t, l, 3, "c")
}

// Whoever else publishes to the subject is not read.
func TestForgedRecords(t *testing.T) {
	b := startFake(t)
	l := begun(t, b, short)
	b.mu.Lock()
	for _, header := range []string{
		"",
		"NATS/1.0\r\nNats-Stream: SY_test_main\r\nNats-Sequence: x\r\nNats-Time-Stamp: 2026-01-01T00:00:00Z\r\n\r\n",
		"NATS/1.0\r\nNats-Stream: SY_test_main\r\nNats-Sequence: 0\r\nNats-Time-Stamp: 2026-01-01T00:00:00Z\r\n\r\n",
		"NATS/1.0\r\nNats-Stream: SY_test_main\r\nNats-Sequence: 1\r\nNats-Time-Stamp: yesterday\r\n\r\n",
		"NATS/1.0\r\nNats-Stream: SY_test_other\r\nNats-Sequence: 1\r\nNats-Time-Stamp: 2026-01-01T00:00:00Z\r\n\r\n",
	} {
		b.send("sy.test.main.log.9", "", header, []byte("forged"))
	}
	b.mu.Unlock()
	b.append("a")
	reads(t, l, 1, "a")
}

// After a reconnect the stream may be another one, even if its numbers fit.
func TestOtherStreamAfterReconnect(t *testing.T) {
	for _, tc := range []struct {
		name string
		do   func(b *fakeBus)
		want string
	}{
		{"made again", func(b *fakeBus) { b.created = b.created.Add(time.Second) }, "another was created"},
		{"lost its content", func(b *fakeBus) {}, "began again"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := startFake(t)
			times := short
			times.idle = time.Hour // so nothing but the reconnect raises doubt
			l := begun(t, b, times)
			b.append("a")
			b.append("b")
			reads(t, l, 1, "a", "b")
			b.mu.Lock()
			b.records = nil
			tc.do(b)
			for _, record := range []string{"x", "y"} { // nobody reads them
				b.records = append(b.records, fakeRecord{"sy.test.main.in.9", time.Now(), record})
			}
			b.mu.Unlock()
			b.cut()
			b.subscribed("sy.test.main.log.9")
			b.append("z") // its number is the next one
			e := event(t, l, order.Recorded, order.FellOut)
			if e.Kind != order.FellOut || e.Reason != order.OtherLog || !strings.Contains(e.Err.Error(), tc.want) {
				t.Errorf("event %+v, want that the reader fell out and %q", e, tc.want)
			}
		})
	}
}

// If nothing else happened, reading continues after a reconnect where it was.
func TestReconnect(t *testing.T) {
	b := startFake(t)
	l := begun(t, b, short)
	b.append("a")
	reads(t, l, 1, "a")
	b.cut()
	b.append("b")
	reads(t, l, 2, "b")
}

// A number that goes back without a reconnect shows that the stream began again.
func TestNumbersGoBack(t *testing.T) {
	b := startFake(t)
	times := short
	times.idle = time.Hour
	l := begun(t, b, times)
	for _, record := range []string{"a", "b", "c"} {
		b.append(record)
	}
	reads(t, l, 1, "a", "b", "c")
	b.mu.Lock()
	b.records = nil
	b.mu.Unlock()
	for _, record := range []string{"x", "y", "z", "0", "1"} {
		b.append(record)
	}
	if e := event(t, l, order.Recorded, order.FellOut); e.Kind != order.FellOut || e.Reason != order.OtherLog {
		t.Errorf("event %+v, want that the reader fell out", e)
	}
}

// What contradicts what was read is believed if it lasts.
func TestContradictionsLast(t *testing.T) {
	for _, tc := range []struct {
		name   string
		do     func(b *fakeBus)
		reason order.Reason
	}{
		{"stream deleted", func(b *fakeBus) { b.created = time.Time{} }, order.OtherLog},
		{"content lost", func(b *fakeBus) { b.records = nil }, order.OtherLog},
		{"overtaken", func(b *fakeBus) { b.first, b.records = 100, b.records[:1] }, order.Overtaken},
		{"hole", func(b *fakeBus) {
			b.records = append(b.records, b.records[0])
			b.behind = 1 << 30
		}, order.Incomplete},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := startFake(t)
			times := short
			times.lag = 20 * time.Millisecond
			l := begun(t, b, times)
			b.append("a")
			reads(t, l, 1, "a")
			b.mu.Lock()
			tc.do(b)
			b.mu.Unlock()
			if e := event(t, l, order.Recorded, order.FellOut); e.Kind != order.FellOut || e.Reason != tc.reason {
				t.Errorf("event %+v, want that the reader fell out, %s", e, tc.reason)
			}
		})
	}
}

// Whether the stream answers is reported once for each change.
func TestUnreachedAndReached(t *testing.T) {
	b := startFake(t)
	times := short
	times.answer = 20 * time.Millisecond
	l := begun(t, b, times)
	b.mu.Lock()
	b.mute = true
	b.mu.Unlock()
	all := []order.EventKind{order.Recorded, order.Unreached, order.Reached, order.FellOut}
	if e := event(t, l, all...); e.Kind != order.Unreached || !strings.Contains(e.Err.Error(), "no leader") {
		t.Fatalf("event %+v, want that the bus is not reached", e)
	}
	b.mu.Lock()
	b.mute = false
	b.mu.Unlock()
	if e := event(t, l, all...); e.Kind != order.Reached {
		t.Fatalf("event %+v, want that the bus is reached", e)
	}
}
