package hub_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/policy/policytest"
	. "switchyard/proxy/hub"
	"switchyard/proxy/hub/hubtest"
)

// CommandStats counts by command and action, however the PDUs are cut into batches, and
// adds up to what is received.
func TestCommandStats(t *testing.T) {
	h := newHub(commonRules())
	peers := []*hubtest.Peer{hubtest.Join(h), hubtest.Join(h), hubtest.Join(h)}
	commands := []pdu.CommandID{others, everyone, 0x7777, 0xffff, pdu.CID_OTHER_HEARTBEAT, pdu.CID_OTHER_USER_STATUS_UPDATE, pdu.CID_OTHER_ROLE_SET}
	want, wantBytes := make(map[string]uint64), make(map[uint64]uint64)
	random := rand.New(rand.NewPCG(1, 2))
	var refused, pdus uint64
	for range 200 {
		g := peers[random.IntN(len(peers))]
		var batch [][]byte
		for range 1 + random.IntN(3*MaxCommandRuns) {
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
		g.Send(t, batch...)
	}
	got := make(map[string]uint64)
	var sum uint64
	for _, stats := range h.CommandStats() {
		name, all := stats.Command.String(), uint64(0)
		if stats.Command == 0 {
			name = "unknown"
		}
		for action, n := range stats.Actions {
			got[name+" "+action.String()] += n
			all += n
		}
		if all != stats.PDUs {
			t.Errorf("%s: %d PDUs, and %d by action", name, stats.PDUs, all)
		}
		sum += stats.PDUs
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
	c := h.Counts()
	if sum != pdus || c.Received != sum+refused {
		t.Errorf("%d by command and %d refused of %d sent and %d received", sum, refused, pdus, c.Received)
	}
	var in, bytesIn uint64
	for _, s := range h.Sessions(nil) {
		in, bytesIn = in+s.PDUsIn, bytesIn+s.BytesIn
		if s.BytesIn != wantBytes[s.Number] {
			t.Errorf("session %d sent %d bytes, want %d", s.Number, s.BytesIn, wantBytes[s.Number])
		}
	}
	if in != c.Received || bytesIn != c.BytesIn {
		t.Errorf("sessions sent %d PDUs and %d bytes, all together %d and %d", in, bytesIn, c.Received, c.BytesIn)
	}
}

// Bytes and PDUs written are counted, for present and for past sessions.
func TestSessions(t *testing.T) {
	h := newHub(commonRules())
	a, b := hubtest.Join(h), hubtest.Join(h)
	m := message(others, 1, "hello")
	a.Send(t, m, m, m)
	if got := h.Counts(); got.Lag < uint64(3*len(m)) || got.Lags < got.Lag || got.BytesOut != 0 {
		t.Errorf("before anybody reads: %+v", got)
	}
	b.ReadSome(1<<30, len(m)+5)
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

// Counting allocates nothing.
func TestCountingAllocatesNothing(t *testing.T) {
	h := newHub(policytest.Rules{}) // drops all, so that nothing is appended
	g := hubtest.Join(h)
	var batch []byte
	for i := range 64 {
		batch = append(batch, message([]pdu.CommandID{others, everyone, 0xffff}[i%3], 1, "")...)
	}
	if n := testing.AllocsPerRun(100, func() { g.Hub.Handle(g.Seat, batch) }); n > 0 {
		t.Errorf("%v allocations for 64 PDUs", n)
	}
}

// Probe succeeds while other PDUs are pending, and changes nothing.
func TestProbe(t *testing.T) {
	h := newHub(commonRules())
	a, b := hubtest.Join(h), hubtest.Join(h)
	m := message(others, 1, "hello")
	probe := message(pdu.CID_OTHER_HEARTBEAT, 0, "")
	a.Send(t, m)
	before, memory, edits := h.Counts(), h.Memory(), h.EditCap()
	for range 3 * ChunkSize / len(probe) { // beyond what a chunk of the side log holds
		if err := h.Probe(probe); err != nil {
			t.Fatal(err)
		}
	}
	large := message(others, 1, string(make([]byte, 3*ChunkSize)))
	if err := h.Probe(large); err != nil {
		t.Error(err)
	}
	after := h.Counts()
	after.Lag, after.Lags = before.Lag, before.Lags // the side log has grown, and with it the lag of b's pending PDU
	if fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("counts %+v, before %+v", after, before)
	}
	if m := h.Memory(); m > memory+2*ChunkSize || h.EditCap() != edits {
		t.Errorf("memory %d and room for %d edits, before %d and %d", m, h.EditCap(), memory, edits)
	}
	b.Expect(t, "b", m)
	a.Expect(t, "a")
}

// Recipients are the sessions that receive the PDU when it is sent.
func TestRecipients(t *testing.T) {
	r := commonRules()
	r[pdu.CID_MSG_READ_ACK] = abi.Unicast | abi.ToFields<<16 | 2<<32
	h := newHub(r)
	peers := map[uint64]*hubtest.Peer{}
	for range 4 {
		g := hubtest.Join(h)
		peers[g.Session()] = g
	}
	peers[2].Send(t, online(7), online(8))
	peers[3].Send(t, online(7))
	for name, c := range map[string]struct {
		verdict policy.Verdict
		p       []byte
	}{
		"others":    {r[others], message(others, 1, "x")},
		"all":       {r[everyone], message(everyone, 1, "x")},
		"holders":   {r[pdu.CID_MSG_READ_ACK], message(pdu.CID_MSG_READ_ACK, 1, "\x08\x07")},
		"no holder": {r[pdu.CID_MSG_READ_ACK], message(pdu.CID_MSG_READ_ACK, 1, "\x08\x09")},
		"drop":      {0, message(0x7778, 1, "")},
	} {
		for sender, g := range peers {
			recipients, n := h.Recipients(sender, c.verdict, c.p, 10)
			if n != len(recipients) {
				t.Errorf("%s: %d are %v", name, n, recipients)
			}
			g.Send(t, c.p)
			for session, other := range peers {
				got, want := false, bytes.Equal(other.Read(), c.p)
				for _, s := range recipients {
					got = got || s == session
				}
				if got != want {
					t.Errorf("%s by %d: a recipient is %d: %t, and it received the PDU: %t", name, sender, session, got, want)
				}
				other.Got = nil
			}
		}
		if some, n := h.Recipients(99, c.verdict, c.p, 1); len(some) > 1 || n < len(some) {
			t.Errorf("%s by an unknown session: %v of %d", name, some, n)
		}
	}
	if users, entries := h.Presence(); users != 2 || entries != 3 || h.Holds(2) != 2 || h.Holds(99) != 0 || len(h.Holders(7)) != 2 || len(h.Holders(9)) != 0 {
		t.Errorf("%d users, %d entries, session 2 holds %d, user 7 is held by %v", users, entries, h.Holds(2), h.Holders(7))
	}
}

// Single unknown commands are counted by themselves, and those whose PDUs a peer may have
// invented leave room for the others.
func TestUnknownStats(t *testing.T) {
	const ruled = pdu.CommandID(0x9000)
	rules := commonRules()
	rules[ruled] = abi.BroadcastAll
	h := newHub(rules)
	peer := hubtest.Join(h)
	for c := range pdu.CommandID(0x1000) {
		peer.Send(t, message(0x3000+c, 1, ""))
	}
	peer.Send(t, message(0, 1, ""), message(ruled, 1, "x"), message(ruled, 1, "x"))
	stats := h.UnknownStats()
	last := stats[len(stats)-1]
	if len(stats) > 2*64 || last.Command != ruled || last.PDUs != 2 || last.Bytes != 34 || last.Actions[policy.BroadcastAll] != 2 {
		t.Errorf("%d commands, the last %+v", len(stats), last)
	}
	var all uint64
	for _, one := range stats {
		if all += one.PDUs; one.Command == 0 {
			t.Error("id 0 is counted by itself, and stands for all")
		}
	}
	if sum := h.CommandStats()[0]; sum.Command != 0 || sum.PDUs != 0x1000+3 || all > sum.PDUs {
		t.Errorf("all unknown commands: %+v", sum)
	}
}

// What the policy drops, and unicasts without a receiver, are not lost; all else that is
// dropped is.
func TestLost(t *testing.T) {
	c := Counts{Dropped: map[Reason]uint64{ByPolicy: 1, NoHolder: 2, PolicyFault: 4, MalformedBody: 8, BadStatus: 16, TooManyUsers: 32, LogFull: 64}}
	if got := c.Lost(); got != 4+8+16+32+64 {
		t.Errorf("lost %d", got)
	}
}
