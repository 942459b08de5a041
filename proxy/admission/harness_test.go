package admission

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"switchyard/proxy"
	"switchyard/proxy/hub"
	"switchyard/proxy/logtest"
	"switchyard/proxy/tenant"
)

// testTimeout is how long a test waits for an event. It only costs time when it fails.
const testTimeout = time.Minute

// A harness is a listener with fake tenants.
type harness struct {
	*Listener
	t       testing.TB
	lines   *logtest.Lines
	tenants map[string]*fakeTenant
}

// A fakeTenant passes the connections that it serves to the test.
type fakeTenant struct {
	refuses error
	late    bool // End finds no connection
	served  chan served

	mu     sync.Mutex // guards all
	all    []served
	ending map[net.Conn]hub.Reason
}

// served is a connection that was handed to a tenant.
type served struct {
	net.Conn
	ended func(abandoned bool)
}

// end closes the connection and reports its end, as a tenant does.
func (s served) end() {
	s.Close()
	s.ended(false)
}

// End records why a connection is to end.
func (f *fakeTenant) End(conn net.Conn, why hub.Reason) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ending == nil {
		f.ending = make(map[net.Conn]hub.Reason)
	}
	f.ending[conn] = why
	return !f.late
}

func (f *fakeTenant) Serve(conn net.Conn, ended func(abandoned bool)) error {
	if f.refuses != nil {
		return f.refuses
	}
	var once sync.Once
	s := served{conn, func(abandoned bool) { once.Do(func() { ended(abandoned) }) }}
	f.mu.Lock()
	f.all = append(f.all, s)
	f.mu.Unlock()
	f.served <- s
	return nil
}

// open opens a listener on loopback. Tenant "main" claims all connections unless o has
// Claims. When the test ends, the counts have to add up.
func open(t testing.TB, o Options) *harness {
	t.Helper()
	h := openFrozen(t, o, State{})
	h.Thaw()
	return h
}

// openFrozen opens a listener that continues another one.
func openFrozen(t testing.TB, o Options, s State) *harness {
	t.Helper()
	tenants := map[string]*fakeTenant{}
	for _, name := range []string{"main", "other"} {
		tenants[name] = &fakeTenant{served: make(chan served, 1000)}
	}
	tenants["full"] = &fakeTenant{refuses: fmt.Errorf("wrapped: %w", proxy.ErrFull)}
	tenants["stopping"] = &fakeTenant{refuses: proxy.ErrStopping}
	tenants["strange"] = &fakeTenant{refuses: io.ErrClosedPipe}
	h := openFrozenFor(t, o, s, func(name string) Server {
		if f := tenants[name]; f != nil {
			return f
		}
		return nil
	})
	h.tenants = tenants
	return h
}

// openFor opens a listener for other tenants than the fake ones.
func openFor(t testing.TB, o Options, find func(tenant string) Server) *harness {
	t.Helper()
	h := openFrozenFor(t, o, State{}, find)
	h.Thaw()
	return h
}

func openFrozenFor(t testing.TB, o Options, s State, find func(tenant string) Server) *harness {
	t.Helper()
	if o.Claims == nil {
		o.Claims = claims(t, "main")
	}
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &harness{t: t, lines: new(logtest.Lines)}
	h.Listener = OpenFrozen(socket, o, s, find, slog.New(slog.NewTextHandler(h.lines, nil)))
	t.Cleanup(h.end)
	return h
}

func (h *harness) end() {
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

// conserved returns the counts, and fails if they do not add up.
func (h *harness) conserved() Counts {
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

// serves waits for the next connection that is handed to the tenant.
func (h *harness) serves(name string) served {
	h.t.Helper()
	select {
	case s := <-h.tenants[name].served:
		return s
	case <-time.After(testTimeout):
		h.t.Fatalf("tenant %s serves no connection: %+v\n%s", name, h.Counts(), h.lines)
		panic("not reached")
	}
}

// refuses waits until exactly these connections have been refused.
func (h *harness) refuses(want map[Reason]uint64) {
	h.t.Helper()
	var c Counts
	eventually(h.t, func() bool {
		c = h.conserved()
		return fmt.Sprint(c.Refused) == fmt.Sprint(want)
	}, func() string { return fmt.Sprintf("refused %v, want %v\n%s", c.Refused, want, h.lines) })
}

// logs waits for a line with all of the words.
func (h *harness) logs(words ...string) {
	h.t.Helper()
	eventually(h.t, func() bool { return h.lines.Has(words...) }, func() string { return fmt.Sprintf("%q\n%s", words, h.lines) })
}

// servesUntil calls connect until a connection is refused for the reason, and returns how
// many "main" served before. It ends each of them.
func (h *harness) servesUntil(why Reason, connect func()) (n int) {
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
	h.t.Fatalf("no connection is refused for %s", why)
	return n
}

// servesRetrying calls connect until "main" serves the connection: on a busy machine, the
// handshake may exceed a short timeout.
func (h *harness) servesRetrying(connect func()) served {
	h.t.Helper()
	for range 1000 {
		before := h.conserved()
		connect()
		var after Counts
		eventually(h.t, func() bool {
			after = h.conserved()
			return after.Accepted > before.Accepted && after.Handshaking == 0
		}, func() string { return fmt.Sprintf("%+v", after) })
		if after.Open > before.Open {
			return h.serves("main")
		}
	}
	h.t.Fatalf("no connection is served: %+v", h.Counts())
	panic("not reached")
}

// dial connects from the loopback address that is given, or from any.
func (h *harness) dial(from ...string) *net.TCPConn {
	h.t.Helper()
	d := net.Dialer{Timeout: testTimeout}
	if len(from) > 0 {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from[0])}
	}
	conn, err := d.Dial("tcp", h.Addr().String())
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(testTimeout))
	return conn.(*net.TCPConn)
}

// say connects and sends a text.
func (h *harness) say(text string) *net.TCPConn {
	h.t.Helper()
	conn := h.dial()
	if _, err := io.WriteString(conn, text); err != nil {
		h.t.Fatal(err)
	}
	return conn
}

func eventually(t testing.TB, ok func() bool, state func() string) {
	t.Helper()
	for deadline := time.Now().Add(testTimeout); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not in time: ", state())
		}
	}
}

// hears reads exactly the wanted text.
func hears(t testing.TB, conn net.Conn, want string) {
	t.Helper()
	conn.SetReadDeadline(time.Now().Add(testTimeout))
	got := make([]byte, len(want))
	if n, err := io.ReadFull(conn, got); err != nil || string(got) != want {
		t.Fatalf("heard %q (%v), want %q", got[:n], err, want)
	}
}

// gone waits for the end of the connection, by FIN or RST.
func gone(t testing.TB, conn net.Conn) {
	t.Helper()
	conn.SetReadDeadline(time.Now().Add(testTimeout))
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
