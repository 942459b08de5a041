package server

import (
	"fmt"

	"switchyard/policy"
	"switchyard/proxy/config"
)

// aboveQuota returns warnings of the rate limits that never act, because the tenant's quota lets no
// more through: who wrote the limit expects that it does something.
func aboveQuota(limits policy.RateLimits, q config.Quota) (warnings []string) {
	check := func(l policy.RateLimit, r policy.Rate, key string, pdus int64) {
		quota := policy.Rate{PDUs: uint32(pdus), Period: policy.Second, Burst: uint32(pdus)} // a quota saves up one second
		if pdus > 0 && quota.Within(r) {
			warnings = append(warnings, fmt.Sprintf("%q never acts: quota.%s lets %d PDUs a second through", l, key, pdus))
		}
	}
	for _, l := range limits {
		check(policy.RateLimit{Peer: l.Peer}, l.Peer, "peer_pdus_in", q.PeerPDUsIn)
		check(policy.RateLimit{Tenant: l.Tenant}, l.Tenant, "pdus_in", q.PDUsIn)
	}
	return warnings
}
