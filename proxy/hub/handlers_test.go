package hub_test

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"switchyard/pdu"
	"switchyard/pdu/pb"
	"switchyard/pdu/pdutest"
	. "switchyard/proxy/hub"
	"switchyard/proxy/hub/hubtest"
)

// A model is the original's user table as docs/protocol.md describes it, made of maps
// only: owners and counts for each user. The protobuf library makes what it sends.
type model map[uint32]*modelUser

type modelUser struct {
	owners map[*hubtest.Peer]bool
	counts map[pb.ClientType]int
}

func isPC(c pb.ClientType) bool { return c&0x10 == 0 }

func (u *modelUser) hasPC() bool {
	return u != nil && (u.counts[1] > 0 || u.counts[2] > 0)
}

func (m model) apply(g *hubtest.Peer, user, status uint32, client pb.ClientType) {
	u := m[user]
	if status != 2 {
		if u == nil {
			u = &modelUser{make(map[*hubtest.Peer]bool), make(map[pb.ClientType]int)}
			m[user] = u
		}
		u.owners[g] = true
		u.counts[client]++
		return
	}
	if u == nil || !u.owners[g] {
		return
	}
	if u.counts[client] > 0 {
		u.counts[client]--
	}
	for _, n := range u.counts {
		if n > 0 {
			return
		}
	}
	if delete(u.owners, g); len(u.owners) == 0 {
		delete(m, user)
	}
}

// update returns the notices for every peer.
func (m model) update(g *hubtest.Peer, user, status uint32, client pb.ClientType) (sent []byte) {
	if isPC(client) && (status < 1 || status > 3) {
		return nil // the original aborts
	}
	m.apply(g, user, status, client)
	u := m[user]
	switch {
	case status != 2 && isPC(client):
		sent = append(pdutest.LoginNotify(user, true), pdutest.StatusNotify(user, pb.UserStatType(status))...)
	case status != 2 && u.hasPC():
		sent = pdutest.LoginNotify(user, true)
	case status == 2 && isPC(client) && u == nil:
		sent = pdutest.StatusNotify(user, 2)
	case status == 2 && isPC(client) && !u.hasPC():
		sent = append(pdutest.LoginNotify(user, false), pdutest.StatusNotify(user, 2)...)
	}
	return sent
}

func (m model) answer(seq uint16, users []uint32) []byte {
	var stats []*pb.UserStat
	for _, user := range users {
		status := pb.UserStatType(2)
		if m[user].hasPC() {
			status = 1
		}
		stats = append(stats, pdutest.UserStat(user, status))
	}
	return pdutest.StatusResponse(seq, 1, []byte("attached"), stats...)
}

func (m model) leave(g *hubtest.Peer) {
	for user, u := range m {
		if delete(u.owners, g); len(u.owners) == 0 {
			delete(m, user)
		}
	}
}

// Whatever peers report and ask, in whatever order, every peer receives what the model
// sends, byte for byte and in one order.
func TestHandlersAgainstModel(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { playHandlers(t, rand.New(rand.NewPCG(seed, 2))) })
	}
}

func playHandlers(t *testing.T, rnd *rand.Rand) {
	h, m := newHub(commonRules()), make(model)
	var peers []*hubtest.Peer
	want := make(map[*hubtest.Peer][]byte)
	toAll := func(p []byte) {
		for _, g := range peers {
			want[g] = append(want[g], p...)
		}
	}
	user := func() uint32 { return []uint32{0, 1, 2, 3, 300, 1<<32 - 1}[rnd.IntN(6)] }
	client := func() pb.ClientType { return []pb.ClientType{1, 2, 0x11, 0x12}[rnd.IntN(4)] }
	for range 500 {
		n := rnd.IntN(20)
		if len(peers) == 0 || n == 0 && len(peers) < 6 {
			peers = append(peers, hubtest.Join(h))
			continue
		}
		i := rnd.IntN(len(peers))
		g := peers[i]
		switch {
		case n == 1:
			peers = slices.Delete(peers, i, i+1)
			h.Leave(g.Seat)
			m.leave(g)
			check(t, g, want)
			g.Release(PeerClosed)
		case n < 4:
			var stats []*pb.ServerUserStat
			for range rnd.IntN(4) {
				u, s, c := user(), 1+rnd.Uint32N(3), client()
				stats = append(stats, pdutest.Stat(u, pb.UserStatType(s), c))
				m.apply(g, u, s, c)
			}
			g.Send(t, pdutest.Online(stats...))
		case n < 7:
			users := make([]uint32, rnd.IntN(4))
			for i := range users {
				users[i] = user()
			}
			seq := uint16(rnd.Uint32())
			want[g] = append(want[g], m.answer(seq, users)...)
			g.Send(t, pdutest.StatusRequest(seq, 1, []byte("attached"), users...))
		case n == 7:
			p := message(others, 1, "between")
			for _, to := range peers {
				if to != g {
					want[to] = append(want[to], p...)
				}
			}
			g.Send(t, p)
		case n == 8:
			g.Send(t, pdutest.Raw(pdu.CID_OTHER_USER_STATUS_UPDATE, 0, []byte{0x08}), pdutest.RoleSet(true), pdutest.Heartbeat())
		default:
			u, s, c := user(), rnd.Uint32N(5), client()
			toAll(m.update(g, u, s, c))
			g.Send(t, pdutest.StatusUpdate(u, s, c))
		}
		if users := len(slices.Collect(maps.Keys(m))); h.Users() != users {
			t.Fatalf("%d users are present, want %d", h.Users(), users)
		}
	}
	for _, g := range peers {
		check(t, g, want)
	}
}

func check(t *testing.T, g *hubtest.Peer, want map[*hubtest.Peer][]byte) {
	t.Helper()
	if !bytes.Equal(g.Read(), want[g]) {
		t.Fatalf("session %d got\n%q, want\n%q", g.Session(), dump(g.Got), dump(want[g]))
	}
}

func dump(stream []byte) (lines []string) {
	for _, p := range pdutest.Split(stream) {
		lines = append(lines, pdutest.Dump(p))
	}
	return lines
}
