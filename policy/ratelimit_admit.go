package policy

import (
	"slices"
	"sync/atomic"
)

// The rate limits of a tenant are counted in token buckets: one for each limit per peer in each
// peer's RateBuckets, and one for each limit per tenant in the limitSet of the generation. What is
// counted outlives a generation: the next one continues with the buckets of the limits that it
// states as well, so a reload gives nobody a new burst.
//
//	generation 1   #1 50/s per peer   #2 50/s per peer   #3 9/min per tenant
//	                    │                  └────────┐
//	generation 2   #1 50/s per peer   #2 20/s …   #3 50/s per peer
//
// A limit has no name, so equal ones are matched in their order.
//
// In a stage, each generation has buckets of its own, and each PDU is charged to those of both, as if
// either were obeyed about all PDUs. So the candidate changes nothing in shadow, the drops of both can
// be compared, and the buckets are right for whichever is in force afterwards.

// A limitSet is the limits of one generation, or those of both generations of a stage one after the
// other. It is immutable but for the buckets.
type limitSet struct {
	all []countedLimit
	// candidate is where in all the limits of a stage's candidate begin; len(all) if it is not a stage.
	candidate int
	// twin is, for each limit of a stage's stable generation, where the equal one of the candidate is
	// in all, or -1.
	twin []int
	// own are the sets of a stage's generations. A set that is not a stage has itself and nil.
	own [2]*limitSet
	// tenant is the buckets of the limits per tenant, indexed like all. It is replaced as a whole
	// when a generation takes over from another.
	tenant atomic.Pointer[[]*bucket]
}

// A countedLimit tells a limit from equal ones of the same policy.
type countedLimit struct {
	RateLimit
	nth int // of the equal limits, from 0
}

// newLimitSet returns the set of the limits of a generation; nil if it has none.
func newLimitSet(limits RateLimits) *limitSet {
	if len(limits) == 0 {
		return nil
	}
	buckets := make([]*bucket, len(limits))
	for i := range buckets {
		buckets[i] = new(bucket)
	}
	return plainSet(counted(limits), buckets)
}

// plainSet returns a set that is not a stage.
func plainSet(all []countedLimit, buckets []*bucket) *limitSet {
	s := &limitSet{all: all, candidate: len(all)}
	s.own[0] = s
	s.tenant.Store(&buckets)
	return s
}

// stageSet returns the set of both generations of a stage; nil if they have no limits. Until continues
// is called, it has their buckets.
func stageSet(stable, candidate *limitSet) *limitSet {
	if stable == nil && candidate == nil {
		return nil
	}
	s := &limitSet{own: [2]*limitSet{stable, candidate}}
	var buckets []*bucket
	for side, one := range s.own {
		if side == 1 {
			s.candidate = len(s.all)
		}
		if one != nil {
			s.all, buckets = append(s.all, one.all...), append(buckets, *one.tenant.Load()...)
		}
	}
	s.tenant.Store(&buckets)
	for _, l := range s.all[:s.candidate] {
		twin := slices.Index(s.all[s.candidate:], l)
		if twin >= 0 {
			twin += s.candidate
		}
		s.twin = append(s.twin, twin)
	}
	return s
}

func counted(limits RateLimits) (all []countedLimit) {
	for i, l := range limits {
		nth := 0
		for _, earlier := range limits[:i] {
			if earlier == l {
				nth++
			}
		}
		all = append(all, countedLimit{l, nth})
	}
	return all
}

// continues takes over the buckets per tenant of another set, for the limits that both have. No two
// limits of s get one bucket: the second one gets a copy. Both sets may be nil.
func (s *limitSet) continues(before *limitSet) {
	if s == nil || before == nil || s == before {
		return
	}
	buckets, old := slices.Clone(*s.tenant.Load()), *before.tenant.Load()
	for i := range s.all {
		switch j := s.source(i, before); {
		case j < 0:
		case slices.Contains(buckets[:i], old[j]): // from then on both count by themselves
			buckets[i] = new(bucket)
			buckets[i].paid.Store(old[j].paid.Load())
		default: // batches of the generation before may still charge it
			buckets[i] = old[j]
		}
	}
	s.tenant.Store(&buckets)
}

// source returns where in the set before the limit i of s was counted, or -1. Of both sides of a stage
// it is that of the same generation, else that of the same side, else the other one:
//
//	before                  s
//	stage of A and B        B             B's limits continue as those of B
//	stage of A and B        stage of A, C  C's as those of B, where they are equal
//	A                       stage of A, B  B's as those of A, where they are equal
func (s *limitSet) source(i int, before *limitSet) int {
	side := 0
	if i >= s.candidate {
		side = 1
	}
	first := side
	if s.own[side] == before.own[1-side] {
		first = 1 - side
	}
	for _, side := range [2]int{first, 1 - first} {
		lo, hi := 0, before.candidate
		if side == 1 {
			lo, hi = hi, len(before.all)
		}
		if j := slices.Index(before.all[lo:hi], s.all[i]); j >= 0 {
			return lo + j
		}
	}
	return -1
}

// find returns the index of the limit that a verdict of that side names, or -1. s may be nil.
func (s *limitSet) find(side Side, v Verdict) int {
	if s == nil || v.Limit() == 0 {
		return -1
	}
	lo, hi := 0, s.candidate
	if side == Candidate {
		lo, hi = hi, len(s.all)
	}
	if i := lo + v.Limit() - 1; i < hi {
		return i
	}
	return -1
}

// limitOf returns the limit that a verdict of the generation names; the zero countedLimit if it names
// none.
func (g *Generation) limitOf(v Verdict) countedLimit {
	if i := g.rates.find(Alike, v); i >= 0 {
		return g.rates.all[i]
	}
	return countedLimit{}
}

// AreSame reports whether a verdict of one generation and one of another do the same, also as to their
// rate limits.
func AreSame(g *Generation, v Verdict, other *Generation, w Verdict) bool {
	return v.WithLimit(0) == w.WithLimit(0) && g.limitOf(v) == other.limitOf(w)
}

// RateBuckets count what one peer has sent under limits per peer: at most 63 of them, or 126 in a
// stage, of 8 bytes. The zero RateBuckets are full. One goroutine at a time may use them.
type RateBuckets struct {
	of   *limitSet
	paid []uint64 // see bucket, indexed like of.all
}

// Admit charges one PDU with a verdict of g that names a rate limit, at the time now, in nanoseconds of
// any clock that does not go below 0. It returns the verdict without the limit, or, if the limit is
// exhausted, one for which OverLimit holds; nothing is charged then. In a stage, it is for PDUs that are
// not affected.
func (b *RateBuckets) Admit(g *Generation, v Verdict, now int64) Verdict {
	i := g.rates.find(Alike, v)
	if i < 0 {
		return v.WithLimit(0)
	}
	if g.rates.twin != nil && g.rates.twin[i] >= 0 {
		b.charge(g.rates, g.rates.twin[i], now)
	}
	return v.admitted(b.charge(g.rates, i, now))
}

// AdmitAffected is Admit for an affected PDU of a stage. It charges what each generation's verdict names,
// replaces both verdicts in c, and returns the one that is obeyed.
func (b *RateBuckets) AdmitAffected(g *Generation, c *Comparison, now int64) Verdict {
	b.admitOpinion(g, Stable, &c.Stable, now)
	b.admitOpinion(g, Candidate, &c.Candidate, now)
	if c.Side == Candidate {
		return c.Candidate.Verdict
	}
	return c.Stable.Verdict
}

func (b *RateBuckets) admitOpinion(g *Generation, side Side, o *Opinion, now int64) {
	if o.Verdict&LimitBits == 0 {
		return
	}
	i := g.rates.find(side, o.Verdict)
	o.Verdict = o.Verdict.admitted(i < 0 || b.charge(g.rates, i, now))
}

// admitted returns the verdict without its limit if the PDU is within it, else one for which OverLimit
// holds.
func (v Verdict) admitted(within bool) Verdict {
	if within {
		return v.WithLimit(0)
	}
	return Verdict(Drop).WithLimit(v.Limit())
}

// charge charges one PDU to a limit of the set, and reports whether it is within it.
func (b *RateBuckets) charge(set *limitSet, i int, now int64) bool {
	if b.of != set {
		b.move(set)
	}
	limit := &set.all[i]
	if limit.Peer.PDUs > 0 && limit.Peer.after(b.paid[i], now) == 0 {
		return false
	}
	if limit.Tenant.PDUs > 0 && !(*set.tenant.Load())[i].take(limit.Tenant, now) {
		return false
	}
	if limit.Peer.PDUs > 0 {
		b.paid[i] = limit.Peer.after(b.paid[i], now)
	}
	return true
}

// move continues with the buckets of the limits that another set has as well.
func (b *RateBuckets) move(to *limitSet) {
	paid := make([]uint64, len(to.all))
	if b.of != nil {
		for i := range to.all {
			if j := to.source(i, b.of); j >= 0 {
				paid[i] = b.paid[j]
			}
		}
	}
	b.of, b.paid = to, paid
}

// after returns until when all PDUs are paid for if one more is let through now, or 0 if it may not
// be. paid is until when those before it are; each pays for period / PDUs:
//
//	       now                 now + burst PDUs
//	────────┼───────────────────────┼─────▶ time
//	 paid                                    all of the burst is left
//	                 paid                    some is left
//	                            paid         none is left
func (r Rate) after(paid uint64, now int64) uint64 {
	one := r.each()
	next := max(paid, uint64(now)) + one
	if next > uint64(now)+one*uint64(r.Burst) {
		return 0
	}
	return next
}

// each returns the nanoseconds for which one PDU pays.
func (r Rate) each() uint64 { return uint64(r.Period.duration()) / uint64(r.PDUs) }

// A bucket is that of a limit per tenant. It is safe for concurrent use and takes no lock.
type bucket struct {
	paid atomic.Uint64
}

// take lets one PDU through, and reports whether it may.
func (b *bucket) take(r Rate, now int64) bool {
	for {
		paid := b.paid.Load()
		next := r.after(paid, now)
		if next == 0 {
			return false
		}
		if b.paid.CompareAndSwap(paid, next) {
			return true
		}
	}
}
