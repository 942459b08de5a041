package hub_test

import (
	"encoding/binary"
	"sync"
	"testing"
	"time"

	"switchyard/pdu"
	. "switchyard/proxy/hub"
	"switchyard/proxy/hub/hubtest"
)

const (
	benchPeers = 100
	benchUsers = 5_000_000 // of all peers together
	benchHeld  = benchUsers / benchPeers
)

// benchUser spreads the ids: walking a table in the order of its ids would make better
// use of the caches than real traffic does.
func benchUser(n int) uint32 { return uint32(n) * 2654435761 }

// A population is a hub with benchPeers peers that hold benchUsers users on PCs. What is
// due is not read, but passed over now and then.
type population struct {
	hub     *Hub
	peers   []*hubtest.Peer
	handled int
}

func newPopulation(b *testing.B) *population {
	t := &population{hub: newHub(commonRules())}
	for p := range benchPeers {
		g := hubtest.Join(t.hub)
		g.Send(b, announce(p*benchHeld, benchHeld))
		t.peers = append(t.peers, g)
	}
	return t
}

// announce returns the PDU that announces count users from n on.
func announce(n, count int) []byte {
	var body []byte
	for i := range count {
		stat := binary.AppendUvarint([]byte{0x08}, uint64(benchUser(n+i)))
		stat = append(stat, 0x10, 1, 0x18, 1) // online, on Windows
		body = append(append(body, 0x0a, byte(len(stat))), stat...)
	}
	return pdu.Append(nil, pdu.SID_OTHER, pdu.CID_OTHER_ONLINE_USER_INFO, 0, body)
}

// change returns the PDU that reports a user's new status.
func change(n int, status byte) []byte {
	body := binary.AppendUvarint([]byte{0x08, status, 0x10}, uint64(benchUser(n)))
	return pdu.Append(nil, pdu.SID_OTHER, pdu.CID_OTHER_USER_STATUS_UPDATE, 0, append(body, 0x18, 1))
}

// ask returns the PDU that asks for the status of count users from n on.
func ask(n, count int) []byte {
	body := []byte{0x08, 1}
	for i := range count {
		body = binary.AppendUvarint(append(body, 0x10), uint64(benchUser((n+i*7919)%benchUsers)))
	}
	return pdu.Append(nil, pdu.SID_BUDDY_LIST, pdu.CID_BUDDY_LIST_USERS_STATUS_REQUEST, 0, body)
}

// say routes a PDU of the peer, and now and then passes over what is due.
func (t *population) say(g *hubtest.Peer, p []byte) {
	t.hub.Handle(g.Seat, p)
	if t.handled++; t.handled%256 == 0 {
		t.passOver()
	}
}

func (t *population) passOver() {
	head := t.hub.Head()
	for _, g := range t.peers {
		g.PassOver(head)
	}
}

// BenchmarkPresence measures users that come, go and are asked for, in a table of five
// million users on a hundred peers.
func BenchmarkPresence(b *testing.B) {
	t := newPopulation(b)
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
	b.Run("Announce50000", func(b *testing.B) { // of users that the table has already, in one PDU
		all := announce(0, benchHeld)
		for b.Loop() {
			t.say(t.peers[0], all)
		}
	})
	all := announce(benchUsers, benchHeld)
	b.Run("Beside/Announce50000", func(b *testing.B) {
		t.benchmarkBeside(b, false, func(g *hubtest.Peer) { t.hub.Handle(g.Seat, all) })
	})
	b.Run("Beside/Leave50000", func(b *testing.B) {
		t.benchmarkBeside(b, true, func(g *hubtest.Peer) { t.hub.Leave(g.Seat) })
	})
	b.Run("Beside/Nothing", func(b *testing.B) { // the share of the machine itself
		t.benchmarkBeside(b, false, func(*hubtest.Peer) { time.Sleep(10 * time.Millisecond) })
	})
}

// benchmarkBeside runs do for a peer, with or without 50,000 users that it alone holds,
// while another goroutine routes. It reports the longest that the other goroutine was
// held up: for a broadcast, and for a question about ten users.
func (t *population) benchmarkBeside(b *testing.B, holds bool, do func(*hubtest.Peer)) {
	router := hubtest.Join(t.hub)
	message, query := message(others, 1, string(make([]byte, 184))), ask(0, 10)
	var broadcast, asked time.Duration
	b.StopTimer()
	for range b.N {
		g := hubtest.Join(t.hub)
		if holds {
			g.Send(b, announce(benchUsers, benchHeld))
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
