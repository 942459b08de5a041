package policy

import (
	"slices"
	"sync/atomic"
)

// The rate limits of a tenant are counted in token buckets: one for each limit per peer in each
// peer's RateBuckets, and one for each limit per tenant in the limitSet of the generation. What is
// counted outlives a generation: the next one goes on with the buckets of the limits that it
// states as well, so a reload gives nobody a new burst.
//
//	generation 1   #1 50/s per peer   #2 50/s per peer   #3 9/min per tenant
//	                    │                  └────────┐
//	generation 2   #1 50/s per peer   #2 20/s …   #3 50/s per peer
//
// A limit has no name, so equal ones are matched in their order. In a stage, both generations have
// one limitSet, in which equal limits are one.

// A limitSet is the limits of one generation, or of both generations of a stage. It is immutable but
// for the buckets.
type limitSet struct {
	all []countedLimit
	// index is where the limits of the stable generation, and of the candidate, are in all, by
	// their numbers less 1. A generation that is no stage has the first only.
	index [2][]uint8
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
func newLimitSet(stable RateLimits) *limitSet {
	if len(stable) == 0 {
		return nil
	}
	return new(limitSet).add(0, counted(stable)).begin()
}

// mergedLimits returns the set of both generations of a stage; nil if they have no limits.
func mergedLimits(stable, candidate *limitSet) *limitSet {
	if stable == nil && candidate == nil {
		return nil
	}
	s := new(limitSet)
	for side, one := range []*limitSet{stable, candidate} {
		if one != nil {
			s.add(side, one.all)
		}
	}
	s.begin()
	s.continues(candidate)
	s.continues(stable)
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

func (s *limitSet) add(side int, limits []countedLimit) *limitSet {
	for _, l := range limits {
		i := slices.Index(s.all, l)
		if i < 0 {
			i = len(s.all)
			s.all = append(s.all, l)
		}
		s.index[side] = append(s.index[side], uint8(i))
	}
	return s
}

// begin gives the set new buckets, which are full.
func (s *limitSet) begin() *limitSet {
	buckets := make([]*bucket, len(s.all))
	for i := range buckets {
		buckets[i] = new(bucket)
	}
	s.tenant.Store(&buckets)
	return s
}

// continues takes over the buckets per tenant of another set, for the limits that both have. Both
// may be nil.
func (s *limitSet) continues(before *limitSet) {
	if s == nil || before == nil || s == before {
		return
	}
	buckets := slices.Clone(*s.tenant.Load())
	for i, l := range s.all {
		if j := slices.Index(before.all, l); j >= 0 {
			buckets[i] = (*before.tenant.Load())[j]
		}
	}
	s.tenant.Store(&buckets)
}

// find returns the index of the limit that a verdict of that side names, or -1. s may be nil.
func (s *limitSet) find(side Side, v Verdict) int {
	if s == nil {
		return -1
	}
	numbers := s.index[0]
	if side == Candidate {
		numbers = s.index[1]
	}
	if n := v.Limit(); n <= len(numbers) {
		return int(numbers[n-1])
	}
	return -1
}

// sameLimit reports whether v of the stable generation and w of the candidate name the same limit,
// or none.
func (s *limitSet) sameLimit(v, w Verdict) bool {
	switch {
	case v.Limit() == 0 || w.Limit() == 0:
		return v.Limit() == w.Limit()
	default:
		return s.find(Stable, v) == s.find(Candidate, w)
	}
}

// RateBuckets count what one peer has sent under limits per peer: at most 63 of them, or 126 in a
// stage, of 8 bytes. The zero RateBuckets are full. One goroutine at a time may use them.
type RateBuckets struct {
	of   *limitSet
	paid []uint64 // see bucket, indexed like of.all
}

// Admit charges one PDU with a verdict of g that names a rate limit, at the time now, in nanoseconds of
// any clock that does not go below 0. It returns the verdict without the limit, or, if the limit is
// exhausted, one for which OverLimit holds; nothing is charged then. In a stage, side is the one that is
// obeyed.
func (b *RateBuckets) Admit(g *Generation, side Side, v Verdict, now int64) Verdict {
	i := g.rates.find(side, v)
	if i < 0 {
		return v.WithLimit(0)
	}
	if b.of != g.rates {
		b.move(g.rates)
	}
	limit := &g.rates.all[i]
	if limit.Peer.PDUs > 0 && limit.Peer.after(b.paid[i], now) == 0 {
		return Verdict(Drop).WithLimit(v.Limit())
	}
	if limit.Tenant.PDUs > 0 && !(*g.rates.tenant.Load())[i].take(limit.Tenant, now) {
		return Verdict(Drop).WithLimit(v.Limit())
	}
	if limit.Peer.PDUs > 0 {
		b.paid[i] = limit.Peer.after(b.paid[i], now)
	}
	return v.WithLimit(0)
}

// move goes on with the buckets of the limits that another set has as well.
func (b *RateBuckets) move(to *limitSet) {
	paid := make([]uint64, len(to.all))
	if b.of != nil {
		for i, l := range to.all {
			if j := slices.Index(b.of.all, l); j >= 0 {
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
