package table

import (
	"fmt"

	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/policy/tomlpos"
)

// A decision is what a row says: a verdict, and the rate limit of the PDUs that get it, if there is
// one. The verdict has the limit's number once the table and those that it extends are one.
type decision struct {
	verdict policy.Verdict
	limit   policy.RateLimit
	at      Place // where it is written
}

// spell spells the decision as a table does, with the names of groups by their numbers.
func (d decision) spell(groups []string) string {
	text := policy.GuestString(d.verdict.WithLimit(0), groups)
	if d.limit != (policy.RateLimit{}) {
		text += ", " + d.limit.String()
	}
	return text
}

// numberLimits gives each rate limit of the table a number, in the order of Text. Each row has a
// limit of its own, also where two rows write the same.
func (t *Table) numberLimits() {
	for _, d := range t.decisions() {
		if d.limit != (policy.RateLimit{}) {
			t.limits = append(t.limits, d.limit)
			d.verdict = d.verdict.WithLimit(len(t.limits))
		}
	}
}

// tooManyLimits returns a fault if the table has more rate limits than verdicts can name.
func (t *Table) tooManyLimits(name string) tomlpos.Errors {
	if n := len(t.limits); n > abi.MaxLimits {
		return tomlpos.Errors{{Name: name, Line: 1, What: fmt.Sprintf("the table and what it extends have %d rows with a limit, at most %d are possible", n, abi.MaxLimits),
			Remedy: "write ranges, whose commands share one limit, or set a quota for the tenant"}}
	}
	return nil
}

// RateLimits returns the rate limits of the table, by the numbers in its verdicts.
func (t *Table) RateLimits() policy.RateLimits { return t.limits }

// Spell spells a verdict of the table, with its limit and its groups.
func (t *Table) Spell(v policy.Verdict) string {
	return decision{verdict: v, limit: t.limits.Of(v)}.spell(t.groups)
}

// rateLimit returns the code of the function rate_limit.
func (t *Table) rateLimit() []byte {
	b := vector() // no locals
	for scope, rate := range []func(policy.RateLimit) policy.Rate{
		abi.PerPeer:   func(l policy.RateLimit) policy.Rate { return l.Peer },
		abi.PerTenant: func(l policy.RateLimit) policy.Rate { return l.Tenant },
	} {
		b = append(b, opLocalGet, localScope, opI32Const)
		b = append(appendSigned(b, int64(scope)), opI32Eq, opIf, typeVoid)
		for i, l := range t.limits {
			if rate(l) == (policy.Rate{}) {
				continue
			}
			b = append(b, opLocalGet, localNumber, opI32Const)
			b = append(appendSigned(b, int64(i+1)), opI32Eq, opIf, typeVoid, opI64Const)
			b = append(appendSigned(b, int64(rate(l).Word())), opReturn, opEnd)
		}
		b = append(b, opEnd)
	}
	return append(appendSigned(append(b, opI64Const), 0), opEnd)
}

// The parameters of rate_limit.
const (
	localNumber = 0
	localScope  = 1
)

// idleLimits returns the rows of the table itself whose limit per peer can never act, because their
// limit per tenant lets no more through in any time.
func (t *Table) idleLimits() (idle []deadRow) {
	for _, d := range t.decisions() {
		if d.at.File == "" && d.limit.Tenant.Within(d.limit.Peer) {
			idle = append(idle, deadRow{d.at.Line, "its limit per peer never acts: the one per tenant lets no more through"})
		}
	}
	return idle
}
