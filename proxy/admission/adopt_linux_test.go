package admission

import (
	"encoding/json"
	"io"
	"net"
	"reflect"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"switchyard/proxy/hub"
)

// received returns another connection of the same socket, as the receiver of a descriptor makes.
func received(t testing.TB, conn net.Conn) *net.TCPConn {
	t.Helper()
	socket, ok := conn.(*net.TCPConn)
	if proxied, is := conn.(*proxiedConn); is {
		socket, ok = proxied.TCPConn, true
	}
	if !ok {
		t.Fatalf("a %T cannot move", conn)
	}
	f, err := socket.File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	again, err := net.FileConn(f)
	if err != nil {
		t.Fatal(err)
	}
	return again.(*net.TCPConn)
}

// moves freezes from, and makes another listener that adopts all of its connections.
func (from *harness) moves(o Options) *harness {
	t := from.t
	t.Helper()
	if err := from.Freeze(t.Context()); err != nil {
		t.Fatal(err)
	}
	records := from.Records()
	to := openFrozen(t, o, recoded(t, from.State(len(records))))
	for conn, r := range records {
		r = recoded(t, r)
		forTenant, ended := to.Adopt(received(t, conn), r)
		if err := to.tenants[r.Tenant].Serve(forTenant, ended); err != nil {
			t.Fatal(err)
		}
	}
	return to
}

// recoded returns v as the other process gets it.
func recoded[T any](t testing.TB, v T) (again T) {
	t.Helper()
	encoded, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(encoded, &again)
	}
	if err != nil || !reflect.DeepEqual(v, again) {
		t.Fatalf("%+v becomes %+v by %s: %v", v, again, encoded, err)
	}
	return again
}

// A listener that continues another one has its counts, its connections and their limits.
func TestAdopt(t *testing.T) {
	t.Parallel()
	o := Options{ProxyFrom: networks("127.0.0.2/32"), HandshakeTimeout: testTimeout, SourceConnections: 2, Connections: 4}
	from := open(t, o)
	clients := []net.Conn{from.dial("127.0.0.3"), from.dial("127.0.0.3")}
	gone(t, from.dial("127.0.0.3")) // one more than the source may have
	from.serves("main")
	from.serves("main")
	proxied := from.dial("127.0.0.2")
	io.WriteString(proxied, "PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\nearly")
	if early := from.serves("main").Conn.(*proxiedConn).Early(); string(early) != "early" {
		t.Errorf("early bytes are %q", early)
	}
	ending := from.dial()
	from.serves("main").end()
	gone(t, ending)

	to := from.moves(o)
	want := Counts{Accepted: 5, Open: 3, Ended: 1, Refused: map[Reason]uint64{SourceFull: 1}, Sources: 2}
	if got := to.conserved(); !reflect.DeepEqual(got, want) {
		t.Errorf("counts are %+v, want %+v", got, want)
	}
	served := map[string]served{}
	for range 3 {
		s := to.serves("main")
		served[s.RemoteAddr().String()] = s
	}
	for _, conn := range clients {
		io.WriteString(conn, "hello")
		hears(t, served[conn.LocalAddr().String()], "hello")
	}
	s, ok := served["10.0.0.1:1"]
	if !ok {
		t.Fatalf("the announced source is not among %v", served)
	}
	io.WriteString(s, "answer")
	hears(t, proxied, "answer")

	to.Thaw()
	gone(t, to.dial("127.0.0.3"))
	to.refuses(map[Reason]uint64{SourceFull: 2})
	served[clients[0].LocalAddr().String()].end()
	to.dial("127.0.0.3")
	to.serves("main")
	to.dial("127.0.0.4")
	to.serves("main")
	gone(t, to.dial("127.0.0.5"))
	to.refuses(map[Reason]uint64{SourceFull: 2, ListenerFull: 1})

	o.Allow, o.Recheck, o.Claims = networks("127.0.0.0/8"), true, claims(t, "main")
	to.Set(o)
	eventually(t, func() bool { return to.reasons()[hub.NotAllowed] == 1 }, func() string { return "the announced source is not checked again" })
}

// Handshakes and TLS connections do not move: the other listener counts how they end.
func TestStateWithoutWhatDoesNotMove(t *testing.T) {
	h := open(t, Options{ProxyFrom: networks("127.0.0.2/32"), HandshakeTimeout: testTimeout})
	h.dial("127.0.0.2")
	h.dial()
	h.dial()
	h.serves("main")
	h.serves("main")
	eventually(t, func() bool { return h.Counts().Handshaking == 1 }, func() string { return "no handshake is in progress" })
	got, want := h.State(1), State{Accepted: 2, Ended: 1, Refused: map[Reason]uint64{Closing: 1}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("state %+v, want %+v", got, want)
	}
}

// A connection that its peer resets on the way still has its address.
func TestAdoptResetConnection(t *testing.T) {
	from := open(t, Options{})
	client := from.dial()
	address := client.LocalAddr().String()
	s := from.serves("main")
	client.SetLinger(0)
	client.Close()
	eventually(t, func() bool { return state(t, s.Conn.(*net.TCPConn)) == unix.BPF_TCP_CLOSE }, func() string { return "the reset does not arrive" })
	s = from.moves(Options{}).serves("main")
	if got := s.RemoteAddr().String(); got != address {
		t.Errorf("the address is %s, want %s", got, address)
	}
	gone(t, s)
}

// state returns the state of the connection in the kernel.
func state(t testing.TB, conn *net.TCPConn) (state uint8) {
	t.Helper()
	control(t, conn, func(fd int) error {
		info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		state = info.State
		return err
	})
	return state
}

// Making a connection of a descriptor changes keepalive; adopting it puts that right.
func TestAdoptedConnectionHasItsOptions(t *testing.T) {
	from := open(t, Options{})
	from.dial()
	from.serves("main")
	checkOptions(t, from.moves(Options{}).serves("main").Conn.(*net.TCPConn), 30*time.Second)
}

// The kernel does not give up a peer before the tenant does, also after an upgrade.
func TestKernelWaitsLongerThanTheTenant(t *testing.T) {
	o := Options{WriteTimeout: 10 * time.Minute}
	from := open(t, o)
	from.dial()
	s := from.serves("main")
	checkOptions(t, s.Conn.(*net.TCPConn), 10*time.Minute+afterWriteTimeout)
	without := AdoptWithoutListener(received(t, s.Conn), recoded(t, RecordWithoutListener(s.Conn)))
	defer without.Close()
	checkOptions(t, without.(*net.TCPConn), 10*time.Minute+afterWriteTimeout)
}

func checkOptions(t *testing.T, conn *net.TCPConn, userTimeout time.Duration) {
	t.Helper()
	for option, want := range map[int]int{unix.TCP_KEEPIDLE: 15, unix.TCP_KEEPINTVL: 5, unix.TCP_KEEPCNT: 3, unix.TCP_USER_TIMEOUT: int(userTimeout.Milliseconds()), unix.TCP_NODELAY: 1} {
		control(t, conn, func(fd int) error {
			got, err := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, option)
			if got != want {
				t.Errorf("option %d is %d, want %d", option, got, want)
			}
			return err
		})
	}
}

// A connection whose listener was removed keeps its address and its options.
func TestAdoptWithoutListener(t *testing.T) {
	from := open(t, Options{ProxyFrom: networks("127.0.0.2/32"), HandshakeTimeout: testTimeout})
	io.WriteString(from.dial("127.0.0.2"), "PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n")
	proxied := from.serves("main")
	reset := from.dial()
	plain := from.serves("main")
	reset.SetLinger(0)
	reset.Close()
	eventually(t, func() bool { return state(t, plain.Conn.(*net.TCPConn)) == unix.BPF_TCP_CLOSE }, func() string { return "the reset does not arrive" })
	for _, s := range []served{proxied, plain} {
		again := AdoptWithoutListener(received(t, s.Conn), recoded(t, RecordWithoutListener(s.Conn)))
		defer again.Close()
		if got, want := again.RemoteAddr().String(), s.RemoteAddr().String(); got != want {
			t.Errorf("the address is %s, want %s", got, want)
		}
		if s.Conn == proxied.Conn {
			checkOptions(t, again.(*proxiedConn).TCPConn, 30*time.Second)
		}
	}
}

// control calls f with the descriptor of conn.
func control(t testing.TB, conn *net.TCPConn, f func(fd int) error) {
	t.Helper()
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = f(int(fd)) }); err != nil || failed != nil {
		t.Fatal(err, failed)
	}
}
