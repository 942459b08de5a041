package admission

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"switchyard/proxy"
	"switchyard/proxy/tenant"
)

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

// A house is a listener with the tenants behind it, who do what the test says.
type house struct {
	*Listener
	t       testing.TB
	lines   *logLines
	tenants map[string]*fakeTenant
}

// A fakeTenant serves connections by showing them to the test.
type fakeTenant struct {
	refuses error
	served  chan served

	mu  sync.Mutex // guards all
	all []served
}

// served is a connection that a tenant was handed.
type served struct {
	net.Conn
	ended func()
}

// end ends it, once, as a tenant does.
func (s served) end() {
	s.Close()
	s.ended()
}

func (f *fakeTenant) Serve(conn net.Conn, ended func()) error {
	if f.refuses != nil {
		return f.refuses
	}
	s := served{conn, sync.OnceFunc(ended)}
	f.mu.Lock()
	f.all = append(f.all, s)
	f.mu.Unlock()
	f.served <- s
	return nil
}

// open opens a listener on loopback, whose connections are those of tenant "main"
// unless o says otherwise. When the test ends it must have counted everything.
func open(t testing.TB, o Options) *house {
	t.Helper()
	tenants := map[string]*fakeTenant{}
	for _, name := range []string{"main", "other"} {
		tenants[name] = &fakeTenant{served: make(chan served, 1000)}
	}
	tenants["full"] = &fakeTenant{refuses: fmt.Errorf("wrapped: %w", proxy.ErrFull)}
	tenants["stopping"] = &fakeTenant{refuses: proxy.ErrStopping}
	tenants["strange"] = &fakeTenant{refuses: io.ErrClosedPipe}
	h := openFor(t, o, func(name string) Server {
		if f := tenants[name]; f != nil {
			return f
		}
		return nil
	})
	h.tenants = tenants
	return h
}

// openFor opens a listener for tenants of the test's own.
func openFor(t testing.TB, o Options, find func(tenant string) Server) *house {
	t.Helper()
	if o.Claims == nil {
		o.Claims = claims(t, "main")
	}
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, lines: new(logLines)}
	h.Listener = Open(socket, o, find, slog.New(slog.NewTextHandler(h.lines, nil)))
	t.Cleanup(h.end)
	return h
}

func (h *house) end() {
	h.Close()
	for _, f := range h.tenants {
		for _, s := range f.all {
			s.end()
		}
	}
	c := h.conserved()
	if c.Handshaking != 0 || c.Open != 0 || len(h.sources.known) != h.sources.idle.Len() {
		h.t.Errorf("in the end: %+v, %d sources, %d of them idle", c, len(h.sources.known), h.sources.idle.Len())
	}
}

// conserved returns the counts, which must add up.
func (h *house) conserved() Counts {
	h.t.Helper()
	c := h.Counts()
	sum := uint64(c.Handshaking) + uint64(c.Open) + c.Ended
	for _, n := range c.Refused {
		sum += n
	}
	if c.Accepted != sum {
		h.t.Fatalf("the counts do not add up: %+v", c)
	}
	return c
}

// serves returns the next connection that a tenant was handed.
func (h *house) serves(name string) served {
	h.t.Helper()
	select {
	case s := <-h.tenants[name].served:
		return s
	case <-time.After(patience):
		h.t.Fatalf("tenant %s serves nobody: %+v\n%s", name, h.Counts(), h.lines)
		panic("not reached")
	}
}

// refuses waits until that many connections were refused for the reason, and none for
// another.
func (h *house) refuses(want map[Reason]uint64) {
	h.t.Helper()
	var c Counts
	eventually(h.t, func() bool {
		c = h.conserved()
		return fmt.Sprint(c.Refused) == fmt.Sprint(want)
	}, func() string { return fmt.Sprintf("refused %v, want %v\n%s", c.Refused, want, h.lines) })
}

// logs waits for a line that has all of the words.
func (h *house) logs(words ...string) {
	h.t.Helper()
	eventually(h.t, func() bool { return h.lines.has(words...) }, func() string { return fmt.Sprintf("%q\n%s", words, h.lines) })
}

// servesUntil has somebody connect again and again, ends what "main" then serves, and
// returns how many that were before one was refused for the reason.
func (h *house) servesUntil(why Reason, connect func()) (n int) {
	h.t.Helper()
	for ; n < 1000; n++ {
		before := h.conserved()
		connect()
		eventually(h.t, func() bool {
			c := h.conserved()
			return c.Accepted > before.Accepted && c.Handshaking == 0
		}, func() string { return fmt.Sprintf("%+v", h.Counts()) })
		if h.Counts().Refused[why] > before.Refused[why] {
			return n
		}
		h.serves("main").end()
	}
	h.t.Fatalf("nobody is refused for %s", why)
	return n
}

// dial connects from loopback, by the address that is given, or any.
func (h *house) dial(from ...string) *net.TCPConn {
	h.t.Helper()
	d := net.Dialer{Timeout: patience}
	if len(from) > 0 {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from[0])}
	}
	conn, err := d.Dial("tcp", h.Addr().String())
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return conn.(*net.TCPConn)
}

// say connects and says something.
func (h *house) say(text string) *net.TCPConn {
	h.t.Helper()
	conn := h.dial()
	if _, err := io.WriteString(conn, text); err != nil {
		h.t.Fatal(err)
	}
	return conn
}

func eventually(t testing.TB, ok func() bool, complaint func() string) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not in time: ", complaint())
		}
	}
}

// hears reads exactly what is wanted.
func hears(t testing.TB, conn net.Conn, want string) {
	t.Helper()
	conn.SetReadDeadline(time.Now().Add(patience))
	got := make([]byte, len(want))
	if n, err := io.ReadFull(conn, got); err != nil || string(got) != want {
		t.Fatalf("heard %q (%v), want %q", got[:n], err, want)
	}
}

// gone waits for the end of the connection, in whatever way.
func gone(t testing.TB, conn net.Conn) {
	t.Helper()
	conn.SetReadDeadline(time.Now().Add(patience))
	n, err := io.Copy(io.Discard, conn)
	if e, ok := err.(net.Error); n > 0 || ok && e.Timeout() {
		t.Fatalf("read %d bytes (%v), want the end of the connection", n, err)
	}
}

func claims(t testing.TB, otherwise string, c ...tenant.Claim) *tenant.Claims {
	t.Helper()
	claims, err := tenant.NewClaims(otherwise, c...)
	if err != nil {
		t.Fatal(err)
	}
	return claims
}

func networks(all ...string) (p []netip.Prefix) {
	for _, s := range all {
		p = append(p, netip.MustParsePrefix(s))
	}
	return p
}

// logLines collects what is logged.
type logLines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logLines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// has reports whether a line has all of the words.
func (l *logLines) has(words ...string) bool {
	for line := range strings.Lines(l.String()) {
		found := true
		for _, w := range words {
			found = found && strings.Contains(line, w)
		}
		if found {
			return true
		}
	}
	return false
}
