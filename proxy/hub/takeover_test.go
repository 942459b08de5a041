package hub_test

import (
	"bytes"
	"testing"

	"switchyard/pdu/body"
	. "switchyard/proxy/hub"
	"switchyard/proxy/order"
)

// enterAgain has the hub do what it does when the others have taken it for gone.
func (m *fleetHub) enterAgain() {
	m.append(len(m.queue))
	m.readOn(1 << 20)
	var again []*spoken
	m.Rejoin(func(r *order.Record) {
		m.Say(r)
		again = append(again, m.queue[len(m.queue)-1])
	})
	m.queue = nil
	m.all.log = append(m.all.log, &spoken{gone: m.number})
	m.all.log = append(m.all.log, again...)
}

// withUsers returns a msg_server that is active at the first of the hubs, with three users.
func (f *fleet) withUsers(name string, first uint32, hubs ...*fleetHub) *msgServer {
	s := f.start(name, hubs...)
	for user := range uint32(3) {
		s.update(first+user, body.Online, body.ClientWindows)
	}
	f.sync()
	return s
}

func (f *fleet) wantUsers(want ...byte) {
	f.t.Helper()
	f.sync()
	for _, m := range f.hubs {
		if got := statuses(m.Hub); !bytes.Equal(got, want) || m.TableSum() != f.hubs[0].TableSum() {
			f.t.Errorf("hub %d: users %v are online, want %v; the sum of the table is %x", m.number, got, want, m.TableSum())
		}
	}
}

// A hub that stood still, and was taken for gone, has its sessions join again although their msg_server has
// gone over. They do not get its users back, and their connections are closed.
func TestReplacedWhileItsHubStoodStill(t *testing.T) {
	for _, before := range []bool{false, true} { // the msg_server has gone over before the hub was taken for gone
		f := newFleet(t, 3)
		s := f.withUsers("10.0.0.1", 1, f.hubs...)
		old := s.master
		if before {
			s.lose(old)
			f.sync()
		}
		old.at.enterAgain()
		if !before {
			s.lose(old)
			f.sync()
		}
		f.wantUsers(1, 2, 3)
		if len(old.Closed) != 1 || old.Closed[0] != Replaced {
			t.Errorf("before %v: the old link was closed %v times", before, old.Closed)
		}
		for user := range uint32(3) {
			s.update(1+user, body.Offline, body.ClientWindows)
		}
		f.wantUsers()
	}
}

// A hub that was taken for gone by mistake gets its sessions back as they were.
func TestJoinedAgain(t *testing.T) {
	f := newFleet(t, 3)
	s, other := f.withUsers("10.0.0.1", 1, f.hubs...), f.withUsers("10.0.0.1", 11, f.hubs...)
	f.hubs[0].enterAgain()
	f.wantUsers(1, 2, 3, 11, 12, 13)
	if len(s.master.Closed) > 0 {
		t.Error("a link was closed that nobody has replaced")
	}
	other.update(11, body.Offline, body.ClientWindows)
	f.wantUsers(1, 2, 3, 12, 13)
}

// Two msg_servers behind one address are told apart by their users, also if they have one in common.
func TestSeveralMsgServersBehindOneAddress(t *testing.T) {
	f := newFleet(t, 3)
	a, b := f.withUsers("10.0.0.1", 1, f.hubs[0], f.hubs[1]), f.withUsers("10.0.0.1", 11, f.hubs[2], f.hubs[1])
	b.update(1, body.Online, body.ClientAndroid)
	f.sync()
	f.hubs[2].kill()
	f.sync()
	f.log = append(f.log, &spoken{gone: 3})
	f.hubs = f.hubs[:2]
	f.wantUsers(1, 2, 3, 11, 12, 13)
	if len(a.master.Closed) > 0 {
		t.Error("the link of the other msg_server was closed")
	}
	a.update(1, body.Offline, body.ClientWindows)
	f.wantUsers(2, 3, 11, 12, 13)
}

// What a link says of users after another one has replaced it is dropped; everything else is routed.
func TestReplacedLinkSpeaks(t *testing.T) {
	f := newFleet(t, 2)
	s := f.withUsers("10.0.0.1", 1, f.hubs...)
	old := s.master
	s.lose(old)
	old.Send(t, statusUpdate(9, body.Online, body.ClientWindows), roleSet(1), message(everyone, 0, "last words"))
	f.hubs[1].append(10)
	f.sync()
	f.wantUsers(1, 2, 3)
	s.master.Expect(t, "the new link", message(everyone, 0, "last words"))
	if got := f.hubs[0].Counts().Dropped[Standby]; got != 2 {
		t.Errorf("%d PDUs were dropped, want 2", got)
	}
}

// Without standby links, users of one source at two hubs are noticed by the second one.
func TestTwiceConnected(t *testing.T) {
	f := newFleet(t, 0)
	for range 2 {
		f.newPlainHub()
	}
	one := (&msgServer{all: f, name: "10.0.0.1"}).connect(f.hubs[0])
	one.Send(t, online(1, 2, 3))
	f.sync()
	another := (&msgServer{all: f, name: "10.0.0.2"}).connect(f.hubs[1])
	another.Send(t, online(1, 2, 3))
	f.sync()
	for _, m := range f.hubs {
		if session, other := m.FindTwice(); session != 0 {
			t.Errorf("hub %d found sessions %d and %d, of two sources", m.number, session, other)
		}
	}
	another.at.Leave(another.Seat)
	f.sync()
	twice := (&msgServer{all: f, name: "10.0.0.1"}).connect(f.hubs[1])
	for user := range uint32(3) {
		twice.Send(t, statusUpdate(1+user, body.Online, body.ClientWindows))
	}
	f.sync()
	for i, links := range [][2]*link{{one, twice}, {twice, one}} {
		if session, other := f.hubs[i].FindTwice(); session != links[0].Session() || other != links[1].Session() {
			t.Errorf("hub %d found %d and %d, want %d and %d", i+1, session, other, links[0].Session(), links[1].Session())
		}
	}
}

// Two msg_servers behind one address, at different hubs, have the same users: at one by their PCs, at the other
// by their phones. That is not a msg_server with two connections, also after one has lost its link and reported
// its users again, which then count twice.
func TestNotTwiceConnected(t *testing.T) {
	f := newFleet(t, 0)
	for range 2 {
		f.newPlainHub()
	}
	computers := (&msgServer{all: f, name: "10.0.0.1"}).connect(f.hubs[0])
	phones := (&msgServer{all: f, name: "10.0.0.1"}).connect(f.hubs[1])
	report := func(l *link, client body.ClientType) {
		for user := range uint32(20) {
			l.Send(t, statusUpdate(1+user, body.Online, client))
		}
		f.sync()
	}
	report(computers, body.ClientWindows)
	report(phones, body.ClientAndroid)
	computers.at.LeaveOrdered(computers.Seat)
	computers.at.Leave(computers.Seat)
	f.sync()
	report((&msgServer{all: f, name: "10.0.0.1"}).connect(f.hubs[0]), body.ClientWindows)
	for _, m := range f.hubs {
		if session, other := m.FindTwice(); session != 0 {
			t.Errorf("hub %d found sessions %d and %d", m.number, session, other)
		}
	}
}

// The old link of a msg_server still holds many users who have logged out there and are online elsewhere. It is
// replaced nevertheless.
func TestReplacedWithManyOfOthers(t *testing.T) {
	f := newFleet(t, 3)
	s, other := f.withUsers("10.0.0.1", 1, f.hubs...), f.start("10.0.0.2", f.hubs[1])
	for user := range uint32(50) {
		s.update(20+user, body.Online, body.ClientWindows)
		other.update(20+user, body.Online, body.ClientAndroid)
	}
	f.sync()
	for user := range uint32(50) {
		s.update(20+user, body.Offline, body.ClientWindows)
	}
	f.sync()
	f.hubs[0].kill()
	f.sync()
	f.hubs[0].declareGone()
	f.hubs = f.hubs[1:]
	f.wantUsers(1, 2, 3)
	for user := range uint32(3) {
		s.update(1+user, body.Offline, body.ClientWindows)
	}
	f.wantUsers()
}
