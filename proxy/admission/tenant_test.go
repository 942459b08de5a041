package admission

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/proxy"
	"switchyard/proxy/logtest"
)

// toOthers is a policy that broadcasts everything, except to the sender.
type toOthers struct{}

func (toOthers) Classify(pdu.ServiceID, pdu.CommandID) (policy.Verdict, error) {
	return abi.BroadcastExceptSender, nil
}
func (toOthers) Inspect(v policy.Verdict, _ policy.Question) (policy.Verdict, error) { return v, nil }
func (toOthers) Close() error                                                        { return nil }

// realTenant returns a production tenant, a function that closes it, and its log.
func realTenant(l proxy.Limits) (*proxy.Tenant, func(), *logtest.Lines) {
	lines := new(logtest.Lines)
	active := policy.NewActive(policy.NewGeneration("test", "", toOthers{}))
	l.MaxPDU, l.LagHard = 1<<20, 64<<20
	real := proxy.NewTenant("real", active, l, slog.New(slog.NewTextHandler(lines, nil)))
	return real, func() {
		real.Close()
		active.Close()
	}, lines
}

func message(text string) string {
	return string(pdu.Append(nil, pdu.SID_MSG, pdu.CID_MSG_DATA, 1, []byte(text)))
}

// pipeTLS lets the tenant serve TLS over a pipe, which works in a synctest bubble. It
// returns the client's end, and that of the pipe.
func pipeTLS(t *testing.T, real *proxy.Tenant, config *tls.Config) (*tls.Conn, *dribble) {
	t.Helper()
	near, far := net.Pipe()
	slow := &dribble{Conn: far}
	client := tls.Client(slow, &tls.Config{InsecureSkipVerify: true})
	shaken := make(chan error)
	go func() { shaken <- client.Handshake() }()
	below := &progressConn{Conn: near}
	server := tls.Server(below, config)
	if err := errors.Join(server.Handshake(), <-shaken); err != nil {
		t.Fatal(err)
	}
	if err := real.Serve(&pipeTLSConn{server, below}, func(bool) {}); err != nil {
		t.Fatal(err)
	}
	return client, slow
}

// A pipeTLSConn is a tlsConn over a pipe.
type pipeTLSConn struct {
	*tls.Conn
	below *progressConn
}

func (p *pipeTLSConn) SetWriteTimeout(d time.Duration) { p.below.SetWriteTimeout(d) }
func (p *pipeTLSConn) Close() error                    { return p.below.Close() }

// A peer over TLS that takes bytes slowly stays connected. One that takes nothing is
// closed for that reason.
func TestSlowPeerOfATenant(t *testing.T) {
	config := serverTLS(t)
	config.SessionTicketsDisabled = true // the pipe would block: the client does not read them
	synctest.Test(t, func(t *testing.T) {
		real, stop, lines := realTenant(proxy.Limits{WriteTimeout: timeout})
		defer stop()
		client, slow := pipeTLS(t, real, config)
		talker, far := net.Pipe()
		if err := real.Serve(far, func(bool) {}); err != nil {
			t.Fatal(err)
		}
		slow.pause = timeout * 3 / 4
		m := message(strings.Repeat("x", 100_000))
		start := time.Now()
		io.WriteString(talker, m)
		got := make([]byte, len(m))
		if n, err := io.ReadFull(client, got); err != nil || !bytes.Equal(got, []byte(m)) {
			t.Fatalf("read %d bytes of %d in %v: %v", n, len(m), time.Since(start), err)
		}
		if took := time.Since(start); took < 10*timeout {
			t.Fatalf("took %v, which was not slow", took)
		}
		start = time.Now()
		io.WriteString(talker, m)
		for real.Hub().Counts().Sessions == 2 && time.Since(start) < 10*timeout {
			time.Sleep(time.Second)
		}
		synctest.Wait()
		if took := time.Since(start); took < timeout || took > 2*timeout || !lines.Has("session closed", "reason=write-timeout") {
			t.Errorf("after %v:\n%s", took, lines)
		}
		talker.Close()
		client.NetConn().Close()
	})
}

// A load balancer that connects and closes, or resets, is counted as abandoned and not logged,
// also where the tenant serves it at once.
func TestChecksOfPlainTCP(t *testing.T) {
	real, stop, lines := realTenant(proxy.Limits{})
	defer stop()
	h := openFor(t, Options{ProxyFrom: networks("127.0.0.2/32"), HandshakeTimeout: testTimeout}, func(string) Server { return real })
	h.dial().Close()
	reset := h.dial()
	reset.SetLinger(0)
	reset.Close()
	behind := h.dial("127.0.0.2") // announces a client that sends nothing
	io.WriteString(behind, "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n")
	behind.Close()
	h.refuses(map[Reason]uint64{Abandoned: 3})
	if c := real.Hub().Counts(); c.Joined != 0 || lines.String() != "" || h.lines.String() != "" {
		t.Errorf("%d sessions, and the log has %s%s", c.Joined, lines, h.lines)
	}
	if c := h.conserved(); c.Ended != 0 || c.Open != 0 {
		t.Errorf("%+v", c)
	}
}
