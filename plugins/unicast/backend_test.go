package unicast

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	"switchyard/pdu"
	"switchyard/pdu/pb"
	"switchyard/pdu/pdutest"
	"switchyard/policy"
	"switchyard/proxy/hub"
)

// A backend is msg_servers with users, connected to two hubs that are told the same
// at the same time: by the first everything is routed as the route_server does, by
// the second as the policy under test says.
type backend struct {
	t       testing.TB
	rnd     *rand.Rand
	hubs    [2]*hub.Hub
	servers []*server
	users   uint32 // ids from 1 on
	groups  [][]uint32
	prompt  bool // what is said arrives before anything else happens
	breaks  bool // connections to the hubs break at times
	calm    bool // few log in and out, as during the day
	said    uint32
	told    map[uint32]map[*server]uint32 // by the number of a PDU: which of its users the hubs knew to be where, as bits
	result
}

const (
	byBroadcast = 0
	byPolicy    = 1
)

// A result is what came of it.
type result struct {
	wrong  []string // copies that a server needed and did not get, and the like
	racing int      // copies needed and not got, of users whose arrival there the hub had not heard of
	sent   [2]map[pdu.CommandID]hub.Copies
}

// A server is a msg_server.
type server struct {
	name    int
	links   [2]*link       // nil while it is not connected
	clients []*client      // in the order of their logins
	out     [][]byte       // said, and not arrived at the hubs
	told    map[uint32]int // clients by user that the hubs have been told of
}

// A client is a connection of a user's.
type client struct {
	at     *server
	user   uint32
	kind   pb.ClientType
	status pb.UserStatType
	kicked bool
}

// A link is a server's connection to one hub.
type link struct {
	hub  *hub.Hub
	seat *hub.Seat
}

func (*link) Noted(hub.Note)   {}
func (*link) Close(hub.Reason) {}

func newBackend(t testing.TB, seed uint64, servers int, under *policy.Generation) *backend {
	b := &backend{t: t, rnd: rand.New(rand.NewPCG(seed, 7)), users: uint32(25 * servers), told: make(map[uint32]map[*server]uint32)}
	for i, g := range []*policy.Generation{generation(t, teamtalkModule), under} {
		j := policy.NewActive(g)
		t.Cleanup(j.Close)
		b.hubs[i] = hub.New(j, 1<<40)
		b.sent[i] = make(map[pdu.CommandID]hub.Copies)
	}
	for i := range servers {
		s := &server{name: i, told: make(map[uint32]int)}
		b.servers = append(b.servers, s)
		b.connect(s)
	}
	for range servers {
		members := make([]uint32, 3+b.rnd.IntN(10))
		for i := range members {
			members[i] = b.user()
		}
		b.groups = append(b.groups, members)
	}
	return b
}

// run has n things happen, and then quiet.
func (b *backend) run(n int) result {
	for range n {
		b.happen()
		if b.prompt {
			b.settle()
		}
	}
	b.settle()
	return b.result
}

// settle lets everything arrive, and what follows from it.
func (b *backend) settle() {
	for busy := true; busy; {
		busy = false
		for _, s := range b.servers {
			b.arrive(s, len(s.out))
		}
		for _, s := range b.servers {
			b.read(s)
		}
		for _, s := range b.servers {
			busy = b.kickedLeave(s) || busy
		}
	}
}

// happen is one thing that happens: to a connection, a client, or on the wire.
func (b *backend) happen() {
	s := b.servers[b.rnd.IntN(len(b.servers))]
	switch n := b.rnd.IntN(1000); {
	case s.links[0] == nil:
		if n < 300 {
			b.connect(s)
		}
	case n < 2 && b.breaks:
		b.disconnect(s)
	case n < 250:
		b.arrive(s, b.rnd.IntN(1+len(s.out)))
	case n < 450:
		b.read(s)
	case n < 500:
		b.kickedLeave(s)
	case n >= 506 && n < 570 && b.calm:
	case n < 540:
		b.login(s, b.user(), b.device())
	case n < 550:
		// The same user at two servers at once, as when two devices wake up.
		u, kind := b.user(), []pb.ClientType{1, 0x11}[b.rnd.IntN(2)]
		b.login(s, u, kind)
		b.login(b.servers[b.rnd.IntN(len(b.servers))], u, kind)
	default:
		if c := b.anyClient(s); c != nil {
			b.act(c)
		}
	}
}

// morning has most users log in, many of them with two devices, each at any server;
// nothing is counted of it.
func (b *backend) morning() {
	for u := range b.users {
		for range []int{0, 1, 1, 1, 2, 2}[b.rnd.IntN(6)] {
			b.login(b.servers[b.rnd.IntN(len(b.servers))], 1+u, b.device())
		}
	}
	b.settle()
	b.sent = [2]map[pdu.CommandID]hub.Copies{{}, {}}
}

func (b *backend) device() pb.ClientType { return []pb.ClientType{1, 2, 0x11, 0x12}[b.rnd.IntN(4)] }

// act has a client do something, in about the proportions of an office.
func (b *backend) act(c *client) {
	switch n := b.rnd.IntN(100); {
	case n < 9 && b.calm && b.rnd.IntN(10) > 0:
	case n < 9:
		b.logout(c)
	case n < 45:
		b.chat(c, b.other(c), pb.MsgType_MSG_TYPE_SINGLE_TEXT)
	case n < 50:
		b.chat(c, uint32(b.rnd.IntN(len(b.groups))), pb.MsgType_MSG_TYPE_GROUP_TEXT)
	case n < 75:
		b.say(c.at, pdu.CID_MSG_READ_NOTIFY, &pb.IMMsgDataReadNotify{UserId: &c.user, SessionId: proto.Uint32(b.other(c)),
			MsgId: &b.said, SessionType: pb.SessionType_SESSION_TYPE_SINGLE.Enum()})
	case n < 95:
		b.say(c.at, pdu.CID_SWITCH_P2P_CMD, &pb.IMP2PCmdMsg{FromUserId: &c.user, ToUserId: proto.Uint32(b.other(c)), CmdMsgData: proto.String("typing")})
	case n < 97:
		b.say(c.at, pdu.CID_BUDDY_LIST_REMOVE_SESSION_NOTIFY, &pb.IMRemoveSessionNotify{UserId: &c.user,
			SessionType: pb.SessionType_SESSION_TYPE_SINGLE.Enum(), SessionId: proto.Uint32(b.other(c))})
	case n < 98:
		b.say(c.at, pdu.CID_FILE_NOTIFY, &pb.IMFileNotify{FromUserId: &c.user, ToUserId: proto.Uint32(b.other(c)), FileName: proto.String("minutes.txt"),
			FileSize: proto.Uint32(4711), TaskId: proto.String("one"), TransMode: pb.TransferFileType_FILE_TYPE_OFFLINE.Enum(), OfflineReady: proto.Uint32(1)})
	case n < 99:
		group := b.rnd.IntN(len(b.groups))
		b.say(c.at, pdu.CID_GROUP_CHANGE_MEMBER_NOTIFY, &pb.IMGroupChangeMemberNotify{UserId: &c.user, GroupId: proto.Uint32(uint32(group)),
			ChangeType: pb.GroupModifyType_GROUP_MODIFY_TYPE_ADD.Enum(), CurUserIdList: b.groups[group], ChgUserIdList: []uint32{b.user()}})
	case c.kind >= 0x10: // from the phone, have the PC logged out
		b.kick(c.at, c.user, pb.ClientType_CLIENT_TYPE_MAC, 2)
	}
}

func (b *backend) chat(from *client, to uint32, kind pb.MsgType) {
	b.say(from.at, pdu.CID_MSG_DATA, &pb.IMMsgData{FromUserId: &from.user, ToSessionId: &to, MsgId: proto.Uint32(b.said + 1), CreateTime: proto.Uint32(1),
		MsgType: &kind, MsgData: bytes.Repeat([]byte("a"), 20+b.rnd.IntN(200)), AttachData: []byte("the connection it came by")})
}

func (b *backend) user() uint32 { return 1 + b.rnd.Uint32N(b.users) }

// other returns whom a client has to do with: mostly somebody who is online.
func (b *backend) other(c *client) uint32 {
	if b.rnd.IntN(10) < 8 {
		if o := b.anyClient(b.servers[b.rnd.IntN(len(b.servers))]); o != nil {
			return o.user
		}
	}
	return b.user()
}

func (b *backend) anyClient(s *server) *client {
	if len(s.clients) == 0 {
		return nil
	}
	return s.clients[b.rnd.IntN(len(s.clients))]
}

func (s *server) has(user uint32) bool {
	return slices.ContainsFunc(s.clients, func(c *client) bool { return c.user == user })
}

// login is what a msg_server does when the database has confirmed the password: it
// kicks the user's client of the same kind at its own, tells the other servers to,
// and reports the user, all before it goes on to anything else.
func (b *backend) login(s *server, user uint32, kind pb.ClientType) {
	if s.links[0] == nil {
		return // it refuses logins then
	}
	s.kick(user, kind)
	b.kick(s, user, kind, 1)
	s.clients = append(s.clients, &client{at: s, user: user, kind: kind, status: []pb.UserStatType{1, 1, 3}[b.rnd.IntN(3)]})
	b.report(s, user, pb.UserStatType_USER_STATUS_ONLINE, kind)
}

func (b *backend) logout(c *client) {
	s := c.at
	s.clients = slices.DeleteFunc(s.clients, func(other *client) bool { return other == c })
	b.report(s, c.user, pb.UserStatType_USER_STATUS_OFFLINE, c.kind)
}

func (b *backend) kick(s *server, user uint32, kind pb.ClientType, reason uint32) {
	b.say(s, pdu.CID_OTHER_SERVER_KICK_USER, &pb.IMServerKickUser{UserId: &user, ClientType: &kind, Reason: &reason})
}

func (b *backend) report(s *server, user uint32, status pb.UserStatType, kind pb.ClientType) {
	b.say(s, pdu.CID_OTHER_USER_STATUS_UPDATE, &pb.IMUserStatusUpdate{UserId: &user, UserStatus: proto.Uint32(uint32(status)), ClientType: &kind})
}

// kick tells a client of the user's to go: there is one PC and one phone at most.
func (s *server) kick(user uint32, kind pb.ClientType) {
	for _, c := range s.clients {
		if c.user == user && (c.kind^kind)>>4 == 0 {
			c.kicked = true
			return
		}
	}
}

// kickedLeave has the clients go that were told to, and reports whether there were any.
func (b *backend) kickedLeave(s *server) (any bool) {
	for _, c := range slices.Clone(s.clients) {
		if c.kicked {
			b.logout(c)
			any = true
		}
	}
	return any
}

// connect does what a msg_server does first: it says that the hub is its master, and
// announces its users.
func (b *backend) connect(s *server) {
	for i, h := range b.hubs {
		l := &link{hub: h}
		l.seat = h.Join(l)
		s.links[i] = l
	}
	var users []*pb.ServerUserStat
	for _, c := range s.clients {
		users = append(users, pdutest.Stat(c.user, c.status, c.kind))
	}
	s.out = append(s.out, pdutest.RoleSet(true), pdutest.Online(users...))
}

// disconnect loses what is under way.
func (b *backend) disconnect(s *server) {
	for i, l := range s.links {
		l.hub.Leave(l.seat)
		l.seat.Release(hub.PeerReset)
		s.links[i] = nil
	}
	s.out = nil
	clear(s.told)
}

// say sends a PDU to the hubs, with a number of its own in the header.
func (b *backend) say(s *server, c pdu.CommandID, m proto.Message) {
	if s.links[0] == nil {
		return
	}
	b.said++
	p := pdutest.PDU(c, uint16(b.said), m)
	h := pdu.ParseHeader(p)
	h.Reserved = uint16(b.said >> 16)
	s.out = append(s.out, h.Append(nil))
	last := len(s.out) - 1
	s.out[last] = append(s.out[last], p[pdu.HeaderLen:]...)
}

func number(p []byte) uint32 {
	h := pdu.ParseHeader(p)
	return uint32(h.Seq) | uint32(h.Reserved)<<16
}

// arrive has the hubs handle the first n PDUs that the server said.
func (b *backend) arrive(s *server, n int) {
	if n == 0 || s.links[0] == nil {
		return
	}
	for _, p := range s.out[:n] {
		b.note(s, p)
	}
	batch := bytes.Join(s.out[:n], nil)
	s.out = s.out[n:]
	for _, l := range s.links {
		if err := l.hub.Handle(l.seat, batch); err != nil {
			b.t.Fatalf("Handle: %v", err)
		}
	}
}

// note remembers what the hubs know when they route a PDU.
func (b *backend) note(s *server, p []byte) {
	switch pdu.ParseHeader(p).Command {
	case pdu.CID_OTHER_USER_STATUS_UPDATE:
		var m pb.IMUserStatusUpdate
		unmarshal(b.t, p, &m)
		s.hear(m.GetUserId(), pb.UserStatType(m.GetUserStatus()))
		return
	case pdu.CID_OTHER_ONLINE_USER_INFO:
		var m pb.IMOnlineUserInfo
		unmarshal(b.t, p, &m)
		for _, u := range m.GetUserStatList() {
			s.hear(u.GetUserId(), u.GetStatus())
		}
		return
	}
	users, _ := concerned(b.t, p)
	told := make(map[*server]uint32)
	for _, s := range b.servers {
		for i, u := range users {
			if s.told[u] > 0 {
				told[s] |= 1 << i
			}
		}
	}
	b.told[number(p)] = told
}

func (s *server) hear(user uint32, status pb.UserStatType) {
	if status != pb.UserStatType_USER_STATUS_OFFLINE {
		s.told[user]++
	} else if s.told[user]--; s.told[user] <= 0 {
		delete(s.told, user)
	}
}

func unmarshal(t testing.TB, p []byte, m proto.Message) {
	t.Helper()
	if err := proto.Unmarshal(p[pdu.HeaderLen:], m); err != nil {
		t.Fatalf("%s: %v", pdutest.Dump(p), err)
	}
}

// read has the server take what both hubs have for it, compares, and does what
// follows from what it would have got from the route_server.
func (b *backend) read(s *server) {
	if s.links[0] == nil {
		return
	}
	want, got := b.take(s, byBroadcast), b.take(s, byPolicy)
	for _, p := range want {
		if len(got) > 0 && bytes.Equal(p, got[0]) {
			got = got[1:]
		} else {
			b.missed(s, p)
		}
		if pdu.ParseHeader(p).Command == pdu.CID_OTHER_SERVER_KICK_USER {
			var m pb.IMServerKickUser
			unmarshal(b.t, p, &m)
			s.kick(m.GetUserId(), m.GetClientType())
		}
	}
	for _, p := range got {
		b.fail("server %d got %s, at all or in another order", s.name, pdutest.Dump(p))
	}
}

// take reads what one hub has for the server, and counts it.
func (b *backend) take(s *server, which int) [][]byte {
	l := s.links[which]
	var got []byte
	for n := 1; n > 0; {
		n = 0
		for _, piece := range l.seat.Due(make([][]byte, 0, 64), l.hub.Head(), 1<<20) {
			got = append(got, piece...)
			n += len(piece)
		}
		l.seat.Sent(n)
	}
	pdus := pdutest.Split(got)
	for _, p := range pdus {
		c := pdu.ParseHeader(p).Command
		copies := b.sent[which][c]
		b.sent[which][c] = hub.Copies{PDUs: copies.PDUs + 1, Bytes: copies.Bytes + uint64(len(p))}
	}
	return pdus
}

func (b *backend) fail(format string, args ...any) {
	b.wrong = append(b.wrong, fmt.Sprintf(format, args...))
}
