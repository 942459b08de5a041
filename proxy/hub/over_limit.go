package hub

import "switchyard/policy"

// admit charges a PDU to the rate limits that its verdict names, or in a stage those of both generations,
// and returns the verdict to carry out.
func (r *reader) admit(g *policy.Generation, v policy.Verdict, alike bool, now int64) policy.Verdict {
	if alike {
		return r.buckets.Admit(g, v, now)
	}
	return r.buckets.AdmitAffected(g, &r.comparison, now)
}

// ExportLimits returns how full the buckets of the policy's limits per tenant are, for ImportLimits.
func (h *Hub) ExportLimits(now int64) []policy.BucketState { return h.active.ExportLimits(now) }

// ImportLimits makes a new hub continue with the buckets of another one. Their clocks may differ.
func (h *Hub) ImportLimits(all []policy.BucketState, now int64) { h.active.ImportLimits(all, now) }

// ExportLimits returns how full the buckets of the peer are. No goroutine may be in Handle.
func (s *Seat) ExportLimits(now int64) []policy.BucketState { return s.reader.buckets.Export(now) }

// ImportLimits makes a restored seat continue with the buckets of another one, before its first PDU.
func (s *Seat) ImportLimits(all []policy.BucketState, now int64) { s.reader.buckets.Import(all, now) }

// dropReason returns why a run with the verdict drop is dropped.
func dropReason(r *run) Reason {
	switch {
	case r.verdict.OverLimit():
		return OverLimit
	case r.fault != nil:
		return PolicyFault
	}
	return ByPolicy
}
