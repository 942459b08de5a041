package handover

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// testTimeout is how long a test waits for an event. It only costs time when it fails.
const testTimeout = time.Minute

var patient = Limits{Offer: testTimeout, Freeze: testTimeout, Ready: testTimeout}

// pair returns both ends of a stream in this process.
func pair(t testing.TB) (old, new *Conn) {
	t.Helper()
	old, f, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if new, err = Inherit(fd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { old.Close(); new.Close() })
	return old, new
}

// flat fails the test if it ends with other descriptors open than it has begun with.
func flat(t testing.TB) {
	t.Helper()
	old, next := pair(t) // the first connection opens the descriptors of the runtime's poller, too
	old.Close()
	next.Close()
	before := descriptors(t)
	t.Cleanup(func() {
		if after := descriptors(t); after != before {
			t.Errorf("%d descriptors are open in the end, %d in the beginning", after, before)
		}
	})
}

func descriptors(t testing.TB) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// dialled is a TCP connection.
type dialled struct{ client, server *net.TCPConn }

// listen returns a listener on loopback.
func listen(t testing.TB) *net.TCPListener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.(*net.TCPListener)
}

// dial connects to l.
func dial(t testing.TB, l net.Listener) (d dialled) {
	t.Helper()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return dialled{client.(*net.TCPConn), server.(*net.TCPConn)}
}

// An old is a fake of the old process: a tenant with sessions. Session i has i bytes of input,
// and 2i that are due to it.
type old struct {
	listener *net.TCPListener
	sessions []dialled
	presence []byte
	freeze   error // that Freeze returns
	hang     bool  // Freeze waits for its limit
	fails    error // that Send returns at the end
	kill     func() error

	frozen, thawed int
}

func newOld(t testing.TB, sessions int) *old {
	t.Helper()
	o := &old{listener: listen(t), presence: []byte("who holds which users")}
	for range sessions {
		o.sessions = append(o.sessions, dial(t, o.listener))
	}
	return o
}

func (o *old) Freeze(ctx context.Context) error {
	if o.hang {
		<-ctx.Done()
		return context.Cause(ctx)
	}
	o.frozen++
	return o.freeze
}

func (o *old) Thaw() {
	o.thawed++
	if o.kill != nil {
		o.kill()
	}
}

// works fails the test unless all sockets work.
func (o *old) works(t testing.TB) {
	t.Helper()
	for _, d := range o.sessions {
		exchange(t, d.client, d.server)
		exchange(t, d.server, d.client)
	}
	d := dial(t, o.listener)
	exchange(t, d.client, d.server)
	d.client.Close()
	d.server.Close()
}

func (o *old) Send(s *Sender) error {
	s.Listener("127.0.0.1", o.listener)
	s.Process("generation 7")
	s.Tenant(map[string]string{"name": "empty"})
	s.Tenant(map[string]string{"name": "main"})
	s.Presence(o.presence)
	for i, d := range o.sessions {
		input, due := bytesOf(i)
		s.Session(i, d.server, input, due)
	}
	return o.fails
}

// bytesOf returns what session i has.
func bytesOf(i int) (input, due []byte) {
	input, due = make([]byte, i), make([]byte, 2*i)
	for j := range input {
		input[j] = byte(i)
	}
	for j := range due {
		due[j] = byte(i + j)
	}
	return input, due
}

// A taker is a fake of the new process, which collects what it is handed.
type taker struct {
	refuses map[string]error // by the method that returns it

	listener net.Listener
	process  string
	tenants  []string
	presence []byte
	sessions []taken
}

type taken struct {
	number     int
	conn       *net.TCPConn
	input, due []byte
}

func (n *taker) Offer(hello Hello) (Offer, error) {
	return Offer{Version: "for " + hello.Version, Policies: map[string]string{"main": "sum"}, Descriptors: 1024}, n.refuses["Offer"]
}

func (n *taker) Listener(record json.RawMessage, socket net.Listener) error {
	n.listener = socket
	return n.refuses["Listener"]
}

func (n *taker) Process(record json.RawMessage) error {
	n.process = string(record)
	return n.refuses["Process"]
}

func (n *taker) Tenant(record json.RawMessage) error {
	n.tenants = append(n.tenants, string(record))
	return n.refuses["Tenant"]
}

func (n *taker) Presence(chunk []byte) error {
	n.presence = append(n.presence, chunk...)
	return n.refuses["Presence"]
}

func (n *taker) Session(state json.RawMessage, conn *net.TCPConn, input, due []byte) error {
	var number int
	err := json.Unmarshal(state, &number)
	n.sessions = append(n.sessions, taken{number, conn, input, due})
	return errors.Join(err, n.refuses[fmt.Sprintf("Session %d", number)])
}

func (n *taker) Ready() error { return n.refuses["Ready"] }

// close closes what was handed over.
func (n *taker) close() {
	if n.listener != nil {
		n.listener.Close()
	}
	for _, s := range n.sessions {
		s.conn.Close()
	}
}

// run hands o over to n, in one process, and returns both errors.
func run(t testing.TB, o Old, n New) (moved Counts, ofOld, ofNew error) {
	t.Helper()
	from, to := pair(t)
	done := make(chan error)
	go func() { done <- to.TakeOver(t.Context(), n) }()
	defer func() { ofNew = <-done }()
	if _, err := from.Ask(t.Context(), Hello{Version: "1.0"}, patient); err != nil {
		return Counts{}, err, nil
	}
	moved, err := from.HandOver(t.Context(), o, patient)
	return moved, err, nil
}
