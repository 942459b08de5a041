package hub_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"testing"

	"switchyard/pdu"
	"switchyard/pdu/pdutest"
	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/policy/policytest"
	. "switchyard/proxy/hub"
	"switchyard/proxy/hub/hubtest"
)

// A staged is a hub with a stage in force.
type staged struct {
	*Hub
	active *policy.Active
	split  *policy.Split
	tally  *policy.Tally
}

// chatUsers says that the messages of these tests have their user in field 1.
var chatUsers = func() *policy.UserFields {
	u := new(policy.UserFields)
	for c := range 0x100 {
		u[0x0300+c] = 1
	}
	return u
}()

// stage returns a hub in which units below the share obey the candidate.
func stage(stable, candidate policy.Policy, share float64) staged {
	s := &policy.Split{Stable: policytest.Generation(stable), Candidate: policytest.Generation(candidate), Salt: 3, Users: chatUsers, Fuel: 1000}
	tally := new(policy.Tally)
	active := policy.NewActive(policy.NewStage(s, share, tally))
	return staged{New(active, farBehind), active, s, tally}
}

// weights returns the counts of one command.
func (s staged) weights(c pdu.CommandID) policy.Weights {
	for _, w := range s.Weighed(s.tally).Commands {
		if w.Command == c {
			return w.Weights
		}
	}
	return policy.Weights{}
}

// What each of two policies would have sent is counted for each PDU, whichever is obeyed.
func TestWeighed(t *testing.T) {
	const (
		fields = abi.Unicast | abi.ToFields<<16 | abi.NotSender | 6<<32
		home   = "\x08\x01\x10\x01" // users of the sender
		away   = "\x08\x01\x10\x02" // one of the sender, one of b
		nobody = "\x08\x09\x10\x09"
	)
	for _, tt := range []struct {
		name              string
		stable, candidate policy.Verdict
		users             string
		copies            [2]uint64
		only              [2]uint64
		undelivered       uint64
	}{
		{"less", abi.BroadcastExceptSender, fields, away, [2]uint64{2, 1}, [2]uint64{1, 0}, 0},
		{"more", abi.BroadcastExceptSender, abi.BroadcastAll, "", [2]uint64{2, 3}, [2]uint64{0, 1}, 0},
		{"to others", abi.Unicast | abi.ToUser<<16 | 2<<32, abi.Unicast | abi.ToUser<<16 | 3<<32, "", [2]uint64{1, 1}, [2]uint64{1, 1}, 0},
		{"dropped", abi.BroadcastExceptSender, abi.Drop, "", [2]uint64{2, 0}, [2]uint64{2, 0}, 1},
		{"consumed", abi.BroadcastExceptSender, abi.Consume, "", [2]uint64{2, 0}, [2]uint64{2, 0}, 1},
		{"to nobody", abi.BroadcastExceptSender, fields, nobody, [2]uint64{2, 0}, [2]uint64{2, 0}, 1},
		{"to users at home", abi.BroadcastExceptSender, fields, home, [2]uint64{2, 0}, [2]uint64{2, 0}, 0},
		{"answered by a handler", abi.BroadcastExceptSender, abi.Handle | abi.UsersStatusRequest<<32, away, [2]uint64{2, 0}, [2]uint64{2, 0}, 0},
		{"dropped as before", abi.Consume, abi.Drop, "", [2]uint64{}, [2]uint64{}, 0},
		{"another flag", abi.BroadcastExceptSender, abi.BroadcastExceptSender | abi.Log, "", [2]uint64{2, 2}, [2]uint64{}, 0},
	} {
		for _, share := range []float64{0, 1} {
			h := stage(with(others, tt.stable), with(others, tt.candidate), share)
			a, b, c := hubtest.Join(h.Hub), hubtest.Join(h.Hub), hubtest.Join(h.Hub)
			a.Send(t, online(1))
			b.Send(t, online(2))
			c.Send(t, online(3))
			m := message(others, 1, tt.users)
			a.Send(t, m, m, message(everyone, 1, ""))
			size := uint64(len(m))
			want := policy.Weights{PDUs: 2, Side: [2]uint64{2, 0}, Differ: 2, Undelivered: 2 * tt.undelivered}
			if share == 1 {
				want.Side = [2]uint64{0, 2}
			}
			for i := range 2 {
				want.Copies[i] = policy.Copies{PDUs: 2 * tt.copies[i], Bytes: 2 * size * tt.copies[i]}
				want.Only[i] = policy.Copies{PDUs: 2 * tt.only[i], Bytes: 2 * size * tt.only[i]}
			}
			if got := h.weights(others); got != want {
				t.Errorf("%s, share %v:\n%+v, want\n%+v", tt.name, share, got, want)
			}
			if all := h.Weighed(h.tally); all.Alike != 4 || all.ByStable+all.ByCandidate != 2 || len(all.Commands) != 1 {
				t.Errorf("%s: %+v, want 4 PDUs alike and 2 others", tt.name, all)
			}
			sent := tt.stable
			if share == 1 {
				sent = tt.candidate
			}
			alone := newHub(with(others, sent))
			x, y, z := hubtest.Join(alone), hubtest.Join(alone), hubtest.Join(alone)
			x.Send(t, online(1))
			y.Send(t, online(2))
			z.Send(t, online(3))
			x.Send(t, m, m, message(everyone, 1, ""))
			for i, pair := range [][2]*hubtest.Peer{{a, x}, {b, y}, {c, z}} {
				if got, want := pair[0].Read(), pair[1].Read(); !bytes.Equal(got, want) {
					t.Errorf("%s, share %v: peer %d got % x, want % x", tt.name, share, i, got, want)
				}
			}
		}
	}
}

// PDUs of different sides are counted separately, even if both policies say the same.
func TestSidesOfOneBatch(t *testing.T) {
	inspected := with(others, abi.BroadcastExceptSender|abi.InspectHeader)
	h := stage(inspected, inspected, 0.5)
	g := h.active.Acquire()
	defer g.Release()
	judging := g.Begin(1, 0, nil)
	defer judging.Release()
	var both policy.Comparison
	judging.Compare(&both, 0)
	var batch []byte
	want := policy.Weights{PDUs: 200, Inspected: [2]uint64{200, 200}}
	for user := range uint64(200) {
		p := message(others, 1, string(binary.AppendUvarint([]byte{1 << 3}, user)))
		batch = append(batch, p...)
		judging.Judge(p)
		want.Side[both.Side-policy.Stable]++
	}
	a := hubtest.Join(h.Hub)
	a.Send(t, batch)
	if got := h.weights(others); got != want || want.Side[0] == 0 || want.Side[1] == 0 {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// What a candidate must not do is counted, and not done.
func TestWeighedTripwires(t *testing.T) {
	inspects := func(v policy.Verdict, fault error) policy.Policy {
		return &policytest.Policy{
			OnClassify: with(others, abi.BroadcastExceptSender|abi.InspectHeader).Classify,
			OnInspect:  func(policy.Verdict, policy.Question) (policy.Verdict, error) { return v, fault },
		}
	}
	for name, tt := range map[string]struct {
		candidate policy.Policy
		want      func(*policy.Weights)
	}{
		"fault":    {inspects(0, policytest.Trap("trapped")), func(w *policy.Weights) { w.Faults, w.Failed[1] = 1, 1 }},
		"close":    {inspects(abi.Close, nil), func(w *policy.Weights) { w.Closes = 1 }},
		"presence": {inspects(abi.Handle|abi.OnlineUserInfo<<32, nil), func(w *policy.Weights) { w.Presence = 1 }},
	} {
		h := stage(commonRules(), tt.candidate, 1)
		a, b := hubtest.Join(h.Hub), hubtest.Join(h.Hub)
		m := message(others, 1, "\x08\x01")
		a.Send(t, m)
		b.Expect(t, name, m)
		got := h.weights(others)
		want := policy.Weights{PDUs: 1, Side: [2]uint64{1, 0}, Differ: got.Differ, Inspected: [2]uint64{0, 1}, Copies: got.Copies, Only: got.Only}
		if tt.want(&want); got != want || h.split.Tripped() == policy.NoTrip {
			t.Errorf("%s: %+v, want %+v; tripped by %q", name, got, want, h.split.Tripped())
		}
		if len(a.Notes) > 0 {
			t.Errorf("%s: %+v, want no note about the candidate", name, a.Notes)
		}
	}
}

// Weighing waits for nobody who uses the user table, and looks up only few users.
func TestUnweighed(t *testing.T) {
	const fields = abi.Unicast | abi.ToFields<<16 | abi.NotSender | 4<<32
	h := stage(commonRules(), with(others, fields), 0)
	a, b := hubtest.Join(h.Hub), hubtest.Join(h.Hub)
	few, many := []byte("\x08\x01"), []byte("\x08\x01")
	for user := range uint64(257) {
		many = binary.AppendUvarint(append(many, 2<<3), user)
	}
	var sent [][]byte
	send := func(body []byte) {
		sent = append(sent, message(others, 1, string(body)))
		a.Send(t, sent[len(sent)-1])
	}
	send(few)
	if w := h.weights(others); w.PDUs != 1 || w.Unweighed != 0 {
		t.Errorf("%+v, want one PDU weighed", w)
	}
	WithPresenceLocked(h.Hub, func() { send(few) })
	send(many)
	if w := h.weights(others); w.PDUs != 3 || w.Unweighed != 2 || w.Copies[0].PDUs != 1 {
		t.Errorf("%+v, want two of three PDUs unweighed", w)
	}
	b.Expect(t, "b", sent...)
}

// Whatever two policies say: each PDU is obeyed as one of them says, the counts add up,
// and in shadow peers receive what they would without a candidate.
func FuzzStage(f *testing.F) {
	for seed := range uint64(20) {
		f.Add(seed, uint8(seed*13))
	}
	f.Fuzz(func(t *testing.T, seed uint64, share uint8) {
		rnd := rand.New(rand.NewPCG(seed, 5))
		stable, candidate := randomPolicy(rnd), randomPolicy(rnd)
		h, alone := stage(stable, candidate, float64(share)/255), New(policytest.Active(stable), farBehind)
		seen := &sides{t: t, split: h.split}
		defer h.Attach(seen)()
		var peers, lone []*hubtest.Peer
		for range 4 {
			peers, lone = append(peers, hubtest.Join(h.Hub)), append(lone, hubtest.Join(alone))
		}
		for range 50 {
			i, batch := rnd.IntN(len(peers)), randomBatch(rnd)
			err, errAlone := h.Handle(peers[i].Seat, batch), alone.Handle(lone[i].Seat, batch)
			if share == 0 && !errors.Is(err, errAlone) {
				t.Fatalf("in shadow: %v, want %v", err, errAlone)
			}
		}
		all, received := h.Weighed(h.tally), hubtest.Conserved(t, h.Hub).Received
		refused := h.Counts().Dropped[SessionEnded] // what follows a close
		if all.Alike+all.ByStable+all.ByCandidate+refused != received {
			t.Errorf("%d PDUs alike, %d by the stable, %d by the candidate, %d refused; %d received", all.Alike, all.ByStable, all.ByCandidate, refused, received)
		}
		sum := all.Sum()
		if sum.Side != [2]uint64{all.ByStable, all.ByCandidate} || sum.PDUs != all.ByStable+all.ByCandidate || sum.Unweighed > 0 && h.split.Rules().Quota == 0 {
			t.Errorf("the commands have %+v, in all %+v", sum, all)
		}
		for i := range peers {
			if share == 0 && !bytes.Equal(peers[i].Read(), lone[i].Read()) {
				t.Errorf("peer %d notices the shadow", i)
			}
		}
	})
}

// sides is a tap that asks the generation obeyed what it says.
type sides struct {
	t     *testing.T
	split *policy.Split
}

func (*sides) Present(uint64, bool, *Membership) {}
func (*sides) Joined(uint64, *Membership)        {}
func (*sides) Left(uint64)                       {}
func (*sides) Grouped(uint64, *Membership)       {}

func (s *sides) Judged(j Judged) {
	if j.Policy != s.split.Stable && j.Policy != s.split.Candidate {
		s.t.Fatalf("judged by %v, which is neither", j.Policy)
	}
	for p, rest := CutPDU(j.PDUs); p != nil; p, rest = CutPDU(rest) {
		if v, fault := j.Policy.Judge(p, j.Session, 0); v != j.Verdict || (fault == nil) != (j.Fault == nil) {
			s.t.Errorf("% x: %v, %v; the generation says %v, %v", p, j.Verdict, j.Fault, v, fault)
		}
	}
}

// A randomPolicy has random verdicts, some of which it finds by inspection or fails to.
func randomPolicy(rnd *rand.Rand) policy.Policy {
	rules, inspections := randomRules(rnd), randomRules(rnd)
	for c := range pdu.CommandID(8) {
		if rnd.IntN(3) == 0 {
			rules[0x0300+c] |= abi.InspectHeader
		}
	}
	odd := rnd.IntN(20)
	return &policytest.Policy{
		OnClassify: rules.Classify,
		OnInspect: func(_ policy.Verdict, q policy.Question) (policy.Verdict, error) {
			h := pdu.ParseHeader(q.Header)
			switch int(h.Seq)%20 - odd {
			case 0:
				return abi.Close, nil
			case 1:
				return abi.Handle | abi.RoleSet<<32, nil
			case 2:
				return 0, policytest.Fault(policy.FaultBody, "too large") // does not open the breaker
			}
			return inspections[h.Command], nil
		},
	}
}

func randomBatch(rnd *rand.Rand) (batch []byte) {
	for range 1 + rnd.IntN(6) {
		switch rnd.IntN(6) {
		case 0:
			batch = append(batch, pdutest.StatusUpdate(rnd.Uint32N(6), 1+rnd.Uint32N(2), 1)...)
		case 1:
			batch = append(batch, message(pdu.CommandID(rnd.Uint32()), 1, "")...)
		default:
			users := []byte{0x08, byte(rnd.IntN(6)), 0x10, byte(rnd.IntN(6))}
			batch = append(batch, message(0x0300+pdu.CommandID(rnd.IntN(8)), uint16(rnd.Uint32()), string(users))...)
		}
	}
	return batch
}
