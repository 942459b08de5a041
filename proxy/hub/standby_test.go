package hub_test

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"switchyard/pdu"
	"switchyard/pdu/body"
	. "switchyard/proxy/hub"
	"switchyard/proxy/hub/hubtest"
)

// msg_servers have a link to each hub. They report users, talk, lose links and reconnect; hubs die, and
// fresh ones enter. Each msg_server receives, byte for byte, what it would over one link to a lone hub, and
// the same users are online.
func TestStandbyLinksAreAsOneLink(t *testing.T) { standbyHistories(t, 20) }

func standbyHistories(t *testing.T, seeds uint64) {
	for seed := range seeds {
		standbyHistory(t, seed)
	}
}

func standbyHistory(t *testing.T, seed uint64) {
	defer func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	}()
	h := history{newFleet(t, 3), rand.New(rand.NewPCG(seed, 8)), seed%2 == 0}
	for n := range 4 {
		h.startOne(n)
	}
	for range 600 {
		h.step()
	}
	h.check()
}

type history struct {
	*fleet
	rnd       *rand.Rand
	exclusive bool // all msg_servers have one address and no users in common; else it is the other way round
}

// startOne starts a msg_server. If users have several msg_servers, it has one that stays, so that a link always
// announces users. Otherwise users who logged out there while another msg_server has them would be held by
// its old link, until that has left, and no more by that of the lone hub.
func (h *history) startOne(n int) {
	if h.exclusive {
		h.start("10.0.0.1", h.some()...)
		return
	}
	s := h.start(string(rune('a'+n)), h.some()...)
	s.update(uint32(40+n), body.Online, body.ClientWindows)
}

// some returns the living hubs in some order.
func (h *history) some() (hubs []*fleetHub) {
	for _, n := range h.rnd.Perm(len(h.hubs)) {
		if !h.hubs[n].dead {
			hubs = append(hubs, h.hubs[n])
		}
	}
	return hubs
}

func (h *history) step() {
	number := h.rnd.IntN(len(h.servers))
	s, m := h.servers[number], h.some()[0]
	switch n := h.rnd.IntN(100); {
	case n < 25:
		m.append(1 + h.rnd.IntN(4))
	case n < 50:
		m.readOn(1 + h.rnd.IntN(6))
	case n < 70:
		h.update(s, number)
	case n < 85:
		s.say(h.something())
	case n < 88:
		h.disturb(s)
	case n < 94:
		if len(s.links) > 0 {
			l := s.links[h.rnd.IntN(len(s.links))]
			s.got = append(s.got, l.Read()...)
			l.Got = nil
		}
	case n < 96:
		if len(s.links) > 0 {
			h.breaks(s, s.links[h.rnd.IntN(len(s.links))])
		}
	case n < 97:
		m.SayLate()
	case n < 98:
		if !slices.ContainsFunc(s.links, func(l *link) bool { return l.at == m }) {
			s.reconnect(m)
		}
	case n == 98:
		h.die(m)
	case len(h.hubs) < 6:
		h.enter(m)
	}
}

// breaks ends a link. If users have several msg_servers, the hub of the link does not notice, so that no
// session releases users: what remains of them then is something else at a lone hub, where the link
// stays.
func (h *history) breaks(s *msgServer, l *link) {
	if h.exclusive {
		l.lost(s)
		return
	}
	l.at.append(len(l.at.queue))
	s.lose(l)
}

// die kills the hub, unless it is one of the last two. The others read that it is gone before or after the
// msg_servers have gone over; after that if users have several msg_servers.
func (h *history) die(m *fleetHub) {
	if len(h.some()) < 3 || h.rnd.IntN(3) > 0 {
		return
	}
	for _, s := range h.servers {
		if !h.exclusive && (s.master == nil || len(s.links) == 1) {
			return
		}
	}
	m.kill()
	if others := h.some(); h.exclusive {
		others[0].append(h.rnd.IntN(20))
	} else {
		for _, other := range others {
			other.append(len(other.queue))
		}
	}
	m.declareGone()
}

func (h *history) update(s *msgServer, number int) {
	user := uint32(10*number + h.rnd.IntN(10))
	if !h.exclusive && h.rnd.IntN(8) == 0 {
		user = uint32(h.rnd.IntN(40))
	}
	if client, online := s.users[user]; online {
		s.update(user, body.Offline, client)
	} else {
		clients := [...]body.ClientType{body.ClientWindows, body.ClientMac, body.ClientIOS, body.ClientAndroid}
		s.update(user, body.Online, clients[h.rnd.IntN(4)])
	}
}

func (h *history) something() []byte {
	commands := []pdu.CommandID{others, everyone, pdu.CID_MSG_UNREAD_CNT_REQUEST, pdu.CID_MSG_READ_ACK, pdu.CID_OTHER_HEARTBEAT}
	if h.exclusive && h.rnd.IntN(4) == 0 {
		return message(pdu.CID_MSG_TIME_REQUEST, 0, string([]byte{0x10, byte(h.rnd.IntN(40))})) // to a user
	}
	return message(commands[h.rnd.IntN(len(commands))], uint16(h.rnd.IntN(1<<16)), "text")
}

// disturb says over a standby link what is not for it.
func (h *history) disturb(s *msgServer) {
	for _, l := range s.links {
		if l == s.master {
			continue
		}
		before := l.at.Counts().Dropped[Standby]
		l.Send(h.t, message(everyone, 0, "nobody hears this"))
		if l.at.Counts().Dropped[Standby] != before+1 {
			h.t.Error("what a standby link said was not dropped")
		}
	}
}

// Nine users, whose msg_servers go over when their hub dies, log out afterwards. None of them stays
// online, whenever the other hubs learn that the hub is gone.
func TestUsersOfADeadHubCanLogOut(t *testing.T) {
	for _, late := range []bool{false, true} {
		f := newFleet(t, 3)
		for n := range 3 {
			s := f.start([]string{"10.0.0.1", "10.0.0.2", "10.0.0.2"}[n], f.hubs...)
			for user := range uint32(3) {
				s.update(uint32(10*n)+user, body.Online, body.ClientWindows)
			}
		}
		f.sync()
		f.hubs[0].kill()
		if !late {
			f.hubs[0].declareGone()
		}
		f.sync()
		if late {
			f.hubs[0].declareGone()
		}
		f.sync()
		if got := len(statuses(f.hubs[1].Hub)); got != 9 {
			t.Errorf("%d users are online, want 9", got)
		}
		for _, s := range f.servers {
			for user, client := range s.users {
				s.update(user, body.Offline, client)
			}
		}
		f.check()
		if got := statuses(f.hubs[1].Hub); len(got) != 0 {
			t.Errorf("late %v: users %v stay online", late, got)
		}
	}
}

// A link ends, or its hub is stopped, and its msg_server goes over to another one. A user whom another
// msg_server holds as well is never offline meanwhile, counts no more than before, and is offline after both
// have logged out. If the msg_server does not come back, its users are released.
func TestUsersOfAnEndedLinkCanLogOut(t *testing.T) {
	f := newFleet(t, 2)
	a, b := f.hubs[0], f.hubs[1]
	x, y := f.start("10.0.0.1", a, b), f.start("10.0.0.2", b)
	want := func(users ...byte) {
		t.Helper()
		f.sync()
		for _, m := range f.hubs {
			if got := statuses(m.Hub); !bytes.Equal(got, users) {
				t.Errorf("hub %d: users %v are online, want %v", m.number, got, users)
			}
		}
	}
	x.update(7, body.Online, body.ClientWindows)
	x.update(8, body.Online, body.ClientWindows)
	y.update(7, body.Online, body.ClientWindows)
	want(7, 8)
	x.master.lost(x)
	want(7, 8)
	if a.Late() != 1 || a.SayLate() != 0 {
		t.Error("a session that was replaced has not left with the first call")
	}
	want(7, 8)
	x.update(7, body.Offline, body.ClientWindows)
	x.update(8, body.Offline, body.ClientWindows)
	want(7)
	y.update(7, body.Offline, body.ClientWindows)
	want()

	y.update(9, body.Online, body.ClientWindows)
	y.master.lost(y)
	if want(9); b.SayLate() != 1 {
		t.Error("a session that was not replaced leaves with the first call")
	}
	if want(9); b.SayLate() != 0 {
		t.Error("it does not leave with the second one")
	}
	want()
	hubtest.Conserved(t, a.Hub)
	hubtest.Conserved(t, b.Hub)
}

// A standby link gets heartbeats and nothing else, however much is said meanwhile, and holds no more of the
// log than two chunks.
func TestStandbyLinkGetsHeartbeats(t *testing.T) {
	f := newFleet(t, 1)
	speaker := f.start("10.0.0.1", f.hubs[0])
	l := (&msgServer{all: f, name: "10.0.0.2"}).connect(f.hubs[0])
	before := l.at.Memory()
	heartbeat := message(pdu.CID_OTHER_HEARTBEAT, 0, "")
	var want []byte
	for range 20 {
		speaker.say(message(everyone, 0, string(make([]byte, ChunkSize/2))))
		f.sync()
		head := l.at.Head()
		speaker.say(message(everyone, 0, "behind head"))
		f.sync()
		l.at.Send(l.Seat, heartbeat)
		want = append(want, heartbeat...)
		speaker.master.Read()
		speaker.master.Got = nil
		if !l.Behind(head) {
			t.Fatal("a heartbeat is not due")
		}
		for _, piece := range l.Due(make([][]byte, 0, 8), head, 1<<20) {
			l.Got = append(l.Got, piece...)
			l.Sent(len(piece))
			break
		}
	}
	if got := l.Read(); !bytes.Equal(got, want) {
		t.Errorf("got %d bytes, want %d", len(got), len(want))
	}
	if after := l.at.Memory(); after > before+3*ChunkSize {
		t.Errorf("the logs take %d bytes, before %d", after, before)
	}
	l.Send(t, roleSet(1))
	speaker.say(message(everyone, 0, "for all"))
	f.sync()
	l.Got = nil
	l.Expect(t, "the active link", message(everyone, 0, "for all"))
	c := hubtest.Conserved(t, l.at.Hub)
	if _, pdus := l.Written(); c.Pending != 0 || pdus != 21 {
		speaker.master.Read()
		if c := l.at.Counts(); c.Pending != 0 || pdus != 21 {
			t.Errorf("%d PDUs pending, %d written; want none and 21", c.Pending, pdus)
		}
	}
}

// What a standby link says of users obeys the rules of the user table, and is counted as there.
func TestKeptAsideByTheRules(t *testing.T) {
	f := newFleet(t, 1)
	m := f.hubs[0]
	m.SetPresenceLimits(3, 2)
	l := (&msgServer{all: f, name: "10.0.0.2"}).connect(m)
	l.Send(t, online(1, 2))
	l.Send(t, online(1, 2, 3))
	l.Send(t, statusUpdate(3, body.Online, body.ClientMac))
	l.Send(t, statusUpdate(1, body.Offline, body.ClientWindows))
	l.Send(t, statusUpdate(4, body.Online, body.ClientMac))
	l.Send(t, pdu.Append(nil, pdu.SID_OTHER, pdu.CID_OTHER_USER_STATUS_UPDATE, 0, []byte{8}))
	l.Send(t, pdu.Append(nil, pdu.SID_OTHER, pdu.CID_OTHER_ONLINE_USER_INFO, 0, []byte{8}))
	l.Send(t, statusUpdate(5, 9, body.ClientMac))
	l.Send(t, roleSet(0), pdu.Append(nil, pdu.SID_OTHER, pdu.CID_OTHER_ROLE_SET, 0, nil))
	f.sync()
	if got := statuses(m.Hub); len(got) != 0 || len(f.log) != 0 {
		t.Errorf("users %v are online, %d records were said", got, len(f.log))
	}
	l.Send(t, roleSet(1), message(everyone, 0, "hello"))
	f.sync()
	if got := statuses(m.Hub); !bytes.Equal(got, []byte{2, 4}) {
		t.Errorf("users %v are online, want 2 and 4", got)
	}
	l.Expect(t, "the active link", message(everyone, 0, "hello"))
	c := hubtest.Conserved(t, m.Hub)
	if d := c.Dropped; d[PresenceFull] != 2 || d[MalformedBody] != 3 || d[BadStatus] != 1 || c.Received != 12 || c.Underway != 0 {
		t.Errorf("counts %+v", c)
	}
}

// What all standby links report together is bounded as the user table is. Room that a link has taken is free
// when it is active or has left, and moves to another process with it.
func TestStandbyLinksShareRoom(t *testing.T) {
	f := newFleet(t, 1)
	m := f.hubs[0]
	m.SetPresenceLimits(5, 0)
	want := func(entries int, full uint64) {
		t.Helper()
		if got, dropped := m.AsideEntries(), m.Counts().Dropped[PresenceFull]; got != entries || dropped != full {
			t.Errorf("%d entries, %d PDUs dropped; want %d and %d", got, dropped, entries, full)
		}
	}
	links := make([]*link, 3)
	for i := range links {
		links[i] = (&msgServer{all: f, name: "10.0.0.2"}).connect(m)
	}
	links[0].Send(t, online(1, 2, 3))
	links[1].Send(t, online(11, 12, 13)) // too many
	links[1].Send(t, online(11, 12, 11))
	want(5, 1)
	links[0].Send(t, online(1, 2, 3), statusUpdate(2, body.Online, body.ClientMac)) // adds nobody
	links[2].Send(t, statusUpdate(21, body.Online, body.ClientMac))
	want(5, 2)
	off := statusUpdate(1, body.Offline, body.ClientWindows)
	links[0].Send(t, off, off) // who was announced twice
	links[2].Send(t, statusUpdate(21, body.Online, body.ClientMac))
	want(5, 2)
	links[1].at.Leave(links[1].Seat)
	want(3, 2)
	links[0].Send(t, roleSet(1))
	want(1, 2)
	links[2].Send(t, online(22, 23, 24, 25))
	want(5, 2)
	f.sync()
	if got := len(statuses(m.Hub)); got != 2 {
		t.Errorf("%d users are online, want the 2 of the link that is active", got)
	}
}
