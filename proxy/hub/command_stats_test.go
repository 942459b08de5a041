package hub

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/abi"
)

// What peers say is counted by command and action, whatever batches it comes in, and
// adds up to what is received.
func TestSaid(t *testing.T) {
	h := New(judge(commonRules()), farBehind)
	guests := []*guest{join(h), join(h), join(h)}
	commands := []pdu.CommandID{others, everyone, 0x7777, 0xffff, pdu.CID_OTHER_HEARTBEAT, pdu.CID_OTHER_USER_STATUS_UPDATE, pdu.CID_OTHER_ROLE_SET}
	want, wantBytes := make(map[string]uint64), make(map[uint64]uint64)
	random := rand.New(rand.NewPCG(1, 2))
	var refused, pdus uint64
	for range 200 {
		g := guests[random.IntN(len(guests))]
		var batch [][]byte
		for range 1 + random.IntN(3*maxTallies) {
			c := commands[random.IntN(len(commands))]
			if random.IntN(2) == 0 {
				c = commands[0]
			}
			p := message(c, 1, "0123456789"[:random.IntN(10)])
			batch = append(batch, p)
			name := c.String()
			if _, known := pdu.CommandByID(c); !known {
				name = "unknown"
			}
			want[name+" "+commonRules()[c].Action().String()]++
			wantBytes[g.Session()] += uint64(len(p))
			pdus++
		}
		if random.IntN(10) == 0 {
			p := message(others, 1, "too much")
			h.Refuse(g.Seat, bytes.Repeat(p, 3), OverQuotaPDUs)
			refused += 3
			wantBytes[g.Session()] += uint64(3 * len(p))
		}
		g.say(t, batch...)
	}
	got := make(map[string]uint64)
	var sum uint64
	for _, said := range h.CommandStats() {
		name, all := said.Command.String(), uint64(0)
		if said.Command == 0 {
			name = "unknown"
		}
		for action, n := range said.Actions {
			got[name+" "+action.String()] += n
			all += n
		}
		if all != said.PDUs {
			t.Errorf("%s: %d PDUs, and %d by action", name, said.PDUs, all)
		}
		sum += said.PDUs
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
	c := h.Counts()
	if sum != pdus || c.Received != sum+refused {
		t.Errorf("%d by command and %d refused of %d said and %d received", sum, refused, pdus, c.Received)
	}
	var in, bytesIn uint64
	for _, s := range h.Sessions(nil) {
		in, bytesIn = in+s.PDUsIn, bytesIn+s.BytesIn
		if s.BytesIn != wantBytes[s.Number] {
			t.Errorf("session %d said %d bytes, want %d", s.Number, s.BytesIn, wantBytes[s.Number])
		}
	}
	if in != c.Received || bytesIn != c.BytesIn {
		t.Errorf("sessions said %d PDUs and %d bytes, all together %d and %d", in, bytesIn, c.Received, c.BytesIn)
	}
}

// What is written is counted, to those who are there and those who were.
func TestSessions(t *testing.T) {
	h := New(judge(commonRules()), farBehind)
	a, b := join(h), join(h)
	m := message(others, 1, "hello")
	a.say(t, m, m, m)
	if got := h.Counts(); got.Lag < uint64(3*len(m)) || got.Lags < got.Lag || got.BytesOut != 0 {
		t.Errorf("before anybody reads: %+v", got)
	}
	b.readSome(1<<30, len(m)+5)
	byNumber := make(map[uint64]Session)
	for _, s := range h.Sessions(nil) {
		byNumber[s.Number] = s
	}
	if s := byNumber[b.Session()]; s.PDUsOut != 1 || s.BytesOut != uint64(len(m)+5) || s.Lag == 0 || s.Master {
		t.Errorf("b is %+v", s)
	}
	h.Leave(b.Seat)
	b.Release(PeerReset)
	if c := h.Counts(); c.BytesOut != uint64(len(m)+5) || c.Joined != 2 || c.Sessions != 1 || fmt.Sprint(c.Closed) != "map[peer-reset:1]" {
		t.Errorf("afterwards: %+v", c)
	}
	if got := h.Sessions(nil); len(got) != 1 || got[0].Number != a.Session() {
		t.Errorf("got %+v", got)
	}
}

// Counting costs no memory.
func TestCountingAllocatesNothing(t *testing.T) {
	h := New(judge(rules{}), farBehind) // drops all, so that nothing is appended
	g := join(h)
	var batch []byte
	for i := range 64 {
		batch = append(batch, message([]pdu.CommandID{others, everyone, 0xffff}[i%3], 1, "")...)
	}
	if n := testing.AllocsPerRun(100, func() { g.hub.Handle(g.Seat, batch) }); n > 0 {
		t.Errorf("%v allocations for 64 PDUs", n)
	}
}

// Probe comes through, whatever else is going on, and leaves nothing behind.
func TestProbe(t *testing.T) {
	h := New(judge(commonRules()), farBehind)
	a, b := join(h), join(h)
	m := message(others, 1, "hello")
	probe := message(pdu.CID_OTHER_HEARTBEAT, 0, "")
	a.say(t, m)
	before, memory, room := h.Counts(), h.Memory(), h.room.Load()
	for range 3 * chunkSize / len(probe) { // beyond what a chunk of the side log holds
		if err := h.Probe(probe); err != nil {
			t.Fatal(err)
		}
	}
	large := message(others, 1, string(make([]byte, 3*chunkSize)))
	if err := h.Probe(large); err != nil {
		t.Error(err)
	}
	after := h.Counts()
	after.Lag, after.Lags = before.Lag, before.Lags // the side log has grown behind what waits in it
	if fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("counts %+v, before %+v", after, before)
	}
	if m := h.Memory(); m > memory+2*chunkSize || h.room.Load() != room {
		t.Errorf("memory %d and room %d, before %d and %d", m, h.room.Load(), memory, room)
	}
	expect(t, "b", b, m)
	expect(t, "a", a)
}

// Who would be sent a PDU is who is sent it.
func TestForesee(t *testing.T) {
	r := commonRules()
	r[pdu.CID_MSG_READ_ACK] = abi.Unicast | abi.ToFields<<16 | 2<<32
	h := New(judge(r), farBehind)
	guests := map[uint64]*guest{}
	for range 4 {
		g := join(h)
		guests[g.Session()] = g
	}
	guests[2].say(t, online(7), online(8))
	guests[3].say(t, online(7))
	for name, c := range map[string]struct {
		verdict policy.Verdict
		p       []byte
	}{
		"others":  {r[others], message(others, 1, "x")},
		"all":     {r[everyone], message(everyone, 1, "x")},
		"holders": {r[pdu.CID_MSG_READ_ACK], message(pdu.CID_MSG_READ_ACK, 1, "\x08\x07")},
		"nobody":  {r[pdu.CID_MSG_READ_ACK], message(pdu.CID_MSG_READ_ACK, 1, "\x08\x09")},
		"drop":    {0, message(0x7778, 1, "")},
	} {
		for sender, g := range guests {
			foreseen, n := h.Foresee(sender, c.verdict, c.p, 10)
			if n != len(foreseen) {
				t.Errorf("%s: %d are %v", name, n, foreseen)
			}
			g.say(t, c.p)
			for session, other := range guests {
				got, want := false, bytes.Equal(other.read(), c.p)
				for _, s := range foreseen {
					got = got || s == session
				}
				if got != want {
					t.Errorf("%s by %d: foreseen for %d %t, and it is %t", name, sender, session, got, want)
				}
				other.got = nil
			}
		}
		if some, n := h.Foresee(99, c.verdict, c.p, 1); len(some) > 1 || n < len(some) {
			t.Errorf("%s by a stranger: %v of %d", name, some, n)
		}
	}
	if users, entries := h.Presence(); users != 2 || entries != 3 || h.Holds(2) != 2 || h.Holds(99) != 0 || len(h.Holders(7)) != 2 || len(h.Holders(9)) != 0 {
		t.Errorf("%d users, %d entries, session 2 holds %d, user 7 is held by %v", users, entries, h.Holds(2), h.Holders(7))
	}
}
