//go:build full

package main

import (
	"bytes"
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"switchyard/pdu"
	"switchyard/pdu/pb"
	"switchyard/pdu/pdutest"
	"switchyard/proxy/admin/api"
	"switchyard/proxy/order/jetstream/bustest"
)

// Three msg_servers have links to both hubs of a cluster with standby links. When a hub is killed, those that it
// served go over to the other one. Their users are never offline, each message and each notice comes once, and
// users who log out afterwards are offline.
func TestStandbyLinksOverHubs(t *testing.T) {
	t.Parallel()
	f := startFleet(bustest.Start(t, 1), 2, fleetSettings{tenants: []string{"links"}, // with the shipped policy
		cluster: "replicas = 1\nalone_after = \"5m\"\nstandby_links = true\n"})
	a, b := &route{name: "first"}, &route{name: "second"}
	for place, r := range []*route{a, b} {
		address := f.members[place].listening("links")[0]
		r.address.Store(&address)
	}
	c := startMsgServer(t, "C", b, a)
	moving := []*msgServer{startMsgServer(t, "A", a, b), startMsgServer(t, "B", a, b)}
	servers := append([]*msgServer{c}, moving...)
	await(t, "links to both hubs", servers, func(m *msgServer) bool { return len(m.links) == 2 && m.sendsOver(m.routes[0]) })
	f.awaitLinks(0, 2, 1)
	f.awaitLinks(1, 1, 2)
	for _, m := range servers {
		m.talk()
	}
	await(t, "messages", servers, func(m *msgServer) bool { return len(m.sent) > 50 })
	settleMasters(t, servers)
	checkPresence(t, servers, b)
	checkNoticedOnce(t, servers, 70)

	if n := f.standby(1); n != 0 {
		t.Errorf("the hub counts %d PDUs as standby, and no peer has sent one over a standby link", n)
	}
	moving[0].mu.Lock()
	moving[0].links[b].Write(pdutest.Raw(pdu.CID_MSG_DATA, 1, []byte("over a standby link")))
	moving[0].mu.Unlock()
	eventually(t, func() bool { return f.standby(1) == 1 }, func() string { return "no PDU of a standby link was dropped" })

	late(servers, a)
	settleMasters(t, servers)
	a.gone()
	f.members[0].down = true
	f.members[0].signal(syscall.SIGKILL)
	await(t, "going over to the other hub", servers, func(m *msgServer) bool { return m.sendsOver(b) && m.links[a] == nil })
	f.awaitOnlyMember(1, func() { checkPresence(t, servers, b) }) // the other hub is declared gone
	checkPresence(t, servers, b)
	f.awaitLinks(1, 3, 0)
	checkNoticedOnce(t, servers, 71)
	for _, m := range servers {
		m.quiet()
	}
	settleMasters(t, servers)
	checkHeardOnce(t, servers, c)
	checkLoggedOut(t, c, moving)
}

// awaitLinks waits until so many links of the hub at a place are those of masters, and so many standby.
func (f *fleet) awaitLinks(place, masters, standby int) {
	f.t.Helper()
	var got [2]int
	eventually(f.t, func() bool {
		all, err := f.members[place].admin.Connections(f.t.Context(), []string{"links"}, "id", 100)
		if err != nil {
			f.t.Fatal(err)
		}
		got = [2]int{}
		for _, c := range all.Connections {
			if c.Master {
				got[0]++
			}
			if c.Standby {
				got[1]++
			}
		}
		return got == [2]int{masters, standby}
	}, func() string {
		return fmt.Sprintf("%d links of masters and %d standby ones, want %d and %d", got[0], got[1], masters, standby)
	})
}

// standby returns how many PDUs the hub at a place has dropped because they came over a standby link.
func (f *fleet) standby(place int) uint64 {
	f.t.Helper()
	s, err := f.members[place].admin.Snapshot(f.t.Context())
	if err != nil {
		f.t.Fatal(err)
	}
	return s.Tenants[0].Dropped["standby"]
}

// settleMasters waits until each msg_server has received what any of them has said before.
func settleMasters(t *testing.T, servers []*msgServer) {
	t.Helper()
	for range 2 {
		for _, m := range servers {
			m.mu.Lock()
			r := m.master.route
			m.mu.Unlock()
			settle(t, []*msgServer{m}, r)
		}
	}
}

// checkNoticedOnce logs a user of the last msg_server in, and checks that each of them is notified once.
func checkNoticedOnce(t *testing.T, servers []*msgServer, user uint32) {
	t.Helper()
	m := servers[len(servers)-1]
	user += m.first
	m.update(user, true)
	settleMasters(t, append([]*msgServer{m}, servers...))
	notice := pdutest.StatusNotify(user, pb.UserStatType_USER_STATUS_ONLINE)
	for _, to := range servers {
		if n := to.count(func(h receivedPDU) bool { return bytes.Equal(h.pdu, notice) }); n != 1 {
			t.Errorf("%s was notified of user %d %d times, want once", to.name, user, n)
		}
	}
}

// checkHeardOnce checks that no msg_server received a message twice, and that the one whose hub lives received
// all of the others, but those that were in flight to the hub that was killed.
func checkHeardOnce(t *testing.T, servers []*msgServer, stays *msgServer) {
	t.Helper()
	for _, from := range servers {
		for _, to := range slices.DeleteFunc(slices.Clone(servers), func(m *msgServer) bool { return m == from }) {
			times := make([]int, len(from.sent))
			to.count(func(h receivedPDU) bool {
				n := from.number(h.pdu)
				if n >= 0 {
					times[n]++
				}
				return n >= 0
			})
			lost := 0
			for n, s := range from.sent {
				if times[n] > 1 || times[n] == 0 && to == stays && !s.late {
					t.Errorf("%s received %s's message %d %d times, want once", to.name, from.name, n, times[n])
				}
				if times[n] == 0 {
					lost++
				}
			}
			t.Logf("%s received what %s sent, except %d of %d messages in flight when the hub was killed", to.name, from.name, lost, len(from.sent))
			if last := len(times) - 1; times[last] != 1 {
				t.Errorf("%s did not receive the last message of %s", to.name, from.name)
			}
		}
	}
}

// checkLoggedOut logs all users of the msg_servers that have gone over out, and asks the other one.
func checkLoggedOut(t *testing.T, asks *msgServer, moved []*msgServer) {
	t.Helper()
	var ids []uint32
	var offline []*pb.UserStat
	for _, m := range moved {
		for user := range uint32(100) {
			if m.users[m.first+user] {
				m.update(m.first+user, false)
				ids = append(ids, m.first+user)
				offline = append(offline, pdutest.UserStat(m.first+user, pb.UserStatType_USER_STATUS_OFFLINE))
			}
		}
	}
	settleMasters(t, moved)
	asks.mu.Lock()
	asks.seq++
	want := pdutest.StatusResponse(asks.seq, 1, nil, offline...)
	asks.master.Write(pdutest.StatusRequest(asks.seq, 1, nil, ids...))
	asks.mu.Unlock()
	settleMasters(t, []*msgServer{asks})
	if n := asks.count(func(h receivedPDU) bool { return bytes.Equal(h.pdu, want) }); n != 1 {
		t.Errorf("not all of %d users are offline who logged out", len(ids))
	}
}

// awaitOnlyMember waits until the hub at a place is the tenant's only member, and calls meanwhile again
// and again before that.
func (f *fleet) awaitOnlyMember(place int, meanwhile func()) {
	f.t.Helper()
	var s *api.ClusterTenant
	eventually(f.t, func() bool {
		meanwhile()
		var err error
		if s, err = f.status(f.t.Context(), place, "links"); err != nil {
			f.t.Fatal(err)
		}
		return len(s.Members) < 2
	}, func() string { return fmt.Sprintf("hub %d is not alone: %+v", place+1, s) })
}

// A hub is stopped in order. The msg_server that it served goes over to the other hub, and its users are not
// offline meanwhile, also one whom another msg_server has as well. Both log that user out afterwards, who is
// offline then.
func TestPlannedStopWithStandbyLinks(t *testing.T) {
	t.Parallel()
	f := startFleet(bustest.Start(t, 1), 2, fleetSettings{tenants: []string{"links"},
		cluster: "replicas = 1\nalone_after = \"5m\"\nstandby_links = true\n"})
	a, b := &route{name: "first"}, &route{name: "second"}
	for place, r := range []*route{a, b} {
		address := f.members[place].listening("links")[0]
		r.address.Store(&address)
	}
	stays, moves := startMsgServer(t, "C", b), startMsgServer(t, "A", a, b)
	servers := []*msgServer{stays, moves}
	await(t, "links", servers, func(m *msgServer) bool { return len(m.links) == len(m.routes) && m.sendsOver(m.routes[0]) })
	f.awaitLinks(0, 1, 0)
	f.awaitLinks(1, 1, 1)
	const shared = 7
	for _, m := range servers {
		m.update(shared, true)
	}
	settleMasters(t, servers)
	checkPresence(t, servers, b)

	a.gone()
	f.members[0].down = true
	f.members[0].signal(syscall.SIGTERM)
	await(t, "going over to the other hub", []*msgServer{moves}, func(m *msgServer) bool { return m.sendsOver(b) && m.links[a] == nil })
	settleMasters(t, []*msgServer{moves}) // the other hub has taken its users over
	over := time.Now()
	ended, err := time.Parse(time.RFC3339Nano, f.members[0].expect("session closed", `"reason":"drain"`)["time"].(string))
	if err != nil {
		t.Fatal(err)
	}
	if took := over.Sub(ended); took > time.Second/2 {
		t.Logf("the msg_server went over after %v: on a machine that is so slow its users may have been released before", took)
		return
	}
	f.awaitOnlyMember(1, func() { checkPresence(t, servers, b) }) // the other hub has left
	if code := f.members[0].exit(); code != exitStopped {
		t.Errorf("the hub that was stopped ends with %d", code)
	}
	checkPresence(t, servers, b)
	for _, m := range servers {
		m.update(shared, false)
	}
	settleMasters(t, servers)
	stays.mu.Lock()
	stays.seq++
	want := pdutest.StatusResponse(stays.seq, 1, nil, pdutest.UserStat(shared, pb.UserStatType_USER_STATUS_OFFLINE))
	stays.master.Write(pdutest.StatusRequest(stays.seq, 1, nil, shared))
	stays.mu.Unlock()
	settleMasters(t, []*msgServer{stays})
	if n := stays.count(func(h receivedPDU) bool { return bytes.Equal(h.pdu, want) }); n != 1 {
		t.Error("the user whom both msg_servers had stays online")
	}
}
