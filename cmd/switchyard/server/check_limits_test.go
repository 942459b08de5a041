package server

import (
	"slices"
	"testing"

	"switchyard/policy"
	"switchyard/proxy/config"
)

func TestLimitsAboveTheQuota(t *testing.T) {
	rate := func(n, burst uint32) policy.Rate { return policy.Rate{PDUs: n, Period: policy.Second, Burst: burst} }
	limits := policy.RateLimits{{Peer: rate(50, 50), Tenant: rate(500, 500)}, {Peer: rate(50, 10)}}
	for _, test := range []struct {
		quota config.Quota
		want  []string
	}{
		{config.Quota{}, nil},
		{config.Quota{PeerPDUsIn: 51, PDUsIn: 501}, nil},
		{config.Quota{PeerPDUsIn: 50}, []string{`"limit 50/s per peer, else drop" never acts: quota.peer_pdus_in lets 50 PDUs a second through`}},
		{config.Quota{PDUsIn: 20}, []string{`"limit 500/s per tenant, else drop" never acts: quota.pdus_in lets 20 PDUs a second through`}},
	} {
		if got := aboveQuota(limits, test.quota); !slices.Equal(got, test.want) {
			t.Errorf("%+v: %q, want %q", test.quota, got, test.want)
		}
	}
}
