package policy

import (
	"fmt"
	"strings"
	"time"

	"switchyard/policy/abi"
)

// A RateLimit bounds how many of the PDUs whose verdict names it are routed; those beyond it are
// dropped. At least one of its rates is not zero. Rate limits are compared with ==.
type RateLimit struct {
	Peer   Rate // of each peer
	Tenant Rate // of all peers of the tenant together
}

// A Rate is that of a token bucket, which begins full. The zero Rate means no limit.
//
//	limit 600/min per peer burst 20    Rate{PDUs: 600, Period: Minute, Burst: 20}
//
// lets through 20 PDUs at once and then one every 100 ms.
type Rate struct {
	PDUs   uint32 // in each period, 1 to MaxRate
	Period Period
	Burst  uint32 // PDUs that may come at once, 1 to MaxRate
}

// MaxRate is the largest number of PDUs in a Rate.
const MaxRate = 1_000_000

// A Period is the unit of a Rate.
type Period uint8

const (
	NoPeriod Period = iota
	Second
	Minute
)

// Periods holds how tables spell each period, indexed by it.
var Periods = [...]string{"", "s", "min"}

// duration returns the length of the period.
func (p Period) duration() time.Duration {
	if p == Minute {
		return time.Minute
	}
	return time.Second
}

// String spells the limit as tables do. ParseRateLimit reads it back.
func (l RateLimit) String() string {
	var parts []string
	for _, one := range []struct {
		rate  Rate
		scope string
	}{{l.Peer, scopePeer}, {l.Tenant, scopeTenant}} {
		if one.rate != (Rate{}) {
			parts = append(parts, one.rate.spell(one.scope))
		}
	}
	return strings.Join(append(parts, elseDrop), ", ")
}

// Within reports whether the other rate always lets through what r lets through. It is false if either
// means no limit.
func (r Rate) Within(other Rate) bool {
	perMinute := func(r Rate) uint64 { return uint64(r.PDUs) * uint64(Minute.duration()/max(1, r.Period.duration())) }
	return r != (Rate{}) && other != (Rate{}) && perMinute(r) <= perMinute(other) && r.Burst <= other.Burst
}

// spell spells the rate for one scope: "limit 50/s per peer burst 100".
func (r Rate) spell(scope string) string {
	text := fmt.Sprintf("limit %d/%s per %s", r.PDUs, Periods[r.Period], scope)
	if r.Burst != r.PDUs {
		text += fmt.Sprintf(" burst %d", r.Burst)
	}
	return text
}

// check returns which bound of the ABI the rate breaks, or nil.
func (r Rate) check() error {
	switch {
	case r.PDUs < 1 || r.PDUs > MaxRate:
		return fmt.Errorf("%d PDUs; there are 1 to %d", r.PDUs, MaxRate)
	case r.Period != Second && r.Period != Minute:
		return fmt.Errorf("period %d; 1 is a second and 2 a minute", r.Period)
	case r.Burst < 1 || r.Burst > MaxRate:
		return fmt.Errorf("a burst of %d PDUs; there are 1 to %d", r.Burst, MaxRate)
	}
	return nil
}

// ReadRate reads a rate as the guest's rate_limit returns it, in the layout of policy/abi. The word
// 0 means no rate.
func ReadRate(word uint64) (r Rate, err error) {
	if word == 0 {
		return r, nil
	}
	r = Rate{PDUs: uint32(word & abi.RateMask), Period: Period(word >> abi.RatePeriodShift), Burst: uint32(word >> abi.RateBurstShift & abi.RateMask)}
	if r.Burst == 0 {
		r.Burst = r.PDUs
	}
	if word>>abi.RateEnd != 0 {
		return r, fmt.Errorf("rate %#016x sets reserved bits %d–63", word, abi.RateEnd)
	}
	if err = r.check(); err != nil {
		return r, fmt.Errorf("rate %#016x has %w", word, err)
	}
	return r, nil
}

// Word returns the rate as rate_limit returns it.
func (r Rate) Word() uint64 {
	return uint64(r.PDUs) | uint64(r.Period)<<abi.RatePeriodShift | uint64(r.Burst)<<abi.RateBurstShift
}

// RateLimits are the limits of a policy. The number by which a verdict names one is its index plus 1.
type RateLimits []RateLimit

// A RateLimiter is a policy that has rate limits.
type RateLimiter interface {
	// RateLimits returns them. It returns the same each time.
	RateLimits() RateLimits
}

// RateLimitsOf returns the rate limits of a policy; none if it is not a RateLimiter.
func RateLimitsOf(p any) RateLimits {
	if l, ok := p.(RateLimiter); ok {
		return l.RateLimits()
	}
	return nil
}

// Of returns the limit that v names; the zero RateLimit if it names none.
func (l RateLimits) Of(v Verdict) RateLimit {
	if n := v.Limit(); 1 <= n && n <= len(l) {
		return l[n-1]
	}
	return RateLimit{}
}

// Spell spells v as a routing table does, with the limit that it names.
func (l RateLimits) Spell(v Verdict) string {
	limit := l.Of(v)
	if limit == (RateLimit{}) || v.OverLimit() {
		return v.String()
	}
	return v.WithLimit(0).String() + ", " + limit.String()
}

// A Verdict has the number of its rate limit in the bits that neither actions nor flags use: the lower
// four bits of the number in bits 3–6, and the upper two in bits 14–15.
const (
	limitLowShift  = 3
	limitLow       = 0xf
	limitHighShift = 14
	limitHigh      = 0x3
	limitLowBits   = 4

	// LimitBits are zero in a verdict without a rate limit.
	LimitBits Verdict = limitLow<<limitLowShift | limitHigh<<limitHighShift
)

// Limit returns the number of the rate limit that v names, or 0.
func (v Verdict) Limit() int {
	return int(v>>limitLowShift&limitLow | v>>limitHighShift&limitHigh<<limitLowBits)
}

// WithLimit returns v with the number of a rate limit, or without one if n is 0.
func (v Verdict) WithLimit(n int) Verdict {
	return v&^LimitBits | Verdict(n)&limitLow<<limitLowShift | Verdict(n)>>limitLowBits&limitHigh<<limitHighShift
}

// OverLimit reports whether v is the verdict that Admit returns for a PDU beyond the limit that v names:
// drop. No policy returns such a verdict.
func (v Verdict) OverLimit() bool { return v.Action() == Drop && v&LimitBits != 0 }

// Limitable returns why PDUs with the verdict v cannot have a rate limit, or "".
func (v Verdict) Limitable() string {
	switch action := v.Action(); {
	case action == Drop, action == Consume, action == Close:
		return fmt.Sprintf("%s sends nothing that could be limited", action)
	case v.PresenceHandler() != 0:
		return fmt.Sprintf("handle %s is how peers report their users and their role, once, so dropping it would leave the hub wrong about them", Handlers[v.Argument()])
	}
	return ""
}
