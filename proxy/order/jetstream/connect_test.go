package jetstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"switchyard/proxy/logtest"
	"switchyard/proxy/order"
)

// The client library closes a connection for good when it does not know the server's error.
// Reading then begins again over another connection.
func TestConnectionClosedForGood(t *testing.T) {
	b := startFake(t)
	l := begun(t, b, short)
	b.report("Something New")
	if e := event(t, l, order.Recorded, order.FellOut); e.Kind != order.FellOut || e.Reason != order.Disconnected {
		t.Fatalf("event %+v, want that the reader fell out", e)
	}
	if err := l.Append([]byte("a")); err == nil {
		t.Error("a record was published over a closed connection")
	}
	begin(t, l)
	if err := l.Append([]byte("b")); err != nil {
		t.Fatal(err)
	}
	reads(t, l, 1, "b")
}

func begin(t *testing.T, l *Log) (last []order.Entry, head order.Position) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	last, head, err := l.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return last, head
}

// Whoever begins again gets the last record of each hub, and nothing else of what was before.
func TestBeginAgain(t *testing.T) {
	b := startFake(t)
	l := begun(t, b, short)
	b.append("a")
	if err := l.Append([]byte("b")); err != nil {
		t.Fatal(err)
	}
	reads(t, l, 1, "a", "b")
	b.append("c")
	last, head := begin(t, l)
	if head.Sequence != 3 || len(last) != 2 || string(last[0].Record) != "b" || string(last[1].Record) != "c" || last[1].Position != head {
		t.Errorf("head %v, last %v, want b and c", head, last)
	}
	b.append("d")
	reads(t, l, 4, "d")
}

// What somebody has published to other subjects of the stream is not a hub's, however much it is.
func TestBeginAsksAboutHubsAlone(t *testing.T) {
	b := startFake(t)
	l := begun(t, b, short)
	b.append("a")
	b.mu.Lock()
	for _, token := range []string{"x", "", "09", "65536", "-1"} {
		b.store("sy.test.main.in."+token, "garbage")
	}
	asked := b.asked["STREAM.MSG.GET"]
	b.mu.Unlock()
	last, _ := begin(t, l)
	b.mu.Lock()
	asked = b.asked["STREAM.MSG.GET"] - asked
	b.mu.Unlock()
	if len(last) != 1 || string(last[0].Record) != "a" || asked != 1 {
		t.Errorf("asked %d times, and got %v; want the record of hub 9 alone", asked, last)
	}
}

// Chunks of the state come in order, to whom they are for. One that does not follow the one
// before, or whose subject is no such thing, is not handed over.
func TestState(t *testing.T) {
	b := startFake(t)
	l := begun(t, b, short)
	b.mu.Lock()
	for _, end := range []string{
		"7.2.8.1.more", "7.70000.8.0.more", "7.2.8.0", "7.2.8.x.more", "x.2.8.0.more", // refused
		"7.2.8.0.more", "7.2.8.2.last", "7.2.9.1.last", "7.2.8.1.last",
	} {
		b.send("sy.test.main.state.1."+end, "reply", "", []byte(end))
	}
	b.mu.Unlock()
	from, to := order.Origin{Hub: 2, Incarnation: 8}, order.Origin{Hub: 1, Incarnation: 7}
	for _, want := range []string{"7.2.8.0.more", "7.2.8.1.last"} {
		select {
		case c := <-l.State():
			if string(c.Chunk) != want || c.From != from || c.For != to || c.Last != strings.HasSuffix(want, "last") {
				t.Errorf("chunk %q from %v for %v, last %v; want %s", c.Chunk, c.From, c.For, c.Last, want)
			}
		case <-time.After(limit):
			t.Fatal("no chunk")
		}
	}
}

// A hub that was not permitted to receive the state receives it once it is.
func TestStateIsPermittedLater(t *testing.T) {
	b := startFake(t)
	l := begun(t, b, short)
	b.report(`Permissions Violation for Subscription to "sy.test.main.state.1.>"`)
	refused := func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.reported) > 0
	}
	for deadline := time.Now().Add(limit); !refused(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the refusal was not read")
		}
	}
	got := 0 // one chunk may be taken before the refusal
	for deadline := time.Now().Add(limit); got < 2; time.Sleep(time.Millisecond) {
		b.mu.Lock()
		b.send("sy.test.main.state.1.7.2.8.0.last", "reply", "", []byte("state"))
		b.mu.Unlock()
		select {
		case <-l.State():
			got++
		default:
		}
		if time.Now().After(deadline) {
			t.Fatal("no chunk")
		}
	}
}

// What waiting does not mend is refused at once.
func TestOpenRefuses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		settings Settings
		want     string
	}{
		{Settings{Servers: []string{"nats://["}}, "connect to the bus"},
		{Settings{Credentials: "/missing"}, "/missing"},
		{Settings{Credentials: file}, "not a file with NATS credentials"},
		{Settings{CA: file}, file},
		{Settings{Certificate: file, Key: file}, "certificate"},
	} {
		s := tc.settings
		s.Cluster, s.Tenant, s.Log = "test", "main", slog.New(slog.DiscardHandler)
		if s.Servers == nil {
			s.Servers = []string{"nats://127.0.0.1:1"}
		}
		if l, err := Open(s); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("error %v, want %q", err, tc.want)
			if l != nil {
				l.Close()
			}
		}
	}
}

// A server that would refuse the state of a tenant is not used.
func TestServerTakesTooLittle(t *testing.T) {
	b := startFake(t)
	b.mu.Lock()
	b.largest = 512<<10 - 1
	b.mu.Unlock()
	l, err := open(settingsOf(b), short)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	if _, _, err := l.Begin(ctx); err == nil || ctx.Err() != nil || !strings.Contains(err.Error(), "set max_payload") {
		t.Errorf("error %v, want at once that max_payload is too small", err)
	}
}

// A stream for trial is deleted although its creation was not answered in time.
func TestTrialLeavesNothingBehind(t *testing.T) {
	b := startFake(t)
	l := begun(t, b, short)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error)
	go func() {
		_, err := l.measure(ctx)
		done <- err
	}()
	const trial = ".SY_test_main_"
	for end := time.Now().Add(limit); b.askedAbout("STREAM.CREATE"+trial) == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("no stream was created")
		}
	}
	cancel()
	if err := <-done; err == nil {
		t.Error("the trial succeeded without an answer")
	}
	if n := b.askedAbout("STREAM.DELETE" + trial); n != 1 {
		t.Errorf("the bus was asked %d times to delete the stream, want once", n)
	}
}

// What the bus refuses is logged once for each text, and names the tenant once.
func TestComplaints(t *testing.T) {
	lines := new(logtest.Lines)
	l := &Log{settings: Settings{Tenant: "main", Log: slog.New(slog.NewTextHandler(lines, nil)).With("tenant", "main")}, reported: map[string]struct{}{}}
	for range 2 {
		l.reportOnce(new(connection), errors.New("nats: authorization violation"))
	}
	if text := lines.String(); strings.Count(text, "tenant=main") != 1 || strings.Count(text, "authorization violation") != 1 {
		t.Errorf("logged %q", text)
	}
	for n := range 2 * maxReported {
		l.reportOnce(new(connection), fmt.Errorf("refused %d", n))
	}
	if n := strings.Count(lines.String(), "level=WARN"); n != maxReported {
		t.Errorf("%d refusals were logged, want %d", n, maxReported)
	}
}

// A connection that breaks is the cause of what follows, but the bus has refused nothing.
func TestBrokenConnectionIsNoRefusal(t *testing.T) {
	for _, err := range []error{io.EOF, &net.OpError{Op: "write", Net: "tcp", Err: syscall.EPIPE}} {
		lines := new(logtest.Lines)
		l := &Log{settings: Settings{Log: slog.New(slog.NewTextHandler(lines, nil))}, reported: map[string]struct{}{}}
		k := new(connection)
		l.reportOnce(k, err)
		if text := lines.String(); text != "" || k.cause == nil {
			t.Errorf("%v: logged %q, cause %v", err, text, k.cause)
		}
	}
}

// A slow bus is measured by fewer records, so that Check can warn about it instead of failing.
func TestMedianOfASlowBus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tc := range []struct {
			each time.Duration
			want int
		}{{time.Millisecond, 15}, {900 * time.Millisecond, 3}, {5 * time.Second, 1}} {
			trips := 0
			got, err := median(2*time.Second, func() error {
				trips++
				time.Sleep(tc.each)
				return nil
			})
			if got != tc.each || err != nil || trips != tc.want {
				t.Errorf("median %v, %v of %d trips, want %v of %d", got, err, trips, tc.each, tc.want)
			}
		}
	})
}
