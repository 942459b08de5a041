package hub

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/abi"
)

// Random peers say random things of random sizes, read whatever parts they like,
// come and go. Everybody gets exactly what a simple model says, all chunks are
// accounted for, and so is every copy.
func TestRandomTraffic(t *testing.T) {
	for seed := range uint64(30) {
		randomTraffic(t, rand.New(rand.NewPCG(seed, 1)))
	}
}

func randomTraffic(t *testing.T, rnd *rand.Rand) {
	r := commonRules()
	for session := range pdu.CommandID(8) {
		r[0x0600+session] = abi.Unicast | abi.ToSession<<16 | policy.Verdict(session)<<32
	}
	h := New(judge(r), 1<<40)
	var guests []*guest
	want := make(map[*guest][]byte)
	arrive := func() {
		g := join(h)
		guests = append(guests, g)
		want[g] = nil
	}
	leave := func(i int) {
		g := guests[i]
		guests = append(guests[:i:i], guests[i+1:]...)
		h.Leave(g.Seat)
		if rnd.IntN(2) == 0 {
			if g.read(); !bytes.Equal(g.got, want[g]) {
				t.Fatalf("session %d got %d bytes that are not the %d expected", g.Session(), len(g.got), len(want[g]))
			}
		} else if !bytes.HasPrefix(want[g], g.got) {
			t.Fatalf("session %d got %d bytes that are not what was expected first", g.Session(), len(g.got))
		}
		g.Release(PeerClosed)
		if whole, _ := pdu.Whole(g.got, 1<<30); whole > 0 {
			g.got = g.got[:whole]
		}
	}
	arrive()
	for range 400 {
		g := guests[rnd.IntN(len(guests))]
		switch n := rnd.IntN(20); {
		case n == 0 && len(guests) < 8:
			arrive()
		case n == 1 && len(guests) > 1:
			leave(rnd.IntN(len(guests)))
		case n < 10:
			g.readSome(1+rnd.IntN(1<<18), rnd.IntN(1<<18))
		default:
			var batch []byte
			for range 1 + rnd.IntN(4) {
				size := rnd.IntN(100)
				if rnd.IntN(30) == 0 {
					size = rnd.IntN(2 * chunkSize)
				}
				commands := [...]pdu.CommandID{others, everyone, pdu.CID_OTHER_HEARTBEAT, 0x0600 + pdu.CommandID(rnd.IntN(8))}
				c := commands[rnd.IntN(len(commands))]
				p := pdu.Append(nil, 0, c, uint16(rnd.Uint32()), bytes.Repeat([]byte{byte(rnd.Uint32())}, size))
				batch = append(batch, p...)
				for _, to := range guests {
					if c == everyone || c == others && to != g || c >= 0x0600 && c < 0x0608 && uint64(c-0x0600) == to.session {
						want[to] = append(want[to], p...)
					}
				}
			}
			g.say(t, batch)
		}
	}
	for len(guests) > 0 {
		leave(0)
	}
	c := h.Counts()
	if c.Pending != 0 || c.Due != c.Delivered+c.Discarded[PeerClosed] {
		t.Errorf("copies do not add up: %+v", c)
	}
	var got uint64
	for g := range want {
		for b := g.got; len(b) > 0; got++ {
			n, _ := pdu.Next(b, 1<<30)
			if n == 0 {
				break
			}
			b = b[n:]
		}
	}
	if got != c.Delivered {
		t.Errorf("%d copies were read whole, counted %d", got, c.Delivered)
	}
	if refs := h.log.last.refs.Load(); refs != 1 {
		t.Errorf("the log's last chunk has %d references, want its own", refs)
	}
	if h.side.last != nil && h.side.last.refs.Load() != 1 {
		t.Errorf("the side log's last chunk has %d references, want its own", h.side.last.refs.Load())
	}
}
