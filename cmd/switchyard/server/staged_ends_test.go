package server

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"switchyard/pdu"
	"switchyard/pdu/pdutest"
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
			p.Leave(hub.PeerClosed) // which is not a signal of the whole tenant
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
		r.tick(time.Now())
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

// A share that was raised so that a peer obeys the candidate stays raised with other limits, and after
// a restart in shadow and in a stage.
func TestRaisedShareStays(t *testing.T) {
	t.Parallel()
	s := &testServer{t: t, dir: t.TempDir()}
	configure := func(more string) {
		s.save("config.toml", []byte(strings.ReplaceAll(stagedTenant(""), "a.wasm", "a.toml")+"unit = \"connection\"\nstages = [\"0.0001%\"]\n"+more))
	}
	configure("")
	s.save("a.toml", []byte(routesFor("broadcast-all")))
	s.begin()
	s.expect(`msg":"serving"`, 1)
	s.save("a.toml", []byte(routesFor("consume")))
	s.nextRelease(nil)
	p := hubtest.Join(s.tenants["a"].tenant.Hub()) // tenants are neither added nor removed meanwhile
	p.SetIdentity("10.0.0.1")
	p.Send(t, pdutest.Raw(pdu.CID_MSG_DATA, 1, nil))
	p.Leave(hub.PeerClosed)

	s.begin()
	s.expect(`msg":"release continues"`, 1)
	r := s.nextRelease(nil)
	if err := s.verb(admin.Verb{Name: admin.Promote}); err != nil {
		t.Fatal(err)
	}
	want := r.inForce.EffectiveShare()
	if side := r.inForce.ConnectionSide(policy.ConnectionKey("10.0.0.1")); side != policy.Candidate || want < 0.001 {
		t.Fatalf("the peer's side is %v at a share of %v", side, want)
	}

	configure("[wasm]\nfuel = 1234567\n")
	s.expect(`msg":"release continues with other limits"`, 1)
	if got := r.stage().Effective; got != want {
		t.Errorf("effective share %v with other limits, want %v", got, want)
	}

	s.begin()
	s.expect(`msg":"release continues"`, 1)
	if got := s.nextRelease(nil).stage().Effective; got != want {
		t.Errorf("effective share %v after a restart, want %v", got, want)
	}
}
