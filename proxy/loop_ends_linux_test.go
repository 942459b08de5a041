package proxy

import (
	"bytes"
	"log/slog"
	"net"
	"testing"

	"golang.org/x/sys/unix"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/policytest"
	"switchyard/proxy/hub"
)

// A heldRules is a policy that answers about unknown commands only once it is released.
// Until then the reader of a peer that sent one is blocked in Handle.
type heldRules struct {
	policytest.Rules
	asked, answer chan struct{}
}

func (r heldRules) Classify(s pdu.ServiceID, c pdu.CommandID) (policy.Verdict, error) {
	if s == 0x7777 {
		close(r.asked)
		<-r.answer
	}
	return r.Rules.Classify(s, c)
}

// holdLoop returns a tenant whose loop is blocked in Handle until release is called.
func holdLoop(t *testing.T) (served *Tenant, join func() (*session, client), release func()) {
	t.Helper()
	held := heldRules{testRules(), make(chan struct{}), make(chan struct{})}
	active := policytest.Active(held)
	served = NewTenant("default", active, patient(testLimits()), slog.New(slog.DiscardHandler))
	t.Cleanup(func() {
		served.Close()
		active.Close()
	})
	join = func() (*session, client) {
		t.Helper()
		near, far := loopback(t)
		if err := served.Serve(far, func(bool) {}); err != nil {
			t.Fatal(err)
		}
		sessions := *served.sessions.Load()
		return sessions[len(sessions)-1], client{t, near}
	}
	_, holder := join()
	holder.say(pdu.Append(nil, 0x7777, 0x7777, 0, nil))
	<-held.asked
	return served, join, func() { close(held.answer) }
}

// Close ends a session whose connection is broken already like any other.
func TestCloseOfABrokenConnectionInTheLoop(t *testing.T) {
	t.Parallel()
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

// A session that is closed while it leaves the loop ends at once, without reading on:
// otherwise a peer that keeps sending would keep it open.
func TestCloseWhileLeavingTheLoop(t *testing.T) {
	t.Parallel()
	served, join, release := holdLoop(t)
	s, peer := join()
	sent := bytes.Repeat(message(others, 1, ""), 1000)
	peer.say(sent)
	eventually(t, "all has arrived", func() (arrived bool) {
		raw, _ := s.conn.(*net.TCPConn).SyscallConn()
		raw.Control(func(fd uintptr) {
			n, err := unix.IoctlGetInt(int(fd), unix.TIOCINQ)
			arrived = err == nil && n == len(sent)
		})
		return arrived
	})
	s.Close("test")
	served.loop.detach(s, nil) // as the loop does, if it had looked for a reason just before
	eventually(t, "the session ends", func() bool { return len(*served.sessions.Load()) == 1 })
	if n := served.hub.Counts().Received; n > 0 {
		t.Errorf("%d PDUs were handled of a session that is closed", n)
	}
	release()
}

// A session of the loop that is to stop ends, after what had arrived, and the loop continues for
// the others.
func TestOneSessionOfTheLoopStops(t *testing.T) {
	served, addr, _ := serve(t, patient(testLimits()))
	first, second, third := dial(t, addr), dial(t, addr), dial(t, addr)
	first.say(message(others, 1, "its last"))
	(*served.sessions.Load())[0].stop()
	second.expect(message(others, 1, "its last"))
	third.expect(message(others, 1, "its last"))
	first.expectEnd()
	second.say(message(others, 2, "without it"))
	third.expect(message(others, 2, "without it"))
	eventually(t, "it is drained", func() bool { return served.Hub().Counts().Closed[hub.Drained] == 1 })
}
