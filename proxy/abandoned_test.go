package proxy

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"switchyard/proxy/hub"
)

// enterCounted connects a peer over a pipe. The channel gets whether it was abandoned.
func (y bubble) enterCounted() (net.Conn, <-chan bool) {
	near, far := net.Pipe()
	abandoned := make(chan bool, 1)
	if err := y.Serve(far, func(a bool) { abandoned <- a }); err != nil {
		y.Fatal(err)
	}
	return near, abandoned
}

// A connection that is closed at once without having sent anything is a health check, and no
// session: it gets no number and no line, and no tap sees it. Everything else is a session.
func TestHealthChecksAreNoSessions(t *testing.T) {
	for name, c := range map[string]struct {
		what      func(y bubble, conn net.Conn)
		abandoned bool
		reason    string
	}{
		"closes at once": {func(y bubble, conn net.Conn) { conn.Close() }, true, ""},
		"closes soon": {func(y bubble, conn net.Conn) {
			time.Sleep(beginsAfter - time.Millisecond)
			conn.Close()
		}, true, ""},
		"closes later": {func(y bubble, conn net.Conn) {
			time.Sleep(2*beginsAfter + time.Millisecond)
			conn.Close()
		}, false, "peer-closed"},
		"sends a byte": {func(y bubble, conn net.Conn) {
			conn.Write([]byte{0})
			conn.Close()
		}, false, "peer-closed"},
		"sends a PDU": {func(y bubble, conn net.Conn) {
			conn.Write(message(others, 1, ""))
			conn.Close()
		}, false, "peer-closed"},
		"speaks HTTP": {func(y bubble, conn net.Conn) {
			conn.Write([]byte("GET / HTTP/1.0\r\n\r\n"))
		}, false, "http"},
		"is there when the server stops":             {func(y bubble, conn net.Conn) { y.Drain(context.Background(), 0) }, false, "drain"},
		"is there when the server is forced to stop": {func(y bubble, conn net.Conn) { y.Close() }, false, "forced"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, testLimits(), func(y bubble) {
				conn, abandoned := y.enterCounted()
				go io.Copy(io.Discard, conn)
				synctest.Wait()
				c.what(y, conn)
				if got := <-abandoned; got != c.abandoned {
					y.Errorf("abandoned: %t, want %t", got, c.abandoned)
				}
				counts, lines := y.hub.Counts(), y.lines.String()
				if c.abandoned {
					if counts.Joined != 0 || len(counts.Closed) != 0 || counts.Sessions != 0 || lines != "" {
						y.Errorf("%+v\n%s", counts, lines)
					}
					return
				}
				if counts.Joined != 1 || counts.Closed[hub.Reason(c.reason)] != 1 || !strings.Contains(lines, "session=1 ") {
					y.Errorf("%+v\n%s", counts, lines)
				}
			})
		})
	}
}

// A peer that has sent nothing receives from the moment at which it connects, and what it did
// not take is accounted for, although it was not a session.
func TestHealthChecksReceive(t *testing.T) {
	inBubble(t, testLimits(), func(y bubble) {
		check, abandoned := y.enterCounted()
		talker, _ := y.enterCounted()
		m := message(others, 1, "hello")
		talker.Write(m)
		got := make([]byte, len(m))
		if _, err := io.ReadFull(check, got); err != nil || string(got) != string(m) {
			y.Errorf("got %q, %v", got, err)
		}
		talker.Write(m)
		synctest.Wait()
		check.Close()
		if !<-abandoned {
			y.Error("it counts as a session")
		}
		if c := y.hub.Counts(); c.Due != 2 || c.Delivered != 1 || c.Discarded[hub.PeerClosed]+c.Discarded[hub.PeerReset] != 1 || c.Joined != 1 {
			y.Errorf("%+v", c)
		}
		listed := y.Sessions()
		if len(listed) != 1 || listed[0].Number != 1 {
			y.Errorf("got %+v, want the talker alone, as number 1", listed)
		}
		talker.Close()
	})
}
