package server

import (
	"fmt"
	"testing"
	"time"

	"switchyard/policy"
	"switchyard/proxy/admin"
	"switchyard/proxy/hub"
	"switchyard/proxy/hub/hubtest"
)

// A release by connections pauses if the sessions of peers that obey the candidate end more often.
func TestReleaseThatPeersLeave(t *testing.T) {
	t.Parallel()
	s := serveIn(t, time.Hour, stagedTenant("")+"unit = \"connection\"\nstages = [\"50%\"]\n", "a")
	s.expect(`msg":"serving"`, 1)
	r := s.beginRelease("first", nil)
	if err := s.verb(admin.Verb{Name: admin.Promote}); err != nil {
		t.Fatal(err)
	}
	h := s.tenants["a"].tenant.Hub() // tenants are neither added nor removed meanwhile
	var sides [3][]string
	for i := range 20 {
		name := fmt.Sprintf("10.0.0.%d", i)
		side := r.inForce.ConnectionSide(policy.ConnectionKey(name))
		sides[side] = append(sides[side], name)
	}
	peers := make(map[string]*hubtest.Peer)
	connect := func(name string) {
		if p := peers[name]; p != nil {
			p.Leave(hub.PeerClosed) // which is no signal of the whole tenant
		}
		peers[name] = hubtest.Join(h)
		peers[name].SetIdentity(name)
	}
	all := func(sides ...[]string) {
		for _, side := range sides {
			for _, name := range side {
				connect(name)
			}
		}
		r.tick()
	}
	for range 20 { // each peer as often as every other
		all(sides[policy.Stable], sides[policy.Candidate])
	}
	if p := r.stage(); p.Paused {
		t.Fatalf("paused: %s", p.Reason)
	}
	for range 20 {
		all(sides[policy.Candidate])
	}
	s.expect(`msg":"release paused"`, 1)
	s.expect("were of peers that obey the candidate", 1)
	for _, p := range peers {
		p.Leave(hub.PeerClosed)
	}
}
