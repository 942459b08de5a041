package unicast

import (
	"bytes"
	"testing"

	"google.golang.org/protobuf/proto"

	"switchyard/pdu"
	"switchyard/pdu/pb"
	"switchyard/pdu/pdutest"
	"switchyard/policy"
)

func number(p []byte) uint32 {
	h := pdu.ParseHeader(p)
	return uint32(h.Seq) | uint32(h.Reserved)<<16
}

// arrive lets the hubs handle the first n PDUs that are on their way from the server.
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
		if err := l.Hub.Handle(l.Seat, batch); err != nil {
			b.t.Fatalf("Handle: %v", err)
		}
	}
}

// note remembers what the hubs know at the moment they route a PDU.
func (b *backend) note(s *server, p []byte) {
	switch pdu.ParseHeader(p).Command {
	case pdu.CID_OTHER_USER_STATUS_UPDATE:
		var m pb.IMUserStatusUpdate
		unmarshal(b.t, p, &m)
		s.reported(m.GetUserId(), pb.UserStatType(m.GetUserStatus()))
		return
	case pdu.CID_OTHER_ONLINE_USER_INFO:
		var m pb.IMOnlineUserInfo
		unmarshal(b.t, p, &m)
		for _, u := range m.GetUserStatList() {
			s.reported(u.GetUserId(), u.GetStatus())
		}
		return
	}
	users, _ := concerned(b.t, p)
	known := make(map[*server]uint32)
	for _, s := range b.servers {
		for i, u := range users {
			if s.known[u] > 0 {
				known[s] |= 1 << i
			}
		}
	}
	b.known[number(p)] = known
}

// reported counts a change of status that the hubs have received.
func (s *server) reported(user uint32, status pb.UserStatType) {
	if status != pb.UserStatType_USER_STATUS_OFFLINE {
		s.known[user]++
	} else if s.known[user]--; s.known[user] <= 0 {
		delete(s.known, user)
	}
}

func unmarshal(t testing.TB, p []byte, m proto.Message) {
	t.Helper()
	if err := proto.Unmarshal(p[pdu.HeaderLen:], m); err != nil {
		t.Fatalf("%s: %v", pdutest.Dump(p), err)
	}
}

// read takes what both hubs have for the server, compares it, and acts on what the server
// would have received from the route_server.
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
		b.fail("server %d got %s, which it should not get, or not now", s.name, pdutest.Dump(p))
	}
}

// take reads and counts what one hub has for the server.
func (b *backend) take(s *server, which int) [][]byte {
	l := s.links[which]
	pdus := pdutest.Split(l.Read())
	l.Got = nil
	for _, p := range pdus {
		c := pdu.ParseHeader(p).Command
		before := b.copies[which][c]
		b.copies[which][c] = policy.Copies{PDUs: before.PDUs + 1, Bytes: before.Bytes + uint64(len(p))}
	}
	return pdus
}
