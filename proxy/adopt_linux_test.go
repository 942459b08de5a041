package proxy

import (
	"bytes"
	"context"
	"net"
	"runtime"
	"slices"
	"testing"
	"time"

	"switchyard/pdu"
	"switchyard/proxy/hub"
	"switchyard/proxy/tenant"
)

// A PDU that was read up to any byte is handled when the rest arrives.
func TestHalfReadPDUMoves(t *testing.T) {
	l := newLine(t, patient(testLimits()))
	a, b := dial(t, l.addr), dial(t, l.addr)
	p := message(others, 7, "0123456789")
	for cut := range len(p) + 1 {
		a.say(p, p[:cut])
		b.expect(p)
		l.handOver()
		a.say(p[cut:])
		b.expect(p)
	}
	if s := l.now.Sessions(); len(s) != 2 || s[0].Number+s[1].Number != 3 || s[0].PDUsIn+s[1].PDUsIn != uint64(2*(len(p)+1)+2) {
		t.Errorf("sessions: %+v", s)
	}
}

// What is due to a peer that does not read moves with it, from the byte on at which its
// socket was full.
func TestHalfWrittenPDUMoves(t *testing.T) {
	l := newLine(t, patient(testLimits()))
	a, b := dial(t, l.addr), dial(t, l.addr)
	var all [][]byte
	pending := func() uint64 { return l.now.Hub().Counts().Pending }
	for i := 0; pending() < 5; i++ {
		p := message(others, uint16(i), string(bytes.Repeat([]byte{byte(i)}, 64<<10)))
		a.say(p)
		a.settle()
		all = append(all, p)
	}
	if moving := l.handOver(); moving[0].State.Seat.Due+moving[1].State.Seat.Due == 0 {
		t.Error("nothing that was due has moved")
	}
	l.handOver()
	last := message(others, 0, "the last")
	a.say(last)
	b.expect(append(all, last)...)
}

// Users, roles and limits are those of before.
func TestPresenceMoves(t *testing.T) {
	l := newLine(t, patient(testLimits()))
	a, b := dial(t, l.addr), dial(t, l.addr)
	a.say(pdu.Append(nil, pdu.SID_OTHER, pdu.CID_OTHER_ONLINE_USER_INFO, 0, []byte("\x0a\x06\x08\x07\x10\x01\x18\x01")))
	a.settle()
	l.now.MarkOutdated()
	l.handOver()
	if sessions, _ := l.now.Outdated(); sessions != 2 {
		t.Errorf("%d sessions are outdated, want 2", sessions)
	}
	ask := pdu.Append(nil, pdu.SID_BUDDY_LIST, request, 9, []byte("\x08\x01\x10\x07"))
	answer := func(status byte) []byte {
		return pdu.Append(nil, pdu.SID_BUDDY_LIST, pdu.CID_BUDDY_LIST_USERS_STATUS_RESPONSE, 9, append([]byte("\x08\x01\x12\x04\x08\x07\x10"), status, 0xa2, 1, 0))
	}
	b.say(ask)
	b.expect(answer(1))
	a.Close()
	eventually(t, "user 7 gone", func() bool { return l.now.Hub().Users() == 0 })
	b.say(ask)
	b.expect(answer(2))
	if c := l.now.Hub().Counts(); c.Closed[hub.PeerClosed]+c.Closed[hub.PeerReset] != 1 {
		t.Errorf("closed: %v", c.Closed)
	}
}

// A connection whose peer has sent nothing is not a session after a handover either, until its
// peer sends something.
func TestConnectionWithoutSessionMoves(t *testing.T) {
	l := newLine(t, patient(testLimits()))
	conn, err := net.Dial("tcp", l.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	eventually(t, "a seat", func() bool { return l.now.Hub().Counts().Sessions == 1 })
	l.handOver()
	c := client{t, conn.(*net.TCPConn)}
	c.settle()
	if n := l.now.Hub().Counts().Joined; n != 1 {
		t.Errorf("joined: %d", n)
	}
}

func TestAdoptRefuses(t *testing.T) {
	l := newLine(t, patient(testLimits()))
	_, far := loopback(t)
	defer far.Close()
	adopt := func(conn net.Conn, st SessionState) error {
		return l.now.Adopt(conn, st, nil, nil, func(bool) { t.Error("ended was called") })
	}
	if err := adopt(far, SessionState{}); err != errNotFrozen {
		t.Errorf("got %v, want %v", err, errNotFrozen)
	}
	l.now = l.newTenant()
	l.now.Freeze(context.Background())
	if err := l.now.Hub().Import(l.newTenant().Hub().Export(nil), func() ([]byte, error) { return make([]byte, 12), nil }); err != nil {
		t.Fatal(err)
	}
	pipe, _ := net.Pipe()
	for want, err := range map[string]error{
		errNotPlain.Error():                  adopt(pipe, SessionState{}),
		errForeign.Error():                   adopt(far, SessionState{Sniffed: []byte("GET / HTTP/1.1\r\n")}),
		"the last session number given is 0": adopt(far, SessionState{Seat: hub.SeatState{Session: 5}}),
	} {
		if err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if n := l.now.Hub().Counts().Sessions; n != 0 || len(*l.now.sessions.Load()) != 0 {
		t.Errorf("%d seats", n)
	}
}

// Times continue across a handover: they are moved as ages.
func TestTimesMove(t *testing.T) {
	near, far := loopback(t)
	defer near.Close()
	l := newLine(t, patient(testLimits()))
	join(l.now, far)
	near.Write(message(others, 1, "0123456789")[:20])
	s := (*l.now.sessions.Load())[0]
	eventually(t, "a part", func() bool { return s.input.unfinished.arrived.Load() == 20 })
	l.now.Freeze(context.Background())
	s.opened -= int64(time.Hour)
	s.input.lastRead.Add(-int64(time.Minute))
	s.output.lastWrite.Add(-int64(2 * time.Minute))
	s.input.unfinished.since.Add(-int64(3 * time.Minute))
	before := clock()
	l.now.Thaw()
	l.handOver()
	again := (*l.now.sessions.Load())[0]
	for name, pair := range map[string][2]int64{
		"opened":     {s.opened, again.opened},
		"last read":  {s.input.lastRead.Load(), again.input.lastRead.Load()},
		"last write": {s.output.lastWrite.Load(), again.output.lastWrite.Load()},
		"unfinished": {s.input.unfinished.since.Load(), again.input.unfinished.since.Load()},
	} {
		if later := pair[1] - pair[0]; later < 0 || later > clock()-before {
			t.Errorf("%s is %v later", name, time.Duration(later))
		}
	}
	if slices.Max(again.input.sniffer.bytes[:]) == 0 || !again.input.sniffer.done() || again.input.gotPDU.Load() {
		t.Errorf("sniffed %x, got a PDU: %v", again.input.sniffer.bytes, again.input.gotPDU.Load())
	}
}

// Neither descriptors nor goroutines are left behind, however often a tenant hands over.
func TestHandoversLeaveNothingBehind(t *testing.T) { leaveNothingBehind(t, 10) }

func leaveNothingBehind(t *testing.T, handovers int) {
	l := newLine(t, patient(testLimits()))
	var conns []client
	for range 20 {
		conns = append(conns, dial(t, l.addr))
	}
	talk := func() {
		p := message(everyone, 1, "to all")
		conns[0].say(p)
		for _, c := range conns {
			c.expect(p)
		}
		l.handOver()
	}
	talk()
	talk()
	eventually(t, "all sessions in the loop", func() bool {
		l.now.loop.mu.Lock()
		defer l.now.loop.mu.Unlock()
		return len(l.now.loop.members) == len(conns)
	})
	files, goroutines := descriptors(t), runtime.NumGoroutine()
	for range handovers {
		talk()
	}
	eventually(t, "as many descriptors and goroutines as before", func() bool {
		return descriptors(t) <= files && runtime.NumGoroutine() <= goroutines
	})
}

// A session moves although nothing can be written to its peer any more: what the peer said before
// it reset the connection arrives, and the copy that could not be written counts as discarded.
func TestPeerThatHasResetMoves(t *testing.T) {
	limited := patient(testLimits())
	limited.Quota = tenant.Quota{Peer: tenant.Rates{PDUsIn: 3}}
	l := startLine(&line{t: t, limits: limited, wrap: func(conn *net.TCPConn) net.Conn { return namedConn{conn} }})
	a, b := dial(t, l.addr), dial(t, l.addr)
	all := bytes.Repeat(message(others, 1, "the last words"), 20)
	a.say(all)
	s := (*l.now.sessions.Load())[0]
	eventually(t, "the reader pauses", s.input.paused.Load)
	a.SetLinger(0)
	a.Close()
	b.say(message(others, 1, "for nobody"))
	eventually(t, "a write has failed", s.output.broken.Load)
	l.limits = patient(testLimits())
	if moving := l.handOver(); len(moving) != 2 {
		t.Fatalf("%d sessions move", len(moving))
	}
	b.expect(all)
	eventually(t, "the session has ended", func() bool { return len(l.now.Hub().Counts().Closed) > 0 })
	c := l.now.Hub().Counts()
	why := hub.PeerReset
	if c.Closed[why] == 0 {
		why = hub.PeerClosed // the failed write took the socket's error away
	}
	if c.Closed[why] != 1 || c.Discarded[why] != 1 || c.Due != c.Delivered+c.Pending+1 {
		t.Errorf("%+v", c)
	}
}

// A namedConn knows its peer's address, as one that proxy/admission adopts: the socket of a peer
// that has reset does not.
type namedConn struct{ *net.TCPConn }

func (namedConn) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }
