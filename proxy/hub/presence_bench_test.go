package hub

import (
	"encoding/binary"
	"sync"
	"testing"
	"time"

	"switchyard/pdu"
)

const (
	benchPeers = 100
	benchUsers = 5_000_000 // of all peers together
	benchHeld  = benchUsers / benchPeers
)

// benchUser spreads the ids, as a table that is walked in the order of its ids would
// flatter the caches.
func benchUser(n int) uint32 { return uint32(n) * 2654435761 }

// A town is a hub with that many peers and users, who are on PCs. Nobody takes what is
// due: it is passed over now and then.
type town struct {
	hub   *Hub
	peers []*guest
	said  int
}

func newTown(b *testing.B) *town {
	t := &town{hub: New(judge(commonRules()), farBehind)}
	for p := range benchPeers {
		g := join(t.hub)
		g.say(b, announce(p*benchHeld, benchHeld))
		t.peers = append(t.peers, g)
	}
	return t
}

// announce is the PDU that says that the users from n on are there.
func announce(n, count int) []byte {
	var body []byte
	for i := range count {
		stat := binary.AppendUvarint([]byte{0x08}, uint64(benchUser(n+i)))
		stat = append(stat, 0x10, 1, 0x18, 1) // online, on Windows
		body = append(append(body, 0x0a, byte(len(stat))), stat...)
	}
	return pdu.Append(nil, pdu.SID_OTHER, pdu.CID_OTHER_ONLINE_USER_INFO, 0, body)
}

// change is the PDU that says that a user has come, or gone.
func change(n int, status byte) []byte {
	body := binary.AppendUvarint([]byte{0x08, status, 0x10}, uint64(benchUser(n)))
	return pdu.Append(nil, pdu.SID_OTHER, pdu.CID_OTHER_USER_STATUS_UPDATE, 0, append(body, 0x18, 1))
}

// ask is the PDU that asks for the status of count users from n on.
func ask(n, count int) []byte {
	body := []byte{0x08, 1}
	for i := range count {
		body = binary.AppendUvarint(append(body, 0x10), uint64(benchUser((n+i*7919)%benchUsers)))
	}
	return pdu.Append(nil, pdu.SID_BUDDY_LIST, pdu.CID_BUDDY_LIST_USERS_STATUS_REQUEST, 0, body)
}

// say hands in a peer's PDU, of which there are many.
func (t *town) say(g *guest, p []byte) {
	t.hub.Handle(g.Seat, p)
	if t.said++; t.said%256 == 0 {
		t.passOver()
	}
}

func (t *town) passOver() {
	head := t.hub.Head()
	for _, g := range t.peers {
		g.PassOver(head)
	}
}

// BenchmarkPresence is what users cost that come, go and are asked for, with five million
// of them on a hundred peers.
func BenchmarkPresence(b *testing.B) {
	t := newTown(b)
	const different = 1 << 12
	b.Run("Change", func(b *testing.B) { // a login or a logout, with what it announces
		var changes [2 * different][]byte
		for i := range different {
			n := i * 7919 % benchUsers
			changes[2*i], changes[2*i+1] = change(n, 1), change(n, 2)
		}
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			i %= len(changes)
			t.say(t.peers[i/2*7919%benchUsers/benchHeld], changes[i])
		}
	})
	b.Run("Status1000", func(b *testing.B) {
		var queries [different][]byte
		for i := range queries {
			queries[i] = ask(i*1013, 1000)
		}
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			t.say(t.peers[i%benchPeers], queries[i%different])
		}
	})
	b.Run("Announce50000", func(b *testing.B) { // what is known already, in one PDU
		all := announce(0, benchHeld)
		for b.Loop() {
			t.say(t.peers[0], all)
		}
	})
	all := announce(benchUsers, benchHeld)
	b.Run("Beside/Announce50000", func(b *testing.B) {
		t.benchmarkBeside(b, false, func(g *guest) { t.hub.Handle(g.Seat, all) })
	})
	b.Run("Beside/Leave50000", func(b *testing.B) {
		t.benchmarkBeside(b, true, func(g *guest) { t.hub.Leave(g.Seat) })
	})
	b.Run("Beside/Nothing", func(b *testing.B) { // which is the machine's part
		t.benchmarkBeside(b, false, func(*guest) { time.Sleep(10 * time.Millisecond) })
	})
}

// benchmarkBeside has a peer do something, with or without 50,000 users that it alone
// holds, while another goroutine routes, and reports how long that was held up at most: for
// a broadcast, and for the answer to one who asks for ten users.
func (t *town) benchmarkBeside(b *testing.B, holds bool, do func(*guest)) {
	router := join(t.hub)
	message, query := message(others, 1, string(make([]byte, 184))), ask(0, 10)
	var broadcast, asked time.Duration
	b.StopTimer()
	for range b.N {
		g := join(t.hub)
		if holds {
			g.say(b, announce(benchUsers, benchHeld))
		}
		t.passOver()
		router.PassOver(t.hub.Head())
		stop := make(chan struct{})
		var routing sync.WaitGroup
		routing.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				begun := time.Now()
				t.hub.Handle(router.Seat, message)
				between := time.Now()
				t.hub.Handle(router.Seat, query)
				broadcast, asked = max(broadcast, between.Sub(begun)), max(asked, time.Since(between))
			}
		})
		b.StartTimer()
		do(g)
		b.StopTimer()
		close(stop)
		routing.Wait()
		t.hub.Leave(g.Seat)
		g.Release(PeerClosed)
	}
	t.hub.Leave(router.Seat)
	router.Release(PeerClosed)
	b.ReportMetric(float64(broadcast.Microseconds()), "µs-longest-broadcast")
	b.ReportMetric(float64(asked.Microseconds()), "µs-longest-answer")
}
