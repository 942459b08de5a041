package proxy

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/policy/policytest"
	"switchyard/proxy/logtest"
)

const (
	others   = pdu.CID_MSG_DATA
	everyone = pdu.CID_BUDDY_LIST_SIGN_INFO_CHANGED_NOTIFY
	request  = pdu.CID_BUDDY_LIST_USERS_STATUS_REQUEST
	goAway   = pdu.CID_MSG_READ_ACK
)

func testRules() policytest.Rules {
	return policytest.Rules{
		others:                         abi.BroadcastExceptSender,
		everyone:                       abi.BroadcastAll,
		pdu.CID_OTHER_HEARTBEAT:        abi.Consume,
		pdu.CID_OTHER_ONLINE_USER_INFO: abi.Handle | abi.OnlineUserInfo<<32,
		request:                        abi.Handle | abi.UsersStatusRequest<<32,
		goAway:                         abi.Close,
	}
}

func testLimits() Limits {
	return Limits{Heartbeat: 5 * time.Second, Timeout: 30 * time.Second, WriteTimeout: 20 * time.Second,
		MaxPDU: 1 << 20, LagHard: 64 << 20, LagSoft: 8 << 20, LagSoftTime: 10 * time.Second}
}

// patient returns limits for a test with sockets: on a machine that stands still or is busy for long, none
// of their times ends a session, or sends a heartbeat between the PDUs that the test expects.
func patient(l Limits) Limits {
	l.Heartbeat, l.Timeout, l.WriteTimeout, l.LagSoftTime = time.Hour, time.Hour, time.Hour, time.Hour
	return l
}

// generous is how long tests wait for what takes milliseconds on an idle machine.
const generous = time.Minute

// serve starts a tenant with a listener on loopback and ends it with the test.
func serve(t testing.TB, l Limits) (*Tenant, string, *logtest.Lines) {
	t.Helper()
	return serveBy(t, l, policytest.Active(testRules()))
}

// serveBy is serve with a policy.
func serveBy(t testing.TB, l Limits, active *policy.Active) (*Tenant, string, *logtest.Lines) {
	t.Helper()
	lines := new(logtest.Lines)
	tenant := NewTenant("default", active, l, slog.New(slog.NewTextHandler(lines, nil)))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var accepting sync.WaitGroup
	accepting.Go(func() { acceptLoop(tenant, listener) })
	t.Cleanup(func() {
		listener.Close()
		accepting.Wait()
		tenant.Close()
		active.Close()
	})
	return tenant, listener.Addr().String(), lines
}

// acceptLoop hands every connection to the tenant, until the listener is closed.
func acceptLoop(tenant *Tenant, l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		if tenant.Serve(conn, func(bool) {}) != nil {
			conn.Close()
		}
	}
}

// loopback returns both ends of a TCP connection. near is closed with the test.
func loopback(t testing.TB) (near, far *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dialed, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dialed.Close() })
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return dialed.(*net.TCPConn), accepted.(*net.TCPConn)
}

// join makes conn a peer of the tenant.
func join(tenant *Tenant, conn net.Conn) {
	if err := tenant.Serve(conn, func(bool) {}); err != nil {
		panic(err)
	}
}

// A client is the remote end of a peer's connection.
type client struct {
	t testing.TB
	*net.TCPConn
}

// dial connects and waits until the hub has given the connection its seat.
func dial(t testing.TB, addr string) client {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	c := client{t, conn.(*net.TCPConn)}
	c.settle()
	return c
}

// settle returns when all that the client sent before has been handled: it asks a
// question and waits for the answer, which must be the next thing due.
func (c client) settle() {
	c.t.Helper()
	c.say(pdu.Append(nil, pdu.SID_BUDDY_LIST, request, 1, []byte("\x08\x01")))
	c.expect(pdu.Append(nil, pdu.SID_BUDDY_LIST, pdu.CID_BUDDY_LIST_USERS_STATUS_RESPONSE, 1, []byte("\x08\x01\xa2\x01\x00")))
}

func (c client) say(pdus ...[]byte) {
	c.t.Helper()
	c.SetWriteDeadline(time.Now().Add(generous))
	if _, err := c.Write(joined(pdus)); err != nil {
		c.t.Fatalf("say: %v", err)
	}
}

// joined returns the PDUs as one slice, and a single one, which may have megabytes, without a copy.
func joined(pdus [][]byte) []byte {
	if len(pdus) == 1 {
		return pdus[0]
	}
	return bytes.Join(pdus, nil)
}

// expect reads as many bytes as want has, and compares them.
func (c client) expect(want ...[]byte) {
	c.t.Helper()
	all := joined(want)
	got := make([]byte, len(all))
	c.SetReadDeadline(time.Now().Add(generous))
	if n, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, all) {
		at := 0
		for at < n && got[at] == all[at] {
			at++
		}
		c.t.Fatalf("got %d bytes of %d (%v), the first that differ are %.40x, want %.40x", n, len(all), err, got[at:n], all[at:])
	}
}

// expectEnd expects the end of the stream or a reset, and nothing before it.
func (c client) expectEnd() {
	c.t.Helper()
	c.SetReadDeadline(time.Now().Add(generous))
	if got, err := io.ReadAll(c); err != nil && !errors.Is(err, syscall.ECONNRESET) || len(got) > 0 {
		c.t.Fatalf("got %d bytes, %.40x (%v), want the end of the stream", len(got), got, err)
	}
}

// eventually polls until ok.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(generous); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// expectLine waits until the log contains want.
func expectLine(t testing.TB, lines *logtest.Lines, want string) {
	t.Helper()
	eventually(t, "a line in the log with "+want, func() bool { return strings.Contains(lines.String(), want) })
}

func message(c pdu.CommandID, seq uint16, text string) []byte {
	return pdu.Append(nil, pdu.SID_MSG, c, seq, []byte(text))
}
