//go:build full || race

package cluster

import (
	"bytes"
	"encoding/binary"
	"encoding/gob"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"switchyard/pdu"
	"switchyard/pdu/pb"
	"switchyard/pdu/pdutest"
	"switchyard/policy/policytest"
	"switchyard/proxy/hub"
	"switchyard/proxy/hub/hubtest"
	"switchyard/proxy/logtest"
	"switchyard/proxy/order"
	"switchyard/proxy/order/ordertest"
)

// A mover is a hub that continues in another process now and then. It has no tenant, whose connections
// would have to be sockets.
type mover struct {
	t      *testing.T
	bus    *ordertest.Bus
	number uint16
	lines  *logtest.Lines

	links  bool          // see SetStandbyLinks
	turn   chan struct{} // holds one while the hub changes or is frozen
	hub    *hub.Hub
	member *Member
	peers  []*moved
	ended  []*moved // that did not move
}

// A moved is a peer of a mover.
type moved struct {
	*hubtest.Peer
	stands bool     // it has not declared itself master
	aside  []uint32 // users that it has reported before
	said   uint32   // messages
	asked  int
	pdus   uint64
}

// process gives the hub a new process, which has not begun.
func (m *mover) process() {
	active := policytest.Active(rulesOfWorld)
	turn, h := make(chan struct{}, 1), hub.New(active, 1<<30)
	s := Settings{Number: m.number, Name: "host", Window: 2 << 10, Queue: 32 << 20, Held: 64 << 20, MemberTimeout: 5 * time.Second,
		Hub: h, Room: func() {}, Entered: func() {}, Policies: func() []uint64 { return nil },
		Fail: func(err error) { m.t.Error(err) }, Log: slog.New(slog.NewTextHandler(m.lines, nil)),
		Ordered: func(f func()) {
			turn <- struct{}{}
			defer func() { <-turn }()
			f()
		}}
	m.turn, m.hub, m.member = turn, h, New(connect(m.bus, m.number), s)
	h.SetOrder(m.member, m.number)
	if m.links {
		h.SetStandbyLinks()
	}
}

func newMover(t *testing.T, bus *ordertest.Bus, number uint16, links bool) *mover {
	m := &mover{t: t, bus: bus, number: number, links: links, lines: new(logtest.Lines)}
	m.process()
	m.member.Start()
	time.Sleep(3 * time.Second)
	return m
}

// do calls f while the hub stands still.
func (m *mover) do(f func()) {
	m.turn <- struct{}{}
	f()
	<-m.turn
}

func (m *mover) join() (p *moved) {
	m.do(func() { p = &moved{Peer: hubtest.Join(m.hub), stands: m.links} })
	m.peers = append(m.peers, p)
	return p
}

// activate has the peer declare itself master.
func (m *mover) activate(p *moved) {
	m.do(func() {
		p.stands = false
		p.pdus++
		p.Send(m.t, pdutest.RoleSet(true))
	})
}

// say has the peer say PDUs, the last of which is a numbered message. A peer that stands by says others
// first, and may declare itself master then.
func (m *mover) say(p *moved, length int, pdus ...[]byte) {
	if p.stands {
		m.do(func() {
			user := uint32(10_000 + 100*(p.Session()%1000) + uint64(length)%20)
			p.aside = append(p.aside, user)
			p.pdus++
			p.Send(m.t, online(user))
		})
		if length%3 > 0 {
			return
		}
		m.activate(p)
	}
	m.do(func() {
		p.said++
		p.pdus += uint64(len(pdus)) + 1
		p.Send(m.t, append(pdus, numbered(p.Session(), p.said, length))...)
	})
}

// numbered is a message that says who has said it, and the how manieth.
func numbered(session uint64, number uint32, length int) []byte {
	b := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(nil, session), number)
	return message(everyone, string(append(b, make([]byte, length)...)))
}

// move exchanges the process of the hub, or tries to, for which it is frozen for a while. Peers for which stays returns true do not move.
func (m *mover) move(fails bool, frozen time.Duration, stays func() bool) {
	old, oldHub := m.member, m.hub
	m.turn <- struct{}{}
	var before struct {
		Checkpoint Checkpoint
		Underway   hub.Underway
	}
	var err error
	if before.Checkpoint, err = old.Export(); err != nil {
		m.t.Fatal(err)
	}
	if before.Underway, err = oldHub.ExportUnderway(); err != nil {
		m.t.Fatal(err)
	}
	moves := make(map[*hub.Seat]bool)
	for _, p := range m.peers {
		moves[p.Seat] = !stays()
	}
	state := oldHub.Export(func(s *hub.Seat) bool { return moves[s] })
	var chunks [][]byte
	oldHub.ExportPresence(nil, func(chunk []byte) error {
		chunks = append(chunks, bytes.Clone(chunk))
		return nil
	})
	after := before
	var encoded bytes.Buffer
	if err := gob.NewEncoder(&encoded).Encode(before); err != nil {
		m.t.Fatal(err)
	}
	after.Checkpoint, after.Underway = Checkpoint{}, hub.Underway{}
	if err := gob.NewDecoder(&encoded).Decode(&after); err != nil {
		m.t.Fatal(err)
	}
	was := *m
	seats := m.peers
	m.peers = nil
	m.process()
	if err := m.member.Continue(after.Checkpoint); err != nil {
		m.t.Fatal(err)
	}
	if err := m.hub.Import(state, order.Chunks(chunks, io.ErrUnexpectedEOF)); err != nil {
		m.t.Fatal(err)
	}
	for _, p := range seats {
		st, due, _ := p.Export(1 << 30)
		if !moves[p.Seat] {
			continue
		}
		to := &hubtest.Peer{Hub: m.hub, Got: p.Got}
		if to.Seat, err = m.hub.Restore(to, st, due); err != nil {
			m.t.Fatal(err)
		}
		m.peers = append(m.peers, &moved{to, p.stands, p.aside, p.said, p.asked, p.pdus})
	}
	if err := m.hub.RestoreUnderway(after.Underway); err != nil {
		m.t.Fatal(err)
	}
	aside := 0
	for _, p := range m.peers {
		if p.stands {
			slices.Sort(p.aside)
			aside += len(slices.Compact(slices.Clone(p.aside)))
		}
	}
	if got := m.hub.AsideEntries(); got != aside {
		m.t.Errorf("standby sessions have reported %d users, want %d", got, aside)
	}
	time.Sleep(frozen) // the sender and the bus continue
	if fails {
		m.member.Close()
		*m = was
		old.Stay()
		<-m.turn
		return
	}
	m.member.Start()
	old.Depart()
	<-was.turn
	old.Close()
	if old.membership.last != before.Checkpoint.Last.Position {
		m.t.Error("the process that was replaced has read on")
	}
	for _, p := range seats {
		if moves[p.Seat] {
			p.Depart()
		} else {
			p.Leave(hub.Handover)
			m.ended = append(m.ended, p)
		}
	}
	oldHub.Abandon()
}

// A hub whose process is exchanged again and again, in the middle of everything, and whose bus loses,
// doubles and delays, continues as one that is not: a peer of it that says nothing gets byte for byte
// what such a peer of another hub gets. Nothing is lost, doubled or out of order, and nobody is told
// that users have come or gone, but by what their servers say.
func TestMovedHubGoesOnAsTheOther(t *testing.T) { playMovesOf(t, 0, 20) }

// playMovesOf plays with the seeds from first up to end, end not included.
func playMovesOf(t *testing.T, first, end uint64) {
	for seed := first; seed < end; seed++ {
		synctest.Test(t, func(t *testing.T) {
			playMoves(t, rand.New(rand.NewPCG(seed, 16)))
			if t.Failed() {
				t.Logf("seed %d", seed)
			}
		})
	}
}

func playMoves(t *testing.T, rnd *rand.Rand) {
	bus := ordertest.NewBus()
	links := rnd.IntN(2) == 0
	a, b := newMover(t, bus, 1, links), newMover(t, bus, 2, links)
	if rnd.IntN(2) == 0 { // the hub that moves is the donor, or not
		a, b = b, a
	}
	listener, want := a.join(), b.join()
	if links {
		a.activate(listener)
		b.activate(want)
	}
	time.Sleep(time.Second)
	listener.Read()
	want.Read()
	listener.Got, want.Got = nil, nil
	origin := a.member.Status().Origin
	var away atomic.Bool
	fate := rand.New(rand.NewPCG(rnd.Uint64(), 1)) // used under the lock of the bus
	bus.SetFate(func([]byte) (int, time.Duration) {
		if away.Load() {
			return 0, 0
		}
		return []int{0, 1, 1, 1, 1, 1, 1, 2}[fate.IntN(8)], time.Duration(fate.IntN(20)) * time.Millisecond
	})
	said := make(map[uint64]uint32)
	for _, m := range []*mover{a, b} {
		m.join()
		m.join()
	}
	for range 40 {
		m := a
		if rnd.IntN(2) == 0 {
			m = b
		}
		p := m.peers[1+rnd.IntN(len(m.peers)-1)]
		switch user := uint32(rnd.IntN(30)); rnd.IntN(10) {
		case 0:
			m.say(p, rnd.IntN(100), online(user, user+1))
		case 1, 2:
			m.say(p, 0, pdutest.StatusUpdate(user, uint32(1+rnd.IntN(3)), pb.ClientType_CLIENT_TYPE_WINDOWS))
		case 3:
			if !p.stands {
				m.say(p, 0, pdutest.StatusRequest(1, 9, nil, user))
				p.asked++
			}
		case 4:
			if rnd.IntN(8) == 0 { // in parts
				m.say(p, order.MaxRecord+rnd.IntN(order.MaxRecord))
			}
		case 5:
			if rnd.IntN(3) == 0 {
				m.join()
			}
		case 6, 7:
			stays := func() bool { return false }
			if rnd.IntN(3) == 0 {
				kept := 0
				stays = func() bool { kept++; return kept > 2 && rnd.IntN(4) == 0 } // not the listener, and one who says something
			}
			away.Store(rnd.IntN(8) == 0)
			a.move(rnd.IntN(3) == 0, time.Duration(rnd.IntN(100))*time.Millisecond, stays)
			listener = a.peers[0]
			if away.Load() { // for longer than others may be silent
				time.Sleep(6 * time.Second)
				away.Store(false)
			}
		default:
			m.say(p, rnd.IntN(1000))
		}
		said[p.Session()] = p.said
		if rnd.IntN(8) == 0 {
			a.hub.SayLate()
		}
		time.Sleep(time.Duration(rnd.IntN(15)) * time.Millisecond)
	}
	bus.SetFate(nil)
	for a.hub.SayLate() > 0 {
	}
	time.Sleep(12 * time.Second)
	synctest.Wait()
	got := listener.Read()
	if !bytes.Equal(got, want.Read()) {
		t.Errorf("a peer of the hub that has moved got %d bytes, and one of the other hub others, %d", len(got), len(want.Got))
	}
	heard := make(map[uint64]uint32)
	for _, p := range pdutest.Split(want.Got) {
		if h := pdu.ParseHeader(p); h.Command == everyone {
			session, number := binary.BigEndian.Uint64(p[pdu.HeaderLen:]), binary.BigEndian.Uint32(p[pdu.HeaderLen+8:])
			if heard[session]++; heard[session] != number {
				t.Fatalf("message %d of session %d came as number %d", number, session, heard[session])
			}
		}
	}
	for session, n := range said {
		if heard[session] != n {
			t.Errorf("%d of %d messages of session %d came", heard[session], n, session)
		}
	}
	for _, m := range []*mover{a, b} {
		c := hubtest.Conserved(t, m.hub)
		pdus := uint64(0)
		for _, p := range m.ended {
			pdus += p.pdus
			if a.hub.Holds(p.Session())+b.hub.Holds(p.Session()) > 0 {
				t.Errorf("session %d has not moved, and holds users", p.Session())
			}
		}
		for _, p := range m.peers {
			pdus += p.pdus
			answers := 0
			for _, one := range pdutest.Split(p.Read()) {
				if pdu.ParseHeader(one).Command == pdu.CID_BUDDY_LIST_USERS_STATUS_RESPONSE {
					answers++
				}
			}
			for _, user := range p.aside {
				if !p.stands && !slices.Contains(b.hub.Holders(user), p.Session()) {
					t.Errorf("user %d, whom session %d has reported standing by, is not online", user, p.Session())
				}
			}
			if answers != p.asked {
				t.Errorf("session %d got %d answers to %d questions", p.Session(), answers, p.asked)
			}
		}
		if c.Underway != 0 || c.Received != pdus {
			t.Errorf("hub %d has received %d PDUs of %d, and %d are under way", m.number, c.Received, pdus, c.Underway)
		}
		if s := m.member.Status(); s.State != Together || s.Gone > 0 || len(s.Entered) != 1 || len(s.Members) != 2 || s.Mismatches > 0 || s.UnderwayRecords > 1 {
			t.Errorf("hub %d: %+v", m.number, s)
		}
	}
	if now := a.member.Status().Origin; now != origin {
		t.Errorf("the hub that has moved is %v, and was %v", now, origin)
	}
	if a.hub.TableSum() != b.hub.TableSum() {
		t.Error("the user tables differ")
	}
	a.member.Close()
	b.member.Close()
}
