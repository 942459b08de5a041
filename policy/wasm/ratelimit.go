package wasm

import (
	"fmt"

	"github.com/tetratelabs/wazero/api"

	"switchyard/policy"
	"switchyard/policy/abi"
)

// RateLimits implements policy.RateLimiter.
func (p *Policy) RateLimits() policy.RateLimits { return p.rates }

// findRateLimits asks the guest for its rate limits: for those of the numbers from 1 on, up to the
// first one that has no rate.
func (l *loader) findRateLimits() error {
	p := l.policy
	if !p.has(abi.RateLimit) {
		return nil
	}
	s, err := p.claim(0)
	if err != nil {
		return err
	}
	defer func() { s.release(err) }()
	f := s.in.module.ExportedFunction(abi.RateLimit)
	for n := 1; n <= abi.MaxLimits; n++ {
		var limit policy.RateLimit
		for scope, rate := range []*policy.Rate{abi.PerPeer: &limit.Peer, abi.PerTenant: &limit.Tenant} {
			if *rate, err = s.in.callRateLimit(f, n, scope); err != nil {
				return refuse("correct what rate_limit returns, see docs/abi.md", "%s(%d, %d): %w", abi.RateLimit, n, scope, err)
			}
		}
		if limit == (policy.RateLimit{}) {
			break
		}
		p.rates = append(p.rates, limit)
	}
	return nil
}

func (in *instance) callRateLimit(f api.Function, number, scope int) (policy.Rate, error) {
	in.stack[0], in.stack[1] = uint64(number), uint64(scope)
	if err := in.call(f); err != nil {
		return policy.Rate{}, err
	}
	return policy.ReadRate(in.stack[0])
}

// knowsLimit returns a fault if v names a rate limit that the guest does not have.
func (in *instance) knowsLimit(v policy.Verdict) error {
	switch n := v.Limit(); {
	case n > 0 && len(*in.rates) == 0:
		return &policy.Fault{Kind: policy.FaultABI, Err: fmt.Errorf("verdict %#016x sets reserved bits: it names rate limit %d, and the guest states none by %s", v.GuestWord(), n, abi.RateLimit)}
	case n > len(*in.rates):
		return &policy.Fault{Kind: policy.FaultABI, Err: fmt.Errorf("the verdict %#016x names rate limit %d, and %s states %d", v.GuestWord(), n, abi.RateLimit, len(*in.rates))}
	}
	return nil
}
