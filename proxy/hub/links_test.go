package hub_test

import (
	"iter"
	"slices"

	"switchyard/pdu"
	"switchyard/pdu/body"
	"switchyard/proxy/hub/hubtest"
)

// A msgServer behaves as the original does: it reports users over all links, and everything else over
// its master, which is the oldest link when the last one has ended.
type msgServer struct {
	all    *fleet
	name   string
	links  []*link // open ones, the oldest first
	master *link
	users  map[uint32]body.ClientType
	got    []byte // over all links
	alone  *hubtest.Peer
	want   []byte // at the lone hub, while a link was served
	served bool
	active *link // the last one that became active, as of the replay
	holds  *link // the one that holds its users, as of the replay
}

type link struct {
	*hubtest.Peer
	at    *fleetHub
	ended bool // as of the replay
}

func (s *msgServer) connect(m *fleetHub) *link {
	l := &link{Peer: &hubtest.Peer{Hub: m.Hub}, at: m}
	l.Seat = m.Connect(l, nil)
	l.SetIdentity(s.name)
	l.Begin()
	return l
}

// reconnect adds a link, the youngest.
func (s *msgServer) reconnect(m *fleetHub) {
	l := s.connect(m)
	s.links = append(s.links, l)
	if s.master == nil {
		s.declare()
	}
	if l == s.master {
		m.said = s.announceAlone(l)
	}
	l.Send(s.all.t, s.announcement())
	if m.said = nil; l == s.master { // so that nobody looks for its users between the two
		m.append(len(m.queue))
	}
}

// declare makes the oldest link the master.
func (s *msgServer) declare() {
	s.master = s.links[0]
	l, m := s.master, s.master.at
	n, some := len(m.queue), len(s.users) > 0
	m.said = s.announceAlone(l)
	s.master.Send(s.all.t, roleSet(1))
	m.said = nil
	m.queue[n].replay = nil // it has joined, and its users are those of its old link
	m.queue[len(m.queue)-1].replay = func() {
		s.alone.Send(s.all.t, roleSet(1))
		s.alone.Read() // which nobody was sent meanwhile
		s.alone.Got, s.served, s.active = nil, !l.ended, l
		if !some {
			s.holds = l
		}
	}
	if len(m.queue) < n+2 {
		s.all.t.Fatalf("%d records were said", len(m.queue)-n)
	}
}

// announceAlone returns what happens at the lone hub when the link has announced the users: they are those
// of the session, as if its msg_server had never lost a link.
func (s *msgServer) announceAlone(l *link) func() {
	users := slices.Collect(s.stats())
	return func() {
		s.holds = l
		s.all.lone.ReplaceUsers(s.alone.Session(), users)
	}
}

// stats returns the users of the msg_server.
func (s *msgServer) stats() iter.Seq[body.ServerUserStat] {
	return func(yield func(body.ServerUserStat) bool) {
		for user, client := range s.users {
			if !yield(body.ServerUserStat{User: user, Status: body.Online, Client: client}) {
				return
			}
		}
	}
}

func roleSet(master byte) []byte {
	return pdu.Append(nil, pdu.SID_OTHER, pdu.CID_OTHER_ROLE_SET, 0, []byte{8, master})
}

func (s *msgServer) announcement() []byte {
	p := pdu.Append(nil, pdu.SID_OTHER, pdu.CID_OTHER_ONLINE_USER_INFO, 0, nil)
	for stat := range s.stats() {
		p = body.AppendOnlineUser(p, stat)
	}
	pdu.SetLength(p)
	return p
}

// update reports a user over all links, if there are any.
func (s *msgServer) update(user uint32, status body.Status, client body.ClientType) {
	if len(s.links) == 0 {
		return
	}
	if delete(s.users, user); status != body.Offline {
		s.users[user] = client
	}
	p := statusUpdate(user, status, client)
	for _, l := range s.links {
		s.send(l, p)
	}
}

func statusUpdate(user uint32, status body.Status, client body.ClientType) []byte {
	p := pdu.Append(nil, pdu.SID_OTHER, pdu.CID_OTHER_USER_STATUS_UPDATE, 0, nil)
	p = body.AppendUserStatusUpdate(p, body.ServerUserStat{User: user, Status: status, Client: client})
	pdu.SetLength(p)
	return p
}

// say says something over the master.
func (s *msgServer) say(p []byte) {
	if s.master != nil {
		s.send(s.master, p)
	}
}

func (s *msgServer) send(l *link, p []byte) {
	if l == s.master {
		l.at.said = func() { s.alone.Send(s.all.t, p) }
	}
	l.Send(s.all.t, p)
	l.at.said = nil
}

// lose notes that a link has ended. If it was the master, the oldest other one is that at once.
func (s *msgServer) lose(l *link) {
	s.got = append(s.got, l.Read()...)
	s.links = slices.DeleteFunc(s.links, func(other *link) bool { return other == l })
	if l != s.master {
		return
	}
	s.all.local[l.at.read] = append(s.all.local[l.at.read], func() {
		l.ended = true
		if s.served && s.active == l {
			s.want = append(s.want, s.alone.Read()...)
			s.alone.Got, s.served = nil, false
		}
	})
	s.master = nil
	if len(s.links) > 0 {
		s.declare()
	}
}

// lost is lose at a hub that lives.
func (l *link) lost(s *msgServer) {
	l.at.append(len(l.at.queue)) // what came over the link before it broke
	l.at.left[l.Session()] = func() {
		if s.holds == l {
			s.releaseAlone()
		}
	}
	l.at.LeaveOrdered(l.Seat)
	l.at.Leave(l.Seat)
	s.lose(l)
}

// releaseAlone has the lone hub release the users.
func (s *msgServer) releaseAlone() {
	s.holds = nil
	s.all.lone.ReleaseUsers(s.alone.Session())
}
