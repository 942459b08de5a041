package server

import (
	"testing"
	"time"

	"switchyard/policy/abi"
	"switchyard/policy/policytest"
	"switchyard/proxy/config"
)

// The policy before the one in force stays loaded for release.warm, and not longer.
func TestWarm(t *testing.T) {
	c := config.Default() // which has one tenant
	replaced := time.Now()
	p := policytest.Always(abi.Drop)
	s := &served{before: earlier{generation: policytest.Generation(p), since: replaced}}
	srv := &server{config: c, tenants: map[string]*served{c.Tenants[0].Name: s}}
	for _, c := range []struct {
		after  time.Duration
		closed int64
	}{{-time.Hour, 0}, {0, 0}, {59 * time.Minute, 0}, {61 * time.Minute, 1}, {2 * time.Hour, 1}} {
		srv.releaseEarlier(replaced.Add(c.after))
		if n := p.Closed.Load(); n != c.closed || (s.before.generation == nil) != (c.closed == 1) {
			t.Errorf("after %v: closed %d times, want %d", c.after, n, c.closed)
		}
	}
}
