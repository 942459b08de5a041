//go:build full

package main

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"switchyard/pdu/pb"
	"switchyard/pdu/pdutest"
	"switchyard/proxy/order/jetstream/bustest"
)

// announce announces so many users over connections of their own to the hub at a place.
func (f *fleet) announce(place, users int) {
	f.t.Helper()
	const each = 50_000
	for first := 0; first < users; first += each {
		conn, err := net.Dial("tcp", f.addresses[place])
		if err != nil {
			f.t.Fatal(err)
		}
		c := f.members[place].join(conn)
		var all []*pb.ServerUserStat
		for i := range min(each, users-first) {
			all = append(all, pdutest.Stat(uint32(1<<24+first+i), pb.UserStatType_USER_STATUS_ONLINE, pb.ClientType_CLIENT_TYPE_WINDOWS))
		}
		c.say(pdutest.Online(all...))
		c.settle()
		c.SetReadDeadline(time.Time{})
		go io.Copy(io.Discard, c) // until the test closes the connection
	}
}

// Hubs enter under traffic while there are a million users: one alone, then two at once while their
// donor is killed half-way. A process with the number of a hub that runs ends with exit code 78.
func TestEntering(t *testing.T) {
	t.Parallel()
	const users = 1_000_000
	bus := bustest.Start(t, 3)
	slow := make([]*relay, 3)
	settings := fleetSettings{tenants: []string{"default"}, cluster: "alone_after = \"5m\"\n"}
	settings.servers = func(place int) []string {
		all := bus.Servers(place % 3)
		if place == 3 { // all its servers are behind slow relays
			for i := range all {
				slow[i] = startRelay(t, strings.TrimPrefix(all[i], "nats://"), nil)
				all[i] = "nats://" + slow[i].address
			}
		}
		return all
	}
	f := startFleet(bus, 2, settings)
	f.announce(1, users)
	tr := startTraffic(f, 4, 30*time.Millisecond)
	defer tr.close()

	enters := func(places ...int) {
		t.Helper()
		begun := time.Now()
		for _, place := range places {
			f.serve(place)
		}
		t.Logf("hubs at %v have entered after %v at most", places, time.Since(begun).Round(time.Millisecond))
	}
	f.grow(3)
	tr.during("a hub enters", func() { f.launch(2); enters(2); f.awaitMembers(3) })

	// The donor has the lowest number, and no users of those that were announced.
	f.grow(5)
	passed := func() (all int64) {
		for _, r := range slow {
			all += r.passed.Load()
		}
		return all
	}
	tr.during("two hubs enter, and the donor is killed half-way", func() {
		f.launch(3)
		f.launch(4)
		for _, r := range slow {
			r.set(func() { r.perTenth = 400 << 10 })
		}
		eventually(t, func() bool { return passed() > 8<<20 }, func() string { return "no state is sent" })
		half := passed()
		tr.allowEnd(0)
		f.kill(0)
		for _, r := range slow {
			r.set(func() { r.perTenth = 0 })
		}
		enters(3, 4)
		if all := passed() - half; all < 20<<20 {
			t.Errorf("hub 4 got %d bytes before the donor was killed and %d after that, want more than 20 MiB", half, all)
		}
		f.awaitMembers(4)
	})
	for _, s := range f.atOnePosition() {
		if s.Entered["start"] != 1 {
			t.Errorf("hub %d has entered %v", s.Hub, s.Entered)
		}
	}
	f.checkUsers(users)

	taken := f.members[1]
	f.launch(1)
	if code := f.members[1].exit(); code != exitConfig {
		t.Errorf("a second hub 2 ends with exit code %d, want %d", code, exitConfig)
	}
	f.members[1].expect("cluster.hub = 2")
	f.members[1] = taken
	tr.during("after all", func() {})
}

// grow makes room for more hubs.
func (f *fleet) grow(hubs int) {
	for len(f.members) < hubs {
		f.members, f.addresses = append(f.members, &fleetHub{down: true}), append(f.addresses, "")
	}
}

// checkUsers checks that each hub has so many users, beside a few.
func (f *fleet) checkUsers(users int) {
	f.t.Helper()
	for _, place := range f.places() {
		s, err := f.members[place].admin.Snapshot(f.t.Context())
		if err != nil {
			f.t.Fatal(err)
		}
		if got := s.Tenants[0].Users; got < users || got > users+1000 {
			f.t.Errorf("hub %d has %d users, want %d and a few", place+1, got, users)
		}
	}
}
