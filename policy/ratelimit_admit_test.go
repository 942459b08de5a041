package policy_test

import (
	"testing"
	"time"

	"switchyard/pdu"
	. "switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/policy/policytest"
)

// A limiter is a policy with rate limits.
type limiter struct {
	policytest.Rules
	limits RateLimits
}

func (l limiter) RateLimits() RateLimits { return l.limits }

// rateLimited returns a policy whose verdict on CID_MSG_DATA names the last limit.
func rateLimited(limits ...RateLimit) limiter {
	return limiter{policytest.Rules{alikeCommand: Verdict(abi.BroadcastAll).WithLimit(len(limits))}, limits}
}

func perPeer(n, burst uint32) RateLimit {
	return RateLimit{Peer: Rate{PDUs: n, Period: Second, Burst: burst}}
}
func perTenant(n, burst uint32) RateLimit {
	return RateLimit{Tenant: Rate{PDUs: n, Period: Second, Burst: burst}}
}

// admitted returns how many of n PDUs of CID_MSG_DATA pass at the time now.
func admitted(t *testing.T, g *Generation, b *RateBuckets, n int, now time.Duration) (passed int) {
	t.Helper()
	for range n {
		batch := g.Begin(1, 0, nil)
		var both Comparison
		batch.Compare(&both, 0)
		v, _ := batch.Judge(from(alikeCommand, 1))
		batch.Release()
		if batch.Affected() > 0 {
			v = b.AdmitAffected(g, &both, int64(now))
		} else if v.Limit() > 0 {
			v = b.Admit(g, v, int64(now))
		}
		if v == abi.BroadcastAll {
			passed++
		} else if !v.OverLimit() {
			t.Fatalf("Admit = %v", v)
		}
	}
	return passed
}

func TestAdmit(t *testing.T) {
	for name, test := range map[string]struct {
		limit RateLimit
		want  []int // that pass of 100 PDUs at each half second
	}{
		"per peer":           {perPeer(50, 50), []int{50, 25, 25, 25}},
		"burst above":        {perPeer(10, 30), []int{30, 5, 5, 5}},
		"burst below":        {perPeer(50, 1), []int{1, 1, 1, 1}},
		"a third":            {perPeer(3, 3), []int{3, 1, 2, 1}},
		"per minute":         {RateLimit{Peer: Rate{PDUs: 60, Period: Minute, Burst: 7}}, []int{7, 0, 1, 0}},
		"per tenant":         {perTenant(50, 50), []int{50, 25, 25, 25}},
		"both, peer first":   {RateLimit{Peer: perPeer(4, 4).Peer, Tenant: perTenant(50, 50).Tenant}, []int{4, 2, 2, 2}},
		"both, tenant first": {RateLimit{Peer: perPeer(50, 50).Peer, Tenant: perTenant(4, 4).Tenant}, []int{4, 2, 2, 2}},
		"the largest":        {perPeer(MaxRate, MaxRate), []int{100, 100, 100}},
	} {
		g := policytest.Generation(rateLimited(test.limit))
		var b RateBuckets
		for i, want := range test.want {
			if got := admitted(t, g, &b, 100, time.Duration(i)*time.Second/2); got != want {
				t.Errorf("%s: %d pass at %d half seconds, want %d", name, got, i, want)
			}
		}
		// After a long silence there is one burst, and no more.
		burst := int(max(test.limit.Peer.Burst, test.limit.Tenant.Burst))
		if test.limit.Peer.Burst > 0 && test.limit.Tenant.Burst > 0 {
			burst = int(min(test.limit.Peer.Burst, test.limit.Tenant.Burst))
		}
		if got := admitted(t, g, &b, 100, time.Hour); got != min(100, burst) {
			t.Errorf("%s: %d pass after an hour, want %d", name, got, min(100, burst))
		}
		g.Release()
	}
}

// Each peer has buckets of its own, those per tenant are of all. A PDU that one limit stops takes
// nothing of the other.
func TestAdmitPeersOfTenant(t *testing.T) {
	g := policytest.Generation(rateLimited(RateLimit{Peer: perPeer(3, 3).Peer, Tenant: perTenant(5, 5).Tenant}))
	defer g.Release()
	var a, b, c RateBuckets
	for i, want := range []int{3, 2, 0} {
		if got := admitted(t, g, []*RateBuckets{&a, &b, &c}[i], 10, 0); got != want {
			t.Errorf("%d PDUs of peer %d pass, want %d", got, i, want)
		}
	}
	if got := admitted(t, g, &c, 10, time.Hour); got != 3 {
		t.Errorf("%d PDUs pass after an hour, want 3", got)
	}
}

// A limit that the policy does not have is ignored. Only a policy in Go can name one: the verdicts of
// guests are checked.
func TestAdmitUnknownLimit(t *testing.T) {
	for _, p := range []Policy{policytest.Rules{}, rateLimited(perPeer(1, 1))} {
		g := policytest.Generation(p)
		var b RateBuckets
		if v := b.Admit(g, Verdict(abi.BroadcastAll).WithLimit(9), 0); v != abi.BroadcastAll {
			t.Errorf("Admit = %v", v)
		}
		g.Release()
	}
}

// A new generation continues with the buckets of the limits that it has as well, also over one that
// is a stage, and back. Other limits begin full.
func TestBucketsOutliveGenerations(t *testing.T) {
	for name, limit := range map[string]RateLimit{"per peer": perPeer(5, 5), "per tenant": perTenant(5, 5)} {
		t.Run(name, func(t *testing.T) {
			first := policytest.Generation(rateLimited(limit))
			active := NewActive(first)
			defer active.Close()
			var b RateBuckets
			try := func(what string, want int) {
				t.Helper()
				g := active.Acquire()
				defer g.Release()
				if got := admitted(t, g, &b, 100, 0); got != want {
					t.Errorf("%s: %d pass, want %d", what, got, want)
				}
			}
			try("first", 5)
			active.Install(policytest.Generation(rateLimited(perPeer(9, 9), limit))) // it has another number now
			try("the same limit", 0)
			active.Install(policytest.Generation(rateLimited(limit, limit)))
			try("a second limit of the same rate", 5)
			active.Install(policytest.Generation(rateLimited(limit, perPeer(6, 6))))
			try("another rate", 6)
			stable := policytest.Generation(rateLimited(limit))
			split := &Split{Stable: stable, Candidate: policytest.Generation(rateLimited(limit))}
			active.Install(NewStage(split, 0, new(Tally)))
			split.Candidate.Release()
			try("a stage", 0)
			active.Install(stable)
			try("the stable generation again", 0)
		})
	}
}

// In a stage, both generations count all PDUs, as if either were obeyed about all of them. So the
// candidate does not change what passes in shadow, and whichever is in force afterwards continues.
func TestBothSidesCount(t *testing.T) {
	for name, of := range map[string]func(n, burst uint32) RateLimit{"per peer": perPeer, "per tenant": perTenant} {
		for _, c := range []struct {
			what              string
			stable, candidate RateLimits
			shadow            int // of 20 that pass in shadow
			back, done        int // of 20 that pass afterwards, at the same time, with the stable policy and with the candidate
		}{
			{"stricter", RateLimits{of(10, 10)}, RateLimits{of(4, 4)}, 10, 0, 0},
			{"looser", RateLimits{of(10, 10)}, RateLimits{of(15, 15)}, 10, 0, 0},
			{"much looser", RateLimits{of(10, 10)}, RateLimits{of(25, 25)}, 10, 0, 5},
			{"none before", nil, RateLimits{of(4, 4)}, 20, 20, 0},
			{"none after", RateLimits{of(10, 10)}, nil, 10, 0, 20},
			{"alike", RateLimits{of(10, 10)}, RateLimits{of(10, 10)}, 10, 0, 0},
			{"alike, another number", RateLimits{of(10, 10)}, RateLimits{of(3, 3), of(10, 10)}, 10, 0, 0},
		} {
			for _, done := range []bool{false, true} {
				policyOf := func(limits RateLimits) *Generation {
					if limits == nil {
						return policytest.Generation(policytest.Rules{alikeCommand: abi.BroadcastAll})
					}
					return policytest.Generation(rateLimited(limits...))
				}
				split := &Split{Stable: policyOf(c.stable), Candidate: policyOf(c.candidate)}
				a := NewActive(split.Stable)
				split.Stable.Acquire()
				var b RateBuckets
				pass := func() int {
					g := a.Acquire()
					defer g.Release()
					return admitted(t, g, &b, 20, 0)
				}
				a.Install(NewStage(split, 0, new(Tally)))
				if got := pass(); got != c.shadow {
					t.Errorf("%s, %s: %d pass in shadow, want %d", name, c.what, got, c.shadow)
				}
				a.Install(NewStage(split, 0.5, new(Tally))) // another stage continues
				last, want := split.Stable, c.back
				if done {
					last, want = split.Candidate, c.done
				}
				last.Acquire()
				a.Install(last)
				if got := pass(); got != want {
					t.Errorf("%s, %s, done %v: %d pass, want %d", name, c.what, done, got, want)
				}
				split.Stable.Release()
				split.Candidate.Release()
				a.Close()
			}
		}
	}
}

// A limit that the candidate has for more commands takes nothing from the stable generation's.
func TestCandidateTakesNothing(t *testing.T) {
	for name, limit := range map[string]RateLimit{"per peer": perPeer(5, 5), "per tenant": perTenant(5, 5)} {
		v := Verdict(abi.BroadcastAll)
		stable := limiter{policytest.Rules{alikeCommand: v.WithLimit(1), otherCommand: v}, RateLimits{limit}}
		candidate := limiter{policytest.Rules{alikeCommand: v.WithLimit(1), otherCommand: v.WithLimit(1)}, RateLimits{limit}}
		g, _ := stageOf(t, stable, candidate, 0)
		var b RateBuckets
		for range 20 {
			_, _, c := compared(g, from(otherCommand, 1), 0)
			if got := b.AdmitAffected(g, &c, 0); got != v {
				t.Fatalf("%s: %v for a PDU without a limit", name, got)
			}
		}
		if got := admitted(t, g, &b, 20, 0); got != 5 {
			t.Errorf("%s: %d pass, want 5", name, got)
		}
	}
}

// After a release, the audited policy is compared with another one, and still takes nothing from an
// equal limit of that.
func TestAuditAfterRelease(t *testing.T) {
	for name, limit := range map[string]RateLimit{"per peer": perPeer(10, 10), "per tenant": perTenant(10, 10)} {
		policyOf := func() *Generation { return policytest.Generation(rateLimited(limit)) }
		split := &Split{Stable: policyOf(), Candidate: policyOf()}
		a := NewActive(split.Stable)
		a.SetAudit(policyOf(), new(Tally))
		a.Install(NewStage(split, 0, new(Tally)))
		a.Install(split.Candidate)
		var b RateBuckets
		g := a.Acquire()
		if got := admitted(t, g, &b, 20, 0); got != 10 {
			t.Errorf("%s: %d pass, want 10", name, got)
		}
		g.Release()
		a.SetAudit(nil, nil)
		a.Close()
	}
}

// In a stage, the limit of the generation counts that is obeyed, and equal limits of both are alike.
func TestLimitsOfStage(t *testing.T) {
	const user = 1
	for name, test := range map[string]struct {
		stable, candidate RateLimit
		share             float64
		affected          bool
		want              int
	}{
		"equal":              {perPeer(5, 5), perPeer(5, 5), 1, false, 5},
		"the candidate's":    {perPeer(5, 5), perPeer(7, 7), 1, true, 7},
		"the stable one's":   {perPeer(5, 5), perPeer(7, 7), 0, true, 5},
		"only the stable's":  {perPeer(5, 5), RateLimit{}, 0, true, 5},
		"only the candidate": {RateLimit{}, perTenant(7, 7), 1, true, 7},
	} {
		side := func(l RateLimit) Policy {
			if l == (RateLimit{}) {
				return policytest.Rules{alikeCommand: abi.BroadcastAll}
			}
			return rateLimited(perTenant(1, 1), l)
		}
		g, _ := stageOf(t, side(test.stable), side(test.candidate), test.share)
		b := g.Begin(1, 0, nil)
		b.Compare(new(Comparison), 0)
		b.Judge(from(pdu.CID_MSG_DATA, user))
		if got := b.Affected() > 0; got != test.affected {
			t.Errorf("%s: affected is %v", name, got)
		}
		b.Release()
		if got := admitted(t, g, new(RateBuckets), 100, 0); got != test.want {
			t.Errorf("%s: %d pass, want %d", name, got, test.want)
		}
	}
}

func TestAdmitAllocatesOnce(t *testing.T) {
	g := policytest.Generation(rateLimited(RateLimit{Peer: perPeer(1, 1).Peer, Tenant: perTenant(5, 5).Tenant}))
	defer g.Release()
	var b RateBuckets
	v := Verdict(abi.BroadcastAll).WithLimit(1)
	b.Admit(g, v, 0)
	if n := testing.AllocsPerRun(100, func() { b.Admit(g, v, 1e9) }); n != 0 {
		t.Errorf("%v allocations for a PDU", n)
	}
}

func BenchmarkAdmit(b *testing.B) {
	g := policytest.Generation(rateLimited(perPeer(MaxRate, MaxRate)))
	defer g.Release()
	var buckets RateBuckets
	v := Verdict(abi.BroadcastAll).WithLimit(1)
	for i := range b.N {
		buckets.Admit(g, v, int64(i))
	}
}
