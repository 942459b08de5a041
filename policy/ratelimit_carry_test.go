package policy_test

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	. "switchyard/policy"
	"switchyard/policy/policytest"
)

// Another process, whose clock began later, continues with the buckets as they are.
func TestBucketsMove(t *testing.T) {
	peer, tenant := perPeer(10, 10), perTenant(10, 10)
	for name, c := range map[string]struct {
		here, there []RateLimit
		want        int // of 20 that pass at once in the other process, of buckets with 2 PDUs left
	}{
		"per peer":         {[]RateLimit{peer}, []RateLimit{peer}, 2},
		"per tenant":       {[]RateLimit{tenant}, []RateLimit{tenant}, 2},
		"both":             {[]RateLimit{{Peer: peer.Peer, Tenant: tenant.Tenant}}, []RateLimit{{Peer: peer.Peer, Tenant: tenant.Tenant}}, 2},
		"another number":   {[]RateLimit{peer}, []RateLimit{tenant, peer}, 2},
		"another limit":    {[]RateLimit{peer}, []RateLimit{perPeer(10, 15)}, 15},
		"another equal":    {[]RateLimit{peer}, []RateLimit{peer, peer}, 10}, // the last one is used, which is the second
		"the second equal": {[]RateLimit{tenant, tenant}, []RateLimit{tenant, tenant}, 2},
	} {
		here, there := NewActive(policytest.Generation(rateLimited(c.here...))), NewActive(policytest.Generation(rateLimited(c.there...)))
		var b, moved RateBuckets
		g := here.Acquire()
		if n := admitted(t, g, &b, 8, time.Hour); n != 8 {
			t.Fatalf("%s: %d of the first 8 pass", name, n)
		}
		g.Release()
		buckets, ofTenant := b.Export(int64(time.Hour)), here.ExportLimits(int64(time.Hour))
		moved.Import(sent(t, buckets), int64(time.Second))
		there.ImportLimits(sent(t, ofTenant), int64(time.Second))
		g = there.Acquire()
		if n := admitted(t, g, &moved, 20, time.Second); n != c.want {
			t.Errorf("%s: %d of 20 pass in the other process, want %d", name, n, c.want)
		}
		if n := admitted(t, g, &moved, 20, 2*time.Second); n < 10 {
			t.Errorf("%s: %d of 20 pass a second later, want what a second brings", name, n)
		}
		g.Release()
		if full := b.Export(int64(2 * time.Hour)); len(full)+len(here.ExportLimits(int64(2*time.Hour))) != 0 {
			t.Errorf("%s: full buckets are described: %+v", name, full)
		}
		here.Close()
		there.Close()
	}
}

// sent returns what another process receives.
func sent(t *testing.T, all []BucketState) (received []BucketState) {
	t.Helper()
	text, err := json.Marshal(all)
	if err == nil {
		err = json.Unmarshal(text, &received)
	}
	if err != nil || !slices.Equal(all, received) {
		t.Fatalf("sent %+v, received %+v, %v", all, received, err)
	}
	return received
}

// Whatever another process says, no bucket is emptier than empty, and without a word all are full.
func TestBucketsOfAnotherProcess(t *testing.T) {
	peer, tenant := perPeer(10, 10), perTenant(10, 10)
	for name, c := range map[string]struct {
		states []BucketState
		want   int // of 20 that pass a second later
	}{
		"nothing":        {nil, 10},
		"another limit":  {[]BucketState{{RateLimit: perPeer(1, 1), Owed: time.Second}}, 10},
		"no rate":        {[]BucketState{{Owed: time.Second}}, 10},
		"too much":       {[]BucketState{{RateLimit: peer, Owed: 1000 * time.Hour}, {RateLimit: tenant, Owed: 1<<63 - 1}}, 10},
		"less than full": {[]BucketState{{RateLimit: peer, Owed: -time.Hour}, {RateLimit: tenant, Owed: -1}}, 10},
	} {
		for _, limit := range []RateLimit{peer, tenant} {
			a := NewActive(policytest.Generation(rateLimited(limit)))
			var b RateBuckets
			b.Import(c.states, 0)
			a.ImportLimits(c.states, 0)
			g := a.Acquire()
			if n := admitted(t, g, &b, 20, time.Second); n != c.want {
				t.Errorf("%s, %v: %d of 20 pass, want %d", name, limit, n, c.want)
			}
			g.Release()
			a.Close()
		}
	}
	without := NewActive(policytest.Generation(policytest.Rules{}))
	defer without.Close()
	if without.ImportLimits([]BucketState{{RateLimit: tenant, Owed: time.Second}}, 0); without.ExportLimits(0) != nil {
		t.Error("a policy without limits has buckets")
	}
}
