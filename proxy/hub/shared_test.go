package hub_test

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"switchyard/pdu"
	"switchyard/pdu/body"
	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/policy/policytest"
	. "switchyard/proxy/hub"
	"switchyard/proxy/hub/hubtest"
	"switchyard/proxy/order"
)

// A sharing is several hubs that share a tenant, and a log in memory. Each hub appends what it has said
// and reads the log whenever it likes. What happens is written down, so that a lone hub can go through
// the same afterwards, in the order of the log:
//
//	log      entry 0      entry 1      entry 2 ...
//	local  ▲            ▲            ▲              what a hub did that had read this much
type sharing struct {
	t      *testing.T
	rnd    *rand.Rand
	active *policy.Active
	log    []*entry
	local  map[int][]func(*lone)
	hubs   []*member
	hubsN  uint16
	peers  []*sharedPeer // of all hubs, also those that have ended
}

// An entry is a place in the log.
type entry struct {
	hub   uint16
	life  int         // of the hub: records of an earlier life do not count
	what  kindOfEntry // said, unless
	state [][]byte    // entering: what another hub has exported as of here
	lives map[uint16]int
	said  *order.Record // a copy
	from  *sharedPeer
	pdus  []byte // of from: what the record was made of, with the questions among it
	again bool   // it is one of Rejoin
}

type kindOfEntry uint8

const (
	said kindOfEntry = iota
	enters
	gone
)

// A member is a hub that shares the tenant.
type member struct {
	*Hub
	all      *sharing
	number   uint16
	life     int
	lives    map[uint16]int // of the hubs that have entered, as of read
	queue    []*entry       // said, and not yet in the log
	underway []*entry       // in the order of the hub; questions that wait have no record
	lastSaid *entry
	read     int // entries of the log
	ended    bool
}

type sharedPeer struct {
	*hubtest.Peer
	at     *member
	master bool
	began  bool
	left   bool // it receives nothing any more
	said   uint64
	back   <-chan struct{}
}

// Say implements Order.
func (m *member) Say(r *order.Record) { m.lastSaid = m.say(r) }

func (m *member) say(r *order.Record) *entry {
	one := *r
	one.Hub, one.Runs = m.number, slices.Clone(r.Runs)
	for i := range one.Runs {
		one.Runs[i].Bytes = bytes.Clone(one.Runs[i].Bytes)
	}
	return &entry{hub: m.number, life: m.life, said: &one}
}

func newSharing(t *testing.T, rnd *rand.Rand, hubs int) *sharing {
	s := &sharing{t: t, rnd: rnd, active: policytest.Active(roleRules{handoverRules()}), local: make(map[int][]func(*lone))}
	for range hubs {
		m := s.newMember()
		s.hubs = append(s.hubs, m)
		for _, other := range s.hubs {
			other.lives[m.number], m.lives[other.number] = 0, 0
		}
	}
	return s
}

func (s *sharing) newMember() *member {
	s.hubsN++
	m := &member{Hub: New(s.active, 1<<40), all: s, number: s.hubsN, lives: make(map[uint16]int)}
	m.SetPresenceLimits(limitsOf(m.number))
	m.SetOrder(m, m.number)
	return m
}

// limitsOf returns the limits of the user table at the hub: low ones, that are reached.
func limitsOf(hub uint16) (users, peerUsers int) { return 16 + 2*int(hub), 4 + int(hub) }

// here notes what the hub does with one of its peers now, for a lone hub to do later.
func (m *member) here(do func(*lone)) { m.all.local[m.read] = append(m.all.local[m.read], do) }

func (m *member) connect() {
	w := &sharedPeer{Peer: &hubtest.Peer{Hub: m.Hub}, at: m}
	w.Seat = m.Connect(w.Peer, nil)
	m.all.peers = append(m.all.peers, w)
	m.here(func(l *lone) { l.connect(w) })
	if m.all.rnd.IntN(3) > 0 {
		w.begin()
	}
}

func (w *sharedPeer) begin() {
	if w.began {
		return
	}
	w.began = true
	w.Begin()
	w.at.keep(w.at.lastSaid, w, nil)
	number := w.Session()
	w.at.here(func(l *lone) { l.of[w].BeginAs(number) })
}

// keep keeps an entry that was said now.
func (m *member) keep(e *entry, from *sharedPeer, pdus []byte) {
	e.from, e.pdus = from, pdus
	m.queue = append(m.queue, e)
	m.underway = append(m.underway, e)
	m.lastSaid = nil
}

// handle has the hub handle the PDUs, of which none but the last one may set the role.
func (w *sharedPeer) handle(pdus [][]byte) {
	w.begin()
	m := w.at
	g := m.all.active.Acquire()
	defer g.Release()
	waits := len(m.underway) > 0
	direct, questions := 0, 0
	for i, p := range pdus {
		question, isSaid := w.classify(g, p)
		if question {
			questions++
		}
		if !waits && isSaid {
			waits, direct = true, i
		}
	}
	if !waits {
		direct = len(pdus)
	}
	w.said += uint64(len(pdus))
	w.Send(m.all.t, pdus...)
	if first := bytes.Join(pdus[:direct], nil); direct > 0 {
		m.here(func(l *lone) { l.handle(w, first) })
	}
	rest := bytes.Join(pdus[direct:], nil)
	switch {
	case m.lastSaid != nil:
		m.keep(m.lastSaid, w, rest)
	case questions > 0 && waits:
		m.underway = append(m.underway, &entry{from: w, pdus: rest})
	}
}

// classify reports whether p is a question, or whether the hub will say it.
func (w *sharedPeer) classify(g *policy.Generation, p []byte) (question, isSaid bool) {
	attributes := uint64(0)
	if w.master {
		attributes = abi.AttributeMaster
	}
	switch v, _ := g.Judge(p, w.Session(), attributes); {
	case v.Action() == policy.Drop || v.Action() == policy.Consume:
		return false, false
	case v.Action() != policy.Handle:
		return false, true
	case v.Argument() == abi.RoleSet:
		master, err := body.ReadRoleSet(p[pdu.HeaderLen:])
		if err == nil {
			w.master = master != 0
		}
		return false, err == nil
	default:
		return v.Argument() == abi.UsersStatusRequest, v.Argument() != abi.UsersStatusRequest
	}
}

// leave has the peer leave and wait for that, or not wait.
func (w *sharedPeer) leave(waits bool) {
	if w.back == nil {
		w.back = w.at.LeaveOrdered(w.Seat)
		if w.at.lastSaid != nil {
			w.at.keep(w.at.lastSaid, w, nil)
		}
	}
	if !waits || !w.began {
		w.vacate()
	}
}

func (w *sharedPeer) vacate() {
	if !w.left {
		w.left = true
		w.at.Leave(w.Seat)
		w.at.here(func(l *lone) { l.freeze(w) })
	}
}

// append appends the oldest n of what the hub has said to the log.
func (m *member) append(n int) {
	n = min(n, len(m.queue))
	m.all.log = append(m.all.log, m.queue[:n]...)
	m.queue = m.queue[n:]
}

// readOn reads n entries at most.
func (m *member) readOn(n int) {
	for ; n > 0 && m.read < len(m.all.log) && !m.ended; n-- {
		e := m.all.log[m.read]
		if e.what == enters && e.hub == m.number && e.state == nil {
			return // nobody has exported it yet
		}
		m.apply(e)
	}
}

func (m *member) apply(e *entry) {
	switch life, entered := m.lives[e.hub]; {
	case e.what == gone:
		m.read++
		if e.life != life || !entered {
			return
		}
		delete(m.lives, e.hub)
		if e.hub == m.number {
			m.enterAgain()
		}
		m.DropHub(e.hub)
	case e.what == enters:
		if m.lives == nil {
			m.lives = maps.Clone(e.lives)
		}
		m.DropHub(e.hub)
		if m.lives[e.hub] = e.life; e.hub != m.number {
			if e.state == nil {
				e.state, e.lives = m.export(), maps.Clone(m.lives)
			}
		} else {
			m.imports(e)
		}
		m.read++
	case entered && e.life == life:
		m.Apply(e.said)
		m.read++
		if e.hub == m.number {
			m.cameBack(e)
		}
	default:
		m.read++
	}
}

// cameBack drops the entry from what is under way, and the questions behind it.
func (m *member) cameBack(e *entry) {
	if m.underway[0] != e {
		m.all.t.Fatalf("hub %d: another record came back than the oldest one", m.number)
	}
	m.underway = m.underway[1:]
	if e.said.Kind == order.Left {
		select {
		case <-e.from.back:
			e.from.left = true
		default:
			m.all.t.Errorf("session %d has left, and nobody was told", e.said.Session)
		}
	}
	for len(m.underway) > 0 && m.underway[0].said == nil {
		questions := m.underway[0]
		m.here(func(l *lone) { l.handle(questions.from, questions.pdus) })
		m.underway = m.underway[1:]
	}
}

// enterAgain does what a hub does after it was declared gone.
func (m *member) enterAgain() {
	m.life++
	var all []*entry
	m.Rejoin(func(r *order.Record) {
		e := m.say(r)
		e.again = true
		for _, w := range m.all.peers {
			if w.at == m && w.began && w.Session() == r.Session {
				e.from = w
			}
		}
		for _, one := range e.said.Runs {
			e.pdus = append(e.pdus, one.Bytes...)
		}
		all = append(all, e)
	})
	m.queue = []*entry{{hub: m.number, life: m.life, what: enters}}
	for _, e := range m.underway {
		again := *e
		again.life = m.life
		all = append(all, &again)
	}
	m.underway = all
	for _, e := range all {
		if e.said != nil {
			m.queue = append(m.queue, e)
		}
	}
}

func (m *member) export() (chunks [][]byte) {
	if err := m.ExportOrdered(func(chunk []byte) error {
		chunks = append(chunks, bytes.Clone(chunk))
		return nil
	}); err != nil {
		m.all.t.Fatal(err)
	}
	return chunks
}

func (m *member) imports(e *entry) {
	chunks := e.state
	before := m.TableSum()
	if err := takeOver(m.Hub, func() ([]byte, error) {
		chunk := chunks[0]
		chunks = chunks[1:]
		return chunk, nil
	}); err != nil {
		m.all.t.Fatal(err)
	}
	if e.life > 0 && m.TableSum() != before { // it has read on, so it knew the state
		m.all.t.Errorf("hub %d: the imported table differs from its own", m.number)
	}
}

// enter has a fresh hub enter.
func (s *sharing) enter() {
	m := s.newMember()
	m.lives, m.read = nil, len(s.log)
	s.log = append(s.log, &entry{hub: m.number, what: enters})
	s.hubs = append(s.hubs, m)
}

// kill ends the hub, with its peers and all that it has not appended.
func (m *member) kill() {
	for _, w := range m.all.peers {
		if w.at == m && !w.left {
			w.left = true
			m.here(func(l *lone) { l.freeze(w) })
		}
		if w.at == m {
			w.Read()
		}
	}
	m.ended = true
	m.all.log = append(m.all.log, &entry{hub: m.number, life: m.life, what: gone})
}
