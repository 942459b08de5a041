package hub_test

import (
	"bytes"
	"testing"

	"switchyard/pdu"
	"switchyard/pdu/pdutest"
	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/policy/policytest"
	. "switchyard/proxy/hub"
	"switchyard/proxy/hub/hubtest"
)

// limitedRules have limit 1, ten PDUs a second from each peer, for CID_MSG_DATA, and limit 2, three
// a second from all, for CID_MSG_READ_NOTIFY.
type limitedRules struct{ policytest.Rules }

func newLimitedRules() limitedRules {
	r := commonRules()
	r[pdu.CID_MSG_DATA] = policy.Verdict(abi.BroadcastExceptSender).WithLimit(1)
	r[pdu.CID_MSG_READ_NOTIFY] = policy.Verdict(abi.BroadcastExceptSender).WithLimit(2)
	return limitedRules{r}
}

func (limitedRules) RateLimits() policy.RateLimits {
	ten := policy.Rate{PDUs: 10, Period: policy.Second, Burst: 10}
	return policy.RateLimits{{Peer: ten}, {Tenant: policy.Rate{PDUs: 3, Period: policy.Second, Burst: 3}}}
}

// What is over a limit is dropped, counted, noted and shown to taps; what is before, between and
// behind it is routed.
func TestOverLimit(t *testing.T) {
	h := New(policytest.Active(newLimitedRules()), farBehind)
	a, b, c := hubtest.Join(h), hubtest.Join(h), hubtest.Join(h)
	tap := &tapped{}
	defer h.Attach(tap)()
	chat, receipt := pdutest.Raw(pdu.CID_MSG_DATA, 1, []byte("hello")), pdutest.Raw(pdu.CID_MSG_READ_NOTIFY, 1, nil)
	send := func(from *hubtest.Peer, now int64, pdus ...[]byte) {
		t.Helper()
		if _, err := h.HandleTurn(from.Seat, bytes.Join(pdus, nil), Unbounded(now)); err != nil {
			t.Fatal(err)
		}
	}
	send(a, 0, append([][]byte{receipt}, append(repeated(chat, 25), receipt, pdutest.Heartbeat())...)...)
	send(b, 0, append(repeated(receipt, 4), repeated(chat, 10)...)...)
	send(a, 1e9, repeated(chat, 11)...)

	for _, to := range []struct {
		peer *hubtest.Peer
		want int
	}{{a, 1 + 10}, {b, 2 + 10 + 10}, {c, 2 + 10 + 1 + 10 + 10}} {
		if got := len(pdutest.Split(to.peer.Read())); got != to.want {
			t.Errorf("session %d gets %d PDUs, want %d", to.peer.Session(), got, to.want)
		}
	}
	counts := h.Counts()
	if got := counts.Dropped[OverLimit]; got != 15+3+1 || counts.Lost() != 0 {
		t.Errorf("%d PDUs are over a limit, %d lost", got, counts.Lost())
	}
	hubtest.Conserved(t, h)
	limited := map[uint64]uint64{}
	for _, s := range h.Sessions(nil) {
		limited[s.Number] = s.Limited
	}
	if limited[a.Session()] != 15+1 || limited[b.Session()] != 3 || limited[c.Session()] != 0 {
		t.Errorf("PDUs of sessions over a limit: %v", limited)
	}
	if len(a.Notes) != 2 || a.Notes[0].Dropped != OverLimit || a.Notes[0].PDUs != 15 ||
		a.Notes[0].Policy.RateLimits().Of(a.Notes[0].Verdict).String() != "limit 10/s per peer, else drop" {
		t.Errorf("notes: %+v", a.Notes)
	}
	if got := tap.verdicts["drop, over a limit"]; got != 19 || tap.verdicts["broadcast-except-sender"] == 0 {
		t.Errorf("a tap sees %v", tap.verdicts)
	}
	for _, one := range h.CommandStats() {
		if one.Command == pdu.CID_MSG_DATA && (one.PDUs != 46 || one.Actions[policy.Drop] != 16) {
			t.Errorf("chats: %+v", one)
		}
	}
}

// What a candidate would drop beyond its limit counts as what it does not deliver, also in shadow, where
// it is not obeyed. Limits of both that let the same PDUs through make no difference.
func TestLimitsAreCompared(t *testing.T) {
	limited := func(limits ...policy.RateLimit) policy.Policy {
		r := commonRules()
		r[pdu.CID_MSG_DATA] = policy.Verdict(abi.BroadcastExceptSender).WithLimit(len(limits))
		return limitedBy{r, limits}
	}
	per := func(burst uint32) policy.RateLimit {
		return policy.RateLimit{Peer: policy.Rate{PDUs: 1, Period: policy.Second, Burst: burst}}
	}
	for name, c := range map[string]struct {
		stable, candidate   policy.Policy
		share               float64
		delivered           uint64 // of 10 chats
		differ, undelivered uint64
		copies              [2]uint64
	}{
		"a new one":             {limited(), limited(per(3)), 0, 10, 7, 7, [2]uint64{10, 3}},
		"a new one, obeyed":     {limited(), limited(per(3)), 1, 3, 7, 7, [2]uint64{10, 3}},
		"stricter":              {limited(per(5)), limited(per(3)), 0, 5, 2, 2, [2]uint64{5, 3}},
		"looser":                {limited(per(3)), limited(per(5)), 0, 3, 2, 0, [2]uint64{3, 5}},
		"wide enough":           {limited(per(50)), limited(per(60)), 0, 10, 0, 0, [2]uint64{10, 10}},
		"taken away":            {limited(per(3)), limited(), 0, 3, 7, 0, [2]uint64{3, 10}},
		"taken away, obeyed":    {limited(per(3)), limited(), 1, 10, 7, 0, [2]uint64{3, 10}},
		"the same, more exist":  {limited(per(3)), limited(per(9), per(3)), 0, 3, 0, 0, [2]uint64{}},
		"dropped, not over one": {limited(per(3)), with(pdu.CID_MSG_DATA, abi.Drop), 0, 3, 3, 3, [2]uint64{3, 0}},
	} {
		split := &policy.Split{Stable: policytest.Generation(c.stable), Candidate: policytest.Generation(c.candidate)}
		tally := new(policy.Tally)
		active := policy.NewActive(policy.NewStage(split, c.share, tally))
		h := New(active, farBehind)
		from, to := hubtest.Join(h), hubtest.Join(h)
		from.Send(t, repeated(pdutest.Raw(pdu.CID_MSG_DATA, 1, []byte("hello")), 10)...)
		if got := uint64(len(pdutest.Split(to.Read()))); got != c.delivered {
			t.Errorf("%s: %d chats arrive, want %d", name, got, c.delivered)
		}
		counted := h.Weighed(tally)
		w := counted.Sum()
		if w.Differ != c.differ || w.Undelivered != c.undelivered || w.Copies[0].PDUs != c.copies[0] || w.Copies[1].PDUs != c.copies[1] {
			t.Errorf("%s: %+v, want %d that differ, %d undelivered, copies %v", name, w, c.differ, c.undelivered, c.copies)
		}
		hubtest.Conserved(t, h)
		active.Close()
		split.Stable.Release()
		split.Candidate.Release()
	}
}

type limitedBy struct {
	policytest.Rules
	limits policy.RateLimits
}

func (l limitedBy) RateLimits() policy.RateLimits { return l.limits }

func repeated(p []byte, n int) (all [][]byte) {
	for range n {
		all = append(all, p)
	}
	return all
}

// tapped counts PDUs by the verdicts that a tap sees.
type tapped struct{ verdicts map[string]int }

func (*tapped) Present(uint64, bool, *Membership) {}
func (*tapped) Joined(uint64, *Membership)        {}
func (*tapped) Left(uint64)                       {}
func (*tapped) Grouped(uint64, *Membership)       {}
func (t *tapped) Judged(j Judged) {
	if t.verdicts == nil {
		t.verdicts = map[string]int{}
	}
	t.verdicts[j.Verdict.String()] += len(pdutest.Split(j.PDUs))
}

// A rate limit costs no allocation per PDU, whether it lets the PDU pass or not.
func TestLimitsDoNotAllocate(t *testing.T) {
	h := New(policytest.Active(newLimitedRules()), farBehind)
	a, b := hubtest.Join(h), hubtest.Join(h)
	batch := bytes.Repeat(pdutest.Raw(pdu.CID_MSG_DATA, 1, []byte("hello")), 100)
	turn := Unbounded(0)
	vec := make([][]byte, 0, 16)
	send := func() {
		turn.Now += 1e8
		h.HandleTurn(a.Seat, batch, turn)
		b.Discard(vec, h.Head())
		a.Notes = a.Notes[:0]
	}
	for range 1000 {
		send()
	}
	if n := testing.AllocsPerRun(100, send); n > 1 { // the log may get a chunk
		t.Errorf("%v allocations for a batch of 100 PDUs", n)
	}
	if got := h.Counts().Dropped[OverLimit]; got == 0 {
		t.Error("nothing was over the limit")
	}
}

func BenchmarkHandleLimited(b *testing.B) {
	h := New(policytest.Active(newLimitedRules()), farBehind)
	p, other := hubtest.Join(h), hubtest.Join(h)
	batch := bytes.Repeat(pdutest.Raw(pdu.CID_MSG_DATA, 1, make([]byte, 240)), 10)
	turn := Unbounded(0)
	vec := make([][]byte, 0, 16)
	for b.Loop() {
		turn.Now += 1e9 // nothing is over the limit
		h.HandleTurn(p.Seat, batch, turn)
		other.Discard(vec, h.Head())
	}
}

// With several hubs, the sender's hub counts, and the others are said only what is within the limit.
func TestOverLimitOfSeveralHubs(t *testing.T) {
	w := newWire(t, policytest.Active(newLimitedRules()), 1)
	other := New(policytest.Active(newLimitedRules()), farBehind) // each hub has loaded the policy by itself
	other.SetOrder(&wireEnd{w, 2}, 2)
	w.hubs = append(w.hubs, other)
	near, far := hubtest.Join(w.hubs[0]), hubtest.Join(w.hubs[1])
	w.pass()
	for _, from := range []*hubtest.Peer{near, far} {
		from.Send(t, append(repeated(pdutest.Raw(pdu.CID_MSG_DATA, 1, []byte("hello")), 15), repeated(pdutest.Raw(pdu.CID_MSG_READ_NOTIFY, 1, nil), 5)...)...)
	}
	w.pass()
	for i, to := range []*hubtest.Peer{near, far} {
		if got := len(pdutest.Split(to.Read())); got != 10+3 {
			t.Errorf("session %d gets %d PDUs, want 13", to.Session(), got)
		}
		if got := w.hubs[i].Counts().Dropped[OverLimit]; got != 5+2 {
			t.Errorf("hub %d dropped %d PDUs, want 7", i+1, got)
		}
		hubtest.Conserved(t, w.hubs[i])
	}
}
