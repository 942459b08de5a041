package release

import (
	"slices"
	"testing"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/policy/policytest"
)

type limiter struct {
	policytest.Rules
	limits policy.RateLimits
}

func (l limiter) RateLimits() policy.RateLimits { return l.limits }

// A command is affected if its limit is another one, and not if only the number of the limit is.
func TestCompareLimits(t *testing.T) {
	per := func(n uint32) policy.RateLimit {
		return policy.RateLimit{Peer: policy.Rate{PDUs: n, Period: policy.Second, Burst: n}}
	}
	generation := func(number int, limits ...policy.RateLimit) *policy.Generation {
		return policytest.Generation(limiter{policytest.Rules{pdu.CID_MSG_DATA: policy.Verdict(abi.BroadcastAll).WithLimit(number)}, limits})
	}
	for name, c := range map[string]struct {
		stable, candidate *policy.Generation
		affected          bool
	}{
		"the same":          {generation(1, per(5)), generation(1, per(5)), false},
		"another limit":     {generation(1, per(5)), generation(1, per(6)), true},
		"another number":    {generation(1, per(5)), generation(2, per(6), per(5)), false},
		"a new limit":       {generation(0), generation(1, per(5)), true},
		"one less":          {generation(1, per(5)), generation(0), true},
		"the second equal":  {generation(1, per(5), per(5)), generation(2, per(5), per(5)), true},
		"none that is used": {generation(0, per(5)), generation(0), false},
	} {
		if got := slices.Contains(Compare(c.stable, c.candidate).Affected, pdu.CID_MSG_DATA); got != c.affected {
			t.Errorf("%s: affected is %v", name, got)
		}
		c.stable.Release()
		c.candidate.Release()
	}
}
