package policy

import "time"

// Another process may continue with the buckets of this one. Its clock is another one, so a bucket is
// described by the time that it needs to be full again:
//
//	       now               paid
//	────────┼──────────────────┼────▶ clock of this process
//	        ├─────── Owed ─────┤

// A BucketState is one bucket that is not full. Its names in JSON do not change.
type BucketState struct {
	RateLimit
	Nth  int           `json:",omitempty"` // of the equal limits of the policy, from 0
	Owed time.Duration // until the bucket is full, if nothing is taken from it
}

// Export returns the buckets that are not full at the time now, of the clock of Admit.
func (b *RateBuckets) Export(now int64) (all []BucketState) {
	if b.of == nil {
		return nil
	}
	for i, l := range b.of.all[:b.of.candidate] { // after an upgrade in a stage, its stable generation is in force
		all = l.export(all, b.paid[i], now)
	}
	return all
}

// Import makes new buckets continue from those of another process. A bucket whose limit the generation of
// the next Admit does not have is dropped.
func (b *RateBuckets) Import(all []BucketState, now int64) {
	if len(all) == 0 {
		return
	}
	var limits []countedLimit
	for _, one := range all {
		limits = append(limits, countedLimit{one.RateLimit, one.Nth})
		b.paid = append(b.paid, one.paid(one.Peer, now))
	}
	b.of = plainSet(limits, nil)
}

// ExportLimits is RateBuckets.Export for the limits per tenant of the generation in force.
func (a *Active) ExportLimits(now int64) (all []BucketState) {
	g := a.Acquire()
	defer g.Release()
	if g.rates == nil {
		return nil
	}
	for i, l := range g.rates.all[:g.rates.candidate] {
		all = l.export(all, (*g.rates.tenant.Load())[i].paid.Load(), now)
	}
	return all
}

// ImportLimits makes the generation in force continue with the limits per tenant of another process. It is
// called before the generation judges.
func (a *Active) ImportLimits(all []BucketState, now int64) {
	var limits []countedLimit
	var buckets []*bucket
	for i, one := range all {
		limits, buckets = append(limits, countedLimit{one.RateLimit, one.Nth}), append(buckets, new(bucket))
		buckets[i].paid.Store(one.paid(one.Tenant, now))
	}
	g := a.Acquire()
	defer g.Release()
	g.rates.continues(plainSet(limits, buckets))
}

func (l countedLimit) export(to []BucketState, paid uint64, now int64) []BucketState {
	if paid <= uint64(now) {
		return to
	}
	return append(to, BucketState{l.RateLimit, l.nth, time.Duration(paid - uint64(now))})
}

// paid returns until when the PDUs of the bucket are paid for. No bucket is emptier than empty.
func (s *BucketState) paid(of Rate, now int64) uint64 {
	if of.check() != nil || s.Owed <= 0 {
		return 0
	}
	return uint64(now) + min(uint64(s.Owed), of.each()*uint64(of.Burst))
}
