package hub_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"switchyard/pdu"
	"switchyard/pdu/pdutest"
	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/policy/policytest"
	. "switchyard/proxy/hub"
	"switchyard/proxy/hub/hubtest"
)

func generation(p policy.Policy) *policy.Generation { return policy.NewGeneration("audited", "", p) }

// with returns the common rules and one more.
func with(c pdu.CommandID, v policy.Verdict) policytest.Rules {
	r := commonRules()
	r[c] = v
	return r
}

func TestAudit(t *testing.T) {
	const fields = abi.Unicast | abi.ToFields<<16 | abi.NotSender | abi.ElseBroadcast | 6<<32
	const size = 100
	for _, tt := range []struct {
		name            string
		active, audited policy.Verdict
		users           string
		sent, would     int
		useless, missed int
	}{
		{"alike", abi.BroadcastExceptSender, abi.BroadcastExceptSender, "", 3, 3, 0, 0},
		{"to one of three", abi.BroadcastExceptSender, fields, "\x08\x01\x10\x02", 3, 1, 2, 0},
		{"to the sender only", abi.BroadcastExceptSender, fields, "\x08\x01", 3, 0, 3, 0},
		{"to a user who is not known", abi.BroadcastExceptSender, fields, "\x08\x01\x10\x09", 3, 3, 0, 0},
		{"to the sender as well", abi.BroadcastExceptSender, abi.BroadcastAll, "", 3, 4, 0, 1},
		{"not to the sender", abi.BroadcastAll, abi.BroadcastExceptSender, "", 4, 3, 1, 0},
		{"to another peer", fields, abi.Unicast | abi.ToUser<<16 | 3<<32, "\x08\x01\x10\x02", 1, 2, 1, 2},
		{"to one more", fields, abi.Unicast | abi.ToFields<<16 | 6<<32, "\x08\x01\x10\x02", 1, 2, 0, 1},
		{"to all instead of few", abi.Unicast | abi.ToSession<<16 | 2<<32, abi.BroadcastAll, "", 1, 4, 0, 3},
		{"dropped", abi.BroadcastAll, abi.Drop, "", 4, 0, 4, 0},
		{"instead of consuming", abi.Consume, abi.Unicast | abi.ToMaster<<16, "", 0, 1, 0, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHub(with(others, tt.active))
			h.SetAudit(generation(with(others, tt.audited)))
			a, b, c, d := hubtest.Join(h), hubtest.Join(h), hubtest.Join(h), hubtest.Join(h)
			a.Send(t, online(1))
			b.Send(t, online(2))
			c.Send(t, online(3))
			d.Send(t, online(3), pdutest.RoleSet(true))
			m := message(others, 1, tt.users)
			m = pdu.Append(nil, pdu.SID_MSG, others, 1, append(m[pdu.HeaderLen:], filler(size-len(m))...))
			a.Send(t, m, message(0x7777, 1, ""), message(0x7778, 1, ""))

			rows := h.Audit()
			i := slices.IndexFunc(rows, func(r AuditRow) bool { return r.Command == others })
			if i < 0 {
				t.Fatalf("rows %+v have none for the message", rows)
			}
			want := AuditRow{Command: others, PDUs: 1, Sent: CopiesOf(tt.sent, m), Audited: CopiesOf(tt.would, m),
				Useless: CopiesOf(tt.useless, m), Missed: CopiesOf(tt.missed, m)}
			if rows[i] != want {
				t.Errorf("got  %+v\nwant %+v", rows[i], want)
			}
			if made := rows[0]; made != (AuditRow{PDUs: 2}) {
				t.Errorf("made-up commands: %+v, want 2 PDUs in one row", made)
			}
		})
	}
}

// filler returns a field of n bytes that no verdict of these tests names.
func filler(n int) []byte {
	return append([]byte{15<<3 | 2, byte(n - 2)}, make([]byte, n-2)...)
}

// An audited policy that fails changes nothing that peers receive.
func TestAuditedPolicyFails(t *testing.T) {
	h := newHub(commonRules())
	h.SetAudit(generation(failing{}))
	a, b := hubtest.Join(h), hubtest.Join(h)
	var sent [][]byte
	for i := range 100 {
		sent = append(sent, message(others, uint16(i), "text"))
	}
	a.Send(t, sent...)
	b.Expect(t, "b", sent...)
	a.Expect(t, "sender")
	if len(a.Notes) > 0 {
		t.Errorf("notes: %+v, want none about the audited policy", a.Notes)
	}
	row := h.Audit()[0]
	if row.Faults != 100 || row.Sent.PDUs != 100 || row.Audited.PDUs != 0 {
		t.Errorf("row %+v, want 100 faults", row)
	}
	h.ResetBreaker()
	h.SetAudit(nil)
	if rows := h.Audit(); rows != nil {
		t.Errorf("rows without an audit: %+v", rows)
	}
}

type failing struct{ policytest.Rules }

func (failing) Classify(pdu.ServiceID, pdu.CommandID) (policy.Verdict, error) {
	return 0, &policy.Fault{Kind: policy.FaultTrap, Err: errors.New("trapped")}
}

// An audit counts what putting that policy in force would do: two hubs receive the same
// PDUs, one with the second policy audited, and one with it in force.
func TestAuditIsWhatASwitchDoes(t *testing.T) {
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 3))
		first, second := randomRules(rnd), randomRules(rnd)
		now, then := newHub(first), newHub(second)
		now.SetAudit(generation(second))
		var ours, theirs []*hubtest.Peer
		for range 5 {
			ours, theirs = append(ours, hubtest.Join(now)), append(theirs, hubtest.Join(then))
		}
		for range 300 {
			i := rnd.IntN(len(ours))
			var batch [][]byte
			for range 1 + rnd.IntN(4) {
				switch rnd.IntN(4) {
				case 0:
					batch = append(batch, pdutest.StatusUpdate(rnd.Uint32N(6), 1+rnd.Uint32N(2), 1))
				case 1:
					batch = append(batch, pdutest.RoleSet(rnd.IntN(2) == 0))
				default:
					users := []byte{0x08, byte(rnd.IntN(6)), 0x10, byte(rnd.IntN(6))}
					batch = append(batch, message(0x0300+pdu.CommandID(rnd.IntN(8)), uint16(rnd.Uint32()), string(users)))
				}
			}
			ours[i].Send(t, batch...)
			theirs[i].Send(t, batch...)
		}
		var all, want AuditRow
		for _, row := range now.Audit() {
			all.Add(row)
		}
		got := AuditRow{Sent: policy.Copies{PDUs: all.Sent.PDUs}, Audited: policy.Copies{PDUs: all.Audited.PDUs},
			Useless: policy.Copies{PDUs: all.Useless.PDUs}, Missed: policy.Copies{PDUs: all.Missed.PDUs}}
		for i := range ours {
			sent, would := forwarded(ours[i]), forwarded(theirs[i])
			want.Sent.PDUs += without(sent, nil)
			want.Audited.PDUs += without(would, nil)
			want.Useless.PDUs += without(sent, would)
			want.Missed.PDUs += without(would, sent)
		}
		if got != want {
			t.Errorf("seed %d: the audit says\n%+v, a switch does\n%+v", seed, got, want)
		}
		if want.Useless.PDUs == 0 || want.Missed.PDUs == 0 {
			t.Errorf("seed %d: nothing was useless or missed: %+v", seed, want)
		}
	}
}

func randomRules(rnd *rand.Rand) policytest.Rules {
	r := commonRules()
	for c := range pdu.CommandID(8) {
		r[0x0300+c] = []policy.Verdict{
			abi.Drop, abi.Consume, abi.BroadcastExceptSender, abi.BroadcastAll, abi.Unicast | abi.ToSender<<16, abi.Unicast | abi.ToMaster<<16,
			abi.Unicast | abi.ToSession<<16 | 2<<32, abi.Unicast | abi.ToUser<<16 | 3<<32 | abi.ElseBroadcast, abi.Unicast | abi.ToFields<<16 | 6<<32,
			abi.Unicast | abi.ToFields<<16 | 6<<32 | abi.NotSender | abi.ElseBroadcast, abi.Unicast | abi.ToFields<<16 | 2<<32 | abi.NotSender,
		}[rnd.IntN(11)]
	}
	return r
}

// forwarded returns what the peer received of what others sent, and how often.
func forwarded(g *hubtest.Peer) map[string]int {
	got := make(map[string]int)
	for _, p := range pdutest.Split(g.Read()) {
		if pdu.ParseHeader(p).Command>>8 == 3 {
			got[string(p)]++
		}
	}
	return got
}

func without(these, those map[string]int) (n uint64) {
	for p, times := range these {
		n += uint64(max(0, times-those[p]))
	}
	return n
}

// An audit, too, allocates nothing once its buffers have grown.
func TestNoAllocationPerAuditedPDU(t *testing.T) {
	h := newHub(commonRules())
	h.SetAudit(generation(with(others, abi.Unicast|abi.ToFields<<16|abi.ElseBroadcast|6<<32)))
	a, b := hubtest.Join(h), hubtest.Join(h)
	b.Send(t, online(2))
	var batch []byte
	for range 16 {
		batch = append(batch, message(others, 1, "\x08\x02\x10\x02")...)
		batch = append(batch, message(everyone, 1, "some text of a message")...)
	}
	vec := make([][]byte, 0, 256)
	pass := func() {
		h.Handle(a.Seat, batch)
		a.Discard(vec, h.Head())
		b.Discard(vec, h.Head())
	}
	for range 2 * ChunkSize / len(batch) * 2 {
		pass()
	}
	if got := testing.AllocsPerRun(200, pass); got > 0 {
		t.Errorf("%v allocations for %d PDUs, want none", got, 32)
	}
}

// Audits are replaced while peers send: each policy is closed once, after its last
// call.
func TestAuditsSwapped(t *testing.T) {
	h := newHub(commonRules())
	var talking sync.WaitGroup
	var stop atomic.Bool
	for range 3 {
		g := hubtest.Join(h)
		talking.Go(func() {
			for !stop.Load() {
				g.Send(t, online(1), message(others, 1, "\x08\x01"), message(everyone, 2, ""))
				g.ReadSome(1<<20, 1<<20)
			}
		})
	}
	var policies []*closing
	for i := range 200 {
		p := &closing{}
		policies = append(policies, p)
		h.SetAudit(generation(p))
		h.Audit()
		if i%3 == 0 {
			h.SetAudit(nil)
		}
	}
	h.SetAudit(nil)
	stop.Store(true)
	talking.Wait()
	for i, p := range policies {
		if p.closed.Load() != 1 || p.late.Load() > 0 {
			t.Errorf("policy %d was closed %d times and asked %d times afterwards", i, p.closed.Load(), p.late.Load())
		}
	}
}

// A closing policy inspects every PDU, and counts calls after its Close.
type closing struct{ closed, late atomic.Int64 }

func (c *closing) Classify(pdu.ServiceID, pdu.CommandID) (policy.Verdict, error) {
	return abi.Drop | abi.InspectHeader, nil
}

func (c *closing) Inspect(policy.Verdict, policy.Question) (policy.Verdict, error) {
	c.late.Add(c.closed.Load())
	return abi.BroadcastAll, nil
}

func (c *closing) Close() error { c.closed.Add(1); return nil }

// A PDU costs what it costs without an audit where both policies agree by ids.
func BenchmarkAudit(b *testing.B) {
	batch := bytes.Repeat(message(others, 1, "\x08\x01\x10\x02"+string(filler(100))+string(filler(76))), 64)
	const fields = abi.Unicast | abi.ToFields<<16 | abi.NotSender | abi.ElseBroadcast | 6<<32
	for _, bench := range []struct {
		name    string
		audited policy.Policy
	}{{"without", nil}, {"agrees", commonRules()}, {"unicasts", with(others, fields)}} {
		b.Run(bench.name, func(b *testing.B) {
			h := newHub(commonRules())
			if bench.audited != nil {
				h.SetAudit(generation(bench.audited))
			}
			var all []*hubtest.Peer
			for i := range uint32(8) {
				all = append(all, hubtest.Join(h))
				all[i].Send(b, online(i+1))
			}
			benchmarkBatches(b, h, all, batch)
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*64), "ns/PDU")
		})
	}
}
