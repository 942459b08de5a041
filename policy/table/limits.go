package table

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/policy/tomlpos"
)

// A decision is what a row says: a verdict, and the rate limit of the PDUs that get it, if there is
// one. The verdict has the limit's number once the table and those that it extends are one.
type decision struct {
	verdict policy.Verdict
	limit   policy.RateLimit
}

// spell spells the decision as a table does, with the names of groups by their numbers.
func (d decision) spell(groups []string) string {
	text := policy.GuestString(d.verdict.WithLimit(0), groups)
	if d.limit != (policy.RateLimit{}) {
		text += ", " + d.limit.String()
	}
	return text
}

// limited returns the decision with the number of its limit, for which it adds the limit to all.
func (d decision) limited(all *policy.RateLimits) decision {
	if d.limit != (policy.RateLimit{}) {
		*all = append(*all, d.limit)
		d.verdict = d.verdict.WithLimit(len(*all))
	}
	return d
}

// numberLimits gives each rate limit of the table a number, in the order of Text. Each row has a
// limit of its own, also where two rows write the same.
func (t *Table) numberLimits() {
	of := func(r *rule) {
		r.cases = slices.Clone(r.cases) // which are those of a table that this one extends, too
		for i := range r.cases {
			r.cases[i].decision = r.cases[i].limited(&t.limits)
		}
		r.decision = r.limited(&t.limits)
	}
	for _, id := range slices.Sorted(maps.Keys(t.commands)) {
		ruleIn(t.commands, id, of)
	}
	rangesInOrder(t.ranges, of)
	of(&t.otherwise)
	for _, service := range t.named() {
		for _, p := range t.pairsOf(service) {
			ruleIn(t.pairs, p, of)
		}
		if _, ok := t.services[service]; ok {
			ruleIn(t.services, service, of)
		}
	}
	for _, f := range t.from {
		for _, id := range slices.Sorted(maps.Keys(f.commands)) {
			ruleIn(f.commands, id, of)
		}
		rangesInOrder(f.ranges, of)
		of(&f.otherwise)
	}
}

// rangesInOrder calls f with the rules of ranges, which f may change, in the order of Text.
func rangesInOrder(ranges []span, f func(*rule)) {
	order := make([]int, len(ranges))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int { return compareSpans(ranges[i], ranges[j]) })
	for _, i := range order {
		f(&ranges[i].rule)
	}
}

// ruleIn calls f with a rule of m, which f may change.
func ruleIn[K comparable](m map[K]rule, key K, f func(*rule)) {
	r := m[key]
	f(&r)
	m[key] = r
}

// compareSpans orders ranges by their first command, wider ones first.
func compareSpans(x, y span) int { return cmp.Or(cmp.Compare(x.lo, y.lo), cmp.Compare(y.hi, x.hi)) }

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
	return decision{v, t.limits.Of(v)}.spell(t.groups)
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
	see := func(r rule) {
		for _, c := range r.cases {
			idle = append(idle, c.decision.idle(c.at)...)
		}
		idle = append(idle, r.decision.idle(r.at)...)
	}
	visit(t.pairs, see)
	visit(t.commands, see)
	visit(t.services, see)
	for _, r := range t.ranges {
		see(r.rule)
	}
	see(t.otherwise)
	for _, f := range t.from {
		visit(f.commands, see)
		for _, r := range f.ranges {
			see(r.rule)
		}
		see(f.otherwise)
	}
	return idle
}

// visit calls see with each rule, in any order.
func visit[K comparable](rules map[K]rule, see func(rule)) {
	for _, r := range rules {
		see(r)
	}
}

func (d decision) idle(at Place) []deadRow {
	peer, tenant := d.limit.Peer, d.limit.Tenant
	if at.File != "" || at.Line == 0 || !tenant.Within(peer) {
		return nil
	}
	return []deadRow{{at.Line, "its limit per peer never acts: the one per tenant lets no more through"}}
}
