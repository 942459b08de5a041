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
	"switchyard/proxy/hub/hubtest"
)

// A backend is a set of msg_servers with users. Each is connected to two hubs, which
// receive the same PDUs at the same time. The first hub routes as the route_server does,
// the second by the policy under test.
type backend struct {
	t       testing.TB
	rnd     *rand.Rand
	hubs    [2]*hub.Hub
	servers []*server
	users   uint32 // ids from 1 on
	groups  [][]uint32
	prompt  bool                          // a PDU arrives before anything else happens
	breaks  bool                          // connections to the hubs break now and then
	calm    bool                          // few users log in and out, as during the day
	sent    uint32                        // the number of the last PDU
	known   map[uint32]map[*server]uint32 // by PDU number: the users of the PDU that the hubs knew to be at each server, as bits
	result
}

const (
	byBroadcast = 0
	byPolicy    = 1
)

// A result counts what the servers received and missed.
type result struct {
	wrong  []string // copies that a server needed and missed, and other faults
	racing int      // copies missed because the hub did not know yet that the user was there
	copies [2]map[pdu.CommandID]policy.Copies
}

// A server is a msg_server.
type server struct {
	name    int
	links   [2]*hubtest.Peer // nil while it is not connected
	clients []*client        // in the order of their logins
	out     [][]byte         // on the way to the hubs
	known   map[uint32]int   // the number of clients by user that the hubs know
}

// A client is a user's connection to a msg_server.
type client struct {
	at     *server
	user   uint32
	kind   pb.ClientType
	status pb.UserStatType
	kicked bool
}

func newBackend(t testing.TB, seed uint64, servers int, under *policy.Generation) *backend {
	b := &backend{t: t, rnd: rand.New(rand.NewPCG(seed, 7)), users: uint32(25 * servers), known: make(map[uint32]map[*server]uint32)}
	for i, g := range []*policy.Generation{generation(t, teamtalkModule), under} {
		j := policy.NewActive(g)
		t.Cleanup(j.Close)
		b.hubs[i] = hub.New(j, 1<<40)
		b.copies[i] = make(map[pdu.CommandID]policy.Copies)
	}
	for i := range servers {
		s := &server{name: i, known: make(map[uint32]int)}
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

// run lets n events happen, then settles.
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

// settle delivers everything that is on its way, until nothing more follows from it.
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

// happen is one random event of a connection, a client or the network.
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

// morning logs in most users, many with two devices, each at a random server. It does not
// count the copies.
func (b *backend) morning() {
	for u := range b.users {
		for range []int{0, 1, 1, 1, 2, 2}[b.rnd.IntN(6)] {
			b.login(b.servers[b.rnd.IntN(len(b.servers))], 1+u, b.device())
		}
	}
	b.settle()
	b.copies = [2]map[pdu.CommandID]policy.Copies{{}, {}}
}

func (b *backend) device() pb.ClientType { return []pb.ClientType{1, 2, 0x11, 0x12}[b.rnd.IntN(4)] }

// act lets a client do something, in about the proportions of an office.
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
			MsgId: &b.sent, SessionType: pb.SessionType_SESSION_TYPE_SINGLE.Enum()})
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
	case c.kind >= 0x10: // from the phone, log out the PC
		b.kick(c.at, c.user, pb.ClientType_CLIENT_TYPE_MAC, 2)
	}
}

func (b *backend) chat(from *client, to uint32, kind pb.MsgType) {
	b.say(from.at, pdu.CID_MSG_DATA, &pb.IMMsgData{FromUserId: &from.user, ToSessionId: &to, MsgId: proto.Uint32(b.sent + 1), CreateTime: proto.Uint32(1),
		MsgType: &kind, MsgData: bytes.Repeat([]byte("a"), 20+b.rnd.IntN(200)), AttachData: []byte("the connection it came by")})
}

func (b *backend) user() uint32 { return 1 + b.rnd.Uint32N(b.users) }

// other returns a user to talk to, mostly one who is online.
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

// login is what a msg_server does once the database has confirmed a password: it kicks
// the user's client of the same kind, asks the other servers to do so too, and reports the
// user, all before it does anything else.
func (b *backend) login(s *server, user uint32, kind pb.ClientType) {
	if s.links[0] == nil {
		return // without a hub it refuses logins
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

// kick marks the user's client of the same kind: a user has at most one PC and one phone.
func (s *server) kick(user uint32, kind pb.ClientType) {
	for _, c := range s.clients {
		if c.user == user && (c.kind^kind)>>4 == 0 {
			c.kicked = true
			return
		}
	}
}

// kickedLeave logs out the clients that were kicked, and reports whether there were any.
func (b *backend) kickedLeave(s *server) (any bool) {
	for _, c := range slices.Clone(s.clients) {
		if c.kicked {
			b.logout(c)
			any = true
		}
	}
	return any
}

// connect does what a msg_server does first: it declares itself a master and announces its
// users.
func (b *backend) connect(s *server) {
	for i, h := range b.hubs {
		s.links[i] = hubtest.Join(h)
	}
	var users []*pb.ServerUserStat
	for _, c := range s.clients {
		users = append(users, pdutest.Stat(c.user, c.status, c.kind))
	}
	s.out = append(s.out, pdutest.RoleSet(true), pdutest.Online(users...))
}

// disconnect loses what is on its way.
func (b *backend) disconnect(s *server) {
	for i, l := range s.links {
		l.Leave(hub.PeerReset)
		s.links[i] = nil
	}
	s.out = nil
	clear(s.known)
}

// say sends a PDU to the hubs, with a unique number in its header.
func (b *backend) say(s *server, c pdu.CommandID, m proto.Message) {
	if s.links[0] == nil {
		return
	}
	b.sent++
	p := pdutest.PDU(c, uint16(b.sent), m)
	h := pdu.ParseHeader(p)
	h.Reserved = uint16(b.sent >> 16)
	s.out = append(s.out, h.Append(nil))
	last := len(s.out) - 1
	s.out[last] = append(s.out[last], p[pdu.HeaderLen:]...)
}

func (b *backend) fail(format string, args ...any) {
	b.wrong = append(b.wrong, fmt.Sprintf(format, args...))
}
