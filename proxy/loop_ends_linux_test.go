package proxy

import (
	"bytes"
	"log/slog"
	"net"
	"testing"

	"golang.org/x/sys/unix"

	"switchyard/pdu"
	"switchyard/policy"
)

// A heldRules is a policy that answers about commands that nobody knows only once it is
// released: until then, whoever said one is held where it hands over.
type heldRules struct {
	rules
	asked, answer chan struct{}
}

func (r heldRules) Classify(s pdu.ServiceID, c pdu.CommandID) (policy.Verdict, error) {
	if s == 0x7777 {
		close(r.asked)
		<-r.answer
	}
	return r.rules.Classify(s, c)
}

// holdLoop returns a tenant whose loop hands something over and does not come back before
// release is called.
func holdLoop(t *testing.T) (served *Tenant, join func() (*session, client), release func()) {
	t.Helper()
	held := heldRules{testRules(), make(chan struct{}), make(chan struct{})}
	judge := policy.NewActive(policy.NewGeneration("test", "", held))
	served = NewTenant("default", judge, testLimits(), slog.New(slog.DiscardHandler))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		l.Close()
		served.Close()
		judge.Close()
	})
	join = func() (*session, client) {
		t.Helper()
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		far, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if err := served.Serve(far, func() {}); err != nil {
			t.Fatal(err)
		}
		sessions := *served.sessions.Load()
		return sessions[len(sessions)-1], client{t, conn.(*net.TCPConn)}
	}
	_, holder := join()
	holder.say(pdu.Append(nil, 0x7777, 0x7777, 0, nil))
	<-held.asked
	return served, join, func() { close(held.answer) }
}

// A session that somebody closes whose connection is broken already ends like any other.
func TestCloseOfABrokenConnectionInTheLoop(t *testing.T) {
	served, join, release := holdLoop(t)
	s, peer := join()
	peer.SetLinger(0)
	peer.Close()
	eventually(t, "the reset has arrived", func() (broken bool) {
		raw, _ := s.conn.(*net.TCPConn).SyscallConn()
		raw.Control(func(fd uintptr) {
			info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
			broken = err == nil && info.State == unix.BPF_TCP_CLOSE
		})
		return broken
	})
	s.Close("test")
	release()
	eventually(t, "the session ends", func() bool { return inLoop(served) == 1 && len(*served.sessions.Load()) == 1 })
}

// A session that is closed while it leaves the loop ends at once: what its peer said and
// goes on saying is not read, or one that says more and more would never end.
func TestCloseOnTheWayOutOfTheLoop(t *testing.T) {
	served, join, release := holdLoop(t)
	s, peer := join()
	said := bytes.Repeat(message(others, 1, ""), 1000)
	peer.say(said)
	eventually(t, "all has arrived", func() (arrived bool) {
		raw, _ := s.conn.(*net.TCPConn).SyscallConn()
		raw.Control(func(fd uintptr) {
			n, err := unix.IoctlGetInt(int(fd), unix.TIOCINQ)
			arrived = err == nil && n == len(said)
		})
		return arrived
	})
	s.Close("test")
	served.loop.release(s, nil) // as the loop does, if it had looked for a reason just before
	eventually(t, "the session ends", func() bool { return len(*served.sessions.Load()) == 1 })
	if n := served.hub.Counts().Received; n > 0 {
		t.Errorf("%d PDUs were handled of a session that is closed", n)
	}
	release()
}
