package hub_test

import (
	"bytes"
	"slices"
	"testing"

	"switchyard/pdu/body"
	"switchyard/policy"
	"switchyard/policy/policytest"
	. "switchyard/proxy/hub"
	"switchyard/proxy/hub/hubtest"
	"switchyard/proxy/order"
)

// A fleet is several hubs with standby links, and msg_servers that have a link to each of them. The order
// is a log in memory. A lone hub, at which each msg_server has one link, goes through the same in the order
// of the log.
type fleet struct {
	t       *testing.T
	active  *policy.Active
	hubs    []*fleetHub
	log     []*spoken
	local   map[int][]func() // for the lone hub, before it continues at that place of the log
	lone    *Hub
	servers []*msgServer
}

// A spoken is a place in the log.
type spoken struct {
	record order.Record
	gone   uint16 // the hub that is gone here, or 0
	replay func() // what the lone hub does here; nil if it does nothing
}

type fleetHub struct {
	*Hub
	all    *fleet
	number uint16
	queue  []*spoken // said, and not yet in the log
	read   int       // entries of the log
	dead   bool
	said   func()            // the replay of what is said now
	left   map[uint64]func() // of Left, by session
}

func newFleet(t *testing.T, hubs int) *fleet {
	f := &fleet{t: t, local: make(map[int][]func())}
	f.active = policytest.Active(roleRules{handoverRules()})
	f.lone = New(f.active, 1<<40)
	for range hubs {
		f.newHub()
	}
	return f
}

func (f *fleet) newHub() *fleetHub {
	m := f.newPlainHub()
	m.SetStandbyLinks()
	return m
}

// newPlainHub adds a hub without standby links.
func (f *fleet) newPlainHub() *fleetHub {
	m := &fleetHub{Hub: New(f.active, 1<<40), all: f, number: uint16(len(f.hubs) + 1), left: make(map[uint64]func())}
	m.SetOrder(m, m.number)
	f.hubs = append(f.hubs, m)
	return m
}

// Say implements Order.
func (m *fleetHub) Say(r *order.Record) {
	one := *r
	one.Hub, one.Runs = m.number, slices.Clone(r.Runs)
	for i := range one.Runs {
		one.Runs[i].Bytes = bytes.Clone(one.Runs[i].Bytes)
	}
	replay := m.said
	if r.Kind == order.Left {
		replay = m.left[r.Session]
	}
	m.queue = append(m.queue, &spoken{record: one, replay: replay})
}

func (m *fleetHub) append(n int) {
	n = min(n, len(m.queue))
	m.all.log = append(m.all.log, m.queue[:n]...)
	m.queue = m.queue[n:]
}

func (m *fleetHub) readOn(n int) {
	for ; n > 0 && m.read < len(m.all.log) && !m.dead; n-- {
		e := m.all.log[m.read]
		m.read++
		if e.gone != 0 {
			m.DropHub(e.gone)
		} else {
			m.Apply(&e.record)
		}
	}
}

// sync appends and reads everything.
func (f *fleet) sync() {
	for before := -1; before != len(f.log); {
		before = len(f.log)
		for _, m := range f.hubs {
			if !m.dead {
				m.append(len(m.queue))
			}
		}
		for _, m := range f.hubs {
			m.readOn(len(f.log))
		}
	}
}

// sayLate has no session that has left stay in the order.
func (f *fleet) sayLate() {
	for _, m := range f.hubs {
		for !m.dead && m.SayLate() > 0 {
		}
	}
}

// start has a new msg_server connect to all hubs. It becomes active at the first of them.
func (f *fleet) start(name string, hubs ...*fleetHub) *msgServer {
	s := &msgServer{all: f, name: name, users: make(map[uint32]body.ClientType), alone: &hubtest.Peer{Hub: f.lone}}
	s.alone.Seat = f.lone.Join(s.alone)
	f.servers = append(f.servers, s)
	for _, m := range hubs {
		s.links = append(s.links, s.connect(m))
	}
	s.declare()
	for _, l := range s.links {
		l.Send(f.t, s.announcement())
	}
	return s
}

// kill kills the hub. What it has said and not appended about users has a place nevertheless.
func (m *fleetHub) kill() {
	m.append(len(m.queue))
	m.dead = true
	for _, s := range m.all.servers {
		for _, l := range slices.Clone(s.links) {
			if l.at == m {
				s.lose(l)
			}
		}
	}
}

// declareGone appends that the hub is gone. The lone hub releases the users that links to it hold.
func (m *fleetHub) declareGone() {
	m.all.log = append(m.all.log, &spoken{gone: m.number, replay: func() {
		for _, s := range m.all.servers {
			if s.holds != nil && s.holds.at == m {
				s.releaseAlone()
			}
		}
	}})
}

// enter adds a hub with the state of another one.
func (f *fleet) enter(from *fleetHub) {
	m := f.newHub()
	m.read = from.read
	var chunks [][]byte
	if err := from.ExportOrdered(func(chunk []byte) error {
		chunks = append(chunks, bytes.Clone(chunk))
		return nil
	}); err != nil {
		f.t.Fatal(err)
	}
	install, err := m.ReadOrdered(func() ([]byte, error) {
		chunk := chunks[0]
		chunks = chunks[1:]
		return chunk, nil
	})
	if err != nil {
		f.t.Fatal(err)
	}
	install()
}

// replay has the lone hub go through the log.
func (f *fleet) replay() {
	for i := range len(f.log) + 1 {
		for _, do := range f.local[i] {
			do()
		}
		if i < len(f.log) && f.log[i].replay != nil {
			f.log[i].replay()
		}
	}
}

// check compares what the msg_servers got with what they got from the lone hub, and the tables of all hubs.
func (f *fleet) check() {
	f.t.Helper()
	f.sync()
	f.sayLate()
	f.sync()
	f.replay()
	for _, s := range f.servers {
		for _, l := range s.links {
			s.got = append(s.got, l.Read()...)
		}
		if s.served {
			s.want = append(s.want, s.alone.Read()...)
		}
		if !bytes.Equal(s.got, s.want) {
			f.t.Fatalf("%s received %d bytes, of a lone hub %d:\n%s\n%s", s.name, len(s.got), len(s.want), dump(s.got), dump(s.want))
		}
	}
	for _, m := range f.hubs {
		if m.dead {
			continue
		}
		if hubtest.Conserved(f.t, m.Hub); m.TableSum() != f.first().TableSum() {
			f.t.Errorf("the tables of hub %d and %d differ", m.number, f.first().number)
		}
		if users, want := statuses(m.Hub), statuses(f.lone); !bytes.Equal(users, want) {
			f.t.Errorf("hub %d has the users\n%x, a lone hub\n%x", m.number, users, want)
		}
	}
}

func (f *fleet) first() *fleetHub {
	for _, m := range f.hubs {
		if !m.dead {
			return m
		}
	}
	return nil
}

// statuses returns the users that are online.
func statuses(h *Hub) (users []byte) {
	for user := range uint32(100) {
		if h.Online(user) {
			users = append(users, byte(user))
		}
	}
	return users
}
