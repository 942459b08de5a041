package hub

import "switchyard/policy"

// admit charges a PDU to the rate limit that its verdict names, and returns the verdict to carry out.
func (r *reader) admit(g *policy.Generation, v policy.Verdict, affected bool, now int64) policy.Verdict {
	side := policy.Alike
	if affected {
		side = r.comparison.Side
	}
	return r.buckets.Admit(g, side, v, now)
}

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
