package hub_test

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/policy/policytest"
	. "switchyard/proxy/hub"
	"switchyard/proxy/hub/hubtest"
)

// Random peers send PDUs of random kinds and sizes, read parts of random sizes, join and
// leave. Every peer gets exactly what a simple model expects, no chunk is leaked, and
// the copies that are counted are those of the model and those that peers have read.
func TestRandomTraffic(t *testing.T) { randomTraffics(t, 3) }

// randomTraffics runs randomTraffic for each seed below seeds.
func randomTraffics(t *testing.T, seeds uint64) {
	for seed := range seeds {
		randomTraffic(t, rand.New(rand.NewPCG(seed, 1)))
	}
}

func randomTraffic(t *testing.T, rnd *rand.Rand) {
	r := commonRules()
	for session := range pdu.CommandID(8) {
		r[0x0600+session] = abi.Unicast | abi.ToSession<<16 | policy.Verdict(session)<<32
	}
	h := New(policytest.Active(roleRules{r}), 1<<40)
	var peers []*hubtest.Peer
	want := make(map[*hubtest.Peer][]byte)
	var left, lost uint64 // read by peers that have left, and due to them and not read
	check := func() {
		t.Helper()
		var due, read uint64
		for _, g := range peers {
			due, read = due+wholePDUs(want[g]), read+wholePDUs(g.Got)
		}
		c := h.Counts()
		if c.Due != due+left+lost || c.Delivered != read+left || c.Pending != due-read || c.Discarded[PeerClosed] != lost {
			t.Fatalf("%d copies due, %d delivered, %d pending, %d discarded; want %d, %d, %d, %d",
				c.Due, c.Delivered, c.Pending, c.Discarded[PeerClosed], due+left+lost, read+left, due-read, lost)
		}
	}
	arrive := func() {
		g := hubtest.Join(h)
		peers = append(peers, g)
		want[g] = nil
	}
	leave := func(i int) {
		g := peers[i]
		peers = append(peers[:i:i], peers[i+1:]...)
		h.Leave(g.Seat)
		if rnd.IntN(2) == 0 {
			if g.Read(); !bytes.Equal(g.Got, want[g]) {
				t.Fatalf("session %d got %d bytes that are not the %d expected", g.Session(), len(g.Got), len(want[g]))
			}
		} else if !bytes.HasPrefix(want[g], g.Got) {
			t.Fatalf("session %d got %d bytes that are not what was expected first", g.Session(), len(g.Got))
		}
		g.Release(PeerClosed)
		read := wholePDUs(g.Got)
		left, lost = left+read, lost+wholePDUs(want[g])-read
	}
	arrive()
	for i := range 400 {
		if i%20 == 0 {
			check()
		}
		g := peers[rnd.IntN(len(peers))]
		switch n := rnd.IntN(20); {
		case n == 0 && len(peers) < 8:
			arrive()
		case n == 1 && len(peers) > 1:
			leave(rnd.IntN(len(peers)))
		case n < 10:
			g.ReadSome(1+rnd.IntN(1<<18), rnd.IntN(1<<18))
		default:
			var batch []byte
			for range 1 + rnd.IntN(4) {
				size := rnd.IntN(100)
				if rnd.IntN(30) == 0 {
					size = rnd.IntN(2 * ChunkSize)
				}
				commands := [...]pdu.CommandID{others, everyone, pdu.CID_OTHER_HEARTBEAT, 0x0600 + pdu.CommandID(rnd.IntN(8))}
				c := commands[rnd.IntN(len(commands))]
				p := pdu.Append(nil, 0, c, uint16(rnd.Uint32()), bytes.Repeat([]byte{byte(rnd.Uint32())}, size))
				batch = append(batch, p...)
				for _, to := range peers {
					if c == everyone || c == others && to != g || c >= 0x0600 && c < 0x0608 && uint64(c-0x0600) == to.Session() {
						want[to] = append(want[to], p...)
					}
				}
			}
			g.Send(t, batch)
		}
	}
	for len(peers) > 0 {
		leave(0)
	}
	check()
	if log, side := h.LastRefs(); log != 1 || side > 1 {
		t.Errorf("the last chunks of the logs have %d and %d references, want one of the log itself", log, side)
	}
}

// wholePDUs returns how many whole PDUs a stream begins with.
func wholePDUs(stream []byte) (n uint64) {
	for {
		length, _ := pdu.Next(stream, 1<<30)
		if length == 0 {
			return n
		}
		stream = stream[length:]
		n++
	}
}
