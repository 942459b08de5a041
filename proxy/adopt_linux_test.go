package proxy

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/policytest"
	"switchyard/proxy/hub"
	"switchyard/proxy/tenant"
)

// Peers talk to each other without a pause, in pieces that end anywhere in a PDU, while one
// tenant after the other takes over. Everybody receives all that the others say, once, in
// order, byte for byte, and the last tenant has counted everything.
func TestTrafficAcrossHandovers(t *testing.T) {
	t.Parallel()
	own := func(conn *net.TCPConn) net.Conn { return ownReader{conn} }
	paced := patient(testLimits())
	paced.Quota.Peer = tenant.Rates{BytesIn: 300_000}
	full := patient(testLimits())
	full.LogBytes = 1
	for name, l := range map[string]*line{
		"loop":           {limits: patient(testLimits())},
		"own goroutines": {limits: patient(testLimits()), wrap: own},
		"quota":          {limits: paced},
		"full log":       {limits: full},
		"slow policy":    {limits: patient(testLimits()), policy: func() *policy.Active { return policytest.Active(inspected()) }},
	} {
		t.Run(name, func(t *testing.T) {
			l.t = t
			each := 400
			if l.policy != nil {
				each = 40
			}
			talkAcrossHandovers(t, startLine(l), each, 12)
		})
	}
}

func talkAcrossHandovers(t *testing.T, l *line, each, handovers int) {
	const peers = 6
	var conns []client
	for range peers {
		conns = append(conns, dial(t, l.addr))
	}
	var talking, listening sync.WaitGroup
	var received [peers][]byte
	for i, c := range conns {
		rnd := rand.New(rand.NewPCG(1, uint64(i)))
		talking.Go(func() { sayInPieces(c, rnd, said(i, each)) })
		listening.Go(func() { received[i] = c.readFor(len(said(0, each)) * (peers - 1)) })
	}
	for i := range handovers {
		handled := uint64(peers * each * i / handovers)
		eventually(t, "a part of the traffic", func() bool { return l.now.Hub().Counts().Received >= handled })
		l.handOver()
	}
	talking.Wait()
	listening.Wait()
	for i := range conns {
		if err := heardAll(received[i], i, peers, each); err != nil {
			t.Fatalf("peer %d: %v", i, err)
		}
	}
	c := l.now.Hub().Counts()
	copies := uint64(peers * each * (peers - 1))
	if c.Received != uint64(peers*(each+1)) || c.Due < copies+peers || c.Joined != peers || c.Sessions != peers || len(c.Discarded)+len(c.Closed) > 0 {
		t.Errorf("%+v", c)
	}
	eventually(t, "everything delivered", func() bool { c := l.now.Hub().Counts(); return c.Delivered == c.Due })
}

// said returns what a peer says: PDUs of several sizes with its number and theirs.
func said(peer, n int) (all []byte) {
	for i := range n {
		size := 4 + i*i%211
		if i%97 == 0 {
			size = 20_000
		}
		text := binary.BigEndian.AppendUint16([]byte{byte(peer)}, uint16(i))
		for len(text) < size {
			text = append(text, byte(len(text)*(i+peer)))
		}
		all = append(all, message(others, uint16(i), string(text))...)
	}
	return all
}

func sayInPieces(c client, rnd *rand.Rand, all []byte) {
	for len(all) > 0 {
		n := min(len(all), 1+rnd.IntN(1+rnd.IntN(3000)))
		if _, err := c.Write(all[:n]); err != nil {
			c.t.Errorf("write: %v", err)
			return
		}
		all = all[n:]
		if rnd.IntN(30) == 0 {
			time.Sleep(time.Duration(rnd.IntN(1000)) * time.Microsecond)
		}
	}
}

// readFor reads n bytes, besides heartbeats.
func (c client) readFor(n int) (all []byte) {
	c.SetReadDeadline(time.Now().Add(generous))
	r := pdu.NewReader(c, 1<<20)
	for len(all) < n {
		batch, err := r.ReadBatch()
		if err != nil {
			c.t.Errorf("after %d bytes of %d: %v", len(all), n, err)
			return all
		}
		for ; len(batch) > 0; batch = batch[pdu.ParseHeader(batch).Length:] {
			if h := pdu.ParseHeader(batch); h.Command != pdu.CID_OTHER_HEARTBEAT {
				all = append(all, batch[:h.Length]...)
			}
		}
	}
	return all
}

// heardAll checks that a peer has received all that the others have said.
func heardAll(received []byte, peer, peers, each int) error {
	of := make(map[byte][]byte)
	for len(received) > 0 {
		n := pdu.ParseHeader(received).Length
		from := received[pdu.HeaderLen]
		of[from] = append(of[from], received[:n]...)
		received = received[n:]
	}
	for from := range peers {
		if want := said(from, each); from != peer && !bytes.Equal(of[byte(from)], want) {
			return fmt.Errorf("got %d bytes of peer %d, which are not the %d that it said", len(of[byte(from)]), from, len(want))
		}
	}
	if len(of) != peers-1 {
		return fmt.Errorf("heard %d peers", len(of))
	}
	return nil
}

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

// The rest of a PDU that is half written moves, however long that is.
func TestLongPDUHalfWrittenMoves(t *testing.T) {
	t.Parallel()
	limits := patient(testLimits())
	limits.MaxPDU = 16 << 20
	l := newLine(t, limits)
	a, b := dial(t, l.addr), dial(t, l.addr)
	long, last := message(others, 1, string(make([]byte, 15<<20))), message(others, 2, "the last")
	go a.say(long)
	eventually(t, "a part is written", func() bool {
		c := l.now.Hub().Counts()
		return c.BytesOut > 0 && c.Pending == 1
	})
	if moving := l.handOver(); len(moving[0].Due)+len(moving[1].Due) <= mostDue {
		t.Error("there is not more due than may be due of whole PDUs")
	}
	a.say(last)
	b.expect(long, last)
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
