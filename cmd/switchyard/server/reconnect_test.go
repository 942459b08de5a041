package server

import (
	"net"
	"testing"
	"time"

	"switchyard/pdu/pdutest"
	"switchyard/policy/release/history"
	"switchyard/proxy/admin"
)

// A rollback marks the peers as outdated if the policies differ in presence. Another one that asks
// for their end goes back no further.
func TestRollbackOfPresence(t *testing.T) {
	t.Parallel()
	s := &testServer{t: t, dir: t.TempDir()}
	table := func(action string) []byte {
		return []byte(routesFor("drop") + "CID_OTHER_ROLE_SET = \"" + action + "\"\n")
	}
	wantInForce := func(action string, outdated int, reconnecting bool) {
		t.Helper()
		want := history.Sum(table(action))
		s.eventually(action+" is in force", func() bool {
			r := s.state.Release("a")
			return r.InForce != nil && r.InForce.SHA256 == want && r.OutdatedPeers == outdated && r.Reconnecting == reconnecting
		})
	}
	s.save("a.toml", table("broadcast-all"))
	s.save("config.toml", []byte("[admin]\naddress = \"\"\n[releases]\nstate = \"state\"\n[reload]\ndebounce = \"10ms\"\n[peer]\ntimeout = \"1h\"\n"+
		"[[listener]]\naddress = \"127.0.0.1:0\"\ntenant = \"a\"\n[tenant.a]\npolicy = \"file:a.toml\"\n"))
	s.run(func(srv *server) { srv.startTime = time.Hour })
	s.expect(`msg":"serving"`, 1)
	conn, err := net.Dial("tcp", s.served("a"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.Write(pdutest.Heartbeat()) // else it is not a session for a second
	s.eventually("the peer is served", func() bool { return len(s.state.State().Tenants[0].Served.Sessions()) == 1 })
	for _, action := range []string{"handle role-set", "drop"} {
		s.save("a.toml", table(action))
		wantInForce(action, 0, false)
	}
	do := func(v admin.Verb) {
		t.Helper()
		if err := s.verb(v); err != nil {
			t.Error(err)
		}
	}
	do(admin.Verb{Name: admin.Rollback})
	wantInForce("handle role-set", 1, false)

	// Another policy is another matter: what is asked for then goes back from it.
	s.save("a.toml", table("consume"))
	wantInForce("consume", 0, false)
	reconnect := admin.Verb{Name: admin.Rollback, Reconnect: true}
	do(reconnect)
	if r := s.state.Release("a"); r.OutdatedPeers > 0 && !r.Reconnecting {
		t.Errorf("after a rollback with peers that reconnect: %+v", r)
	}
	do(reconnect)
	wantInForce("handle role-set", 0, false) // when the peer was closed
	do(admin.Verb{Name: admin.Kill})
	do(reconnect)
	if err := s.verb(admin.Verb{Name: admin.Rollback}); err == nil {
		t.Error("a rollback ends a kill")
	}
}

// Another process, too, goes back no further, though the configuration names the policy in force
// and no peer is outdated.
func TestReconnectInAnotherProcess(t *testing.T) {
	t.Parallel()
	s := &testServer{t: t, dir: t.TempDir()}
	save := func(action string) { s.save("a.toml", []byte(routesFor(action))) }
	do := func(v admin.Verb) {
		t.Helper()
		if err := s.verb(v); err != nil {
			t.Error(err)
		}
	}
	save("drop")
	s.save("config.toml", []byte("[admin]\naddress = \"\"\n[releases]\nstate = \"state\"\n[reload]\ndebounce = \"10ms\"\n"+
		"[[listener]]\naddress = \"127.0.0.1:0\"\ntenant = \"a\"\n[tenant.a]\npolicy = \"file:a.toml\"\n"))
	s.begin()
	s.wantInForce("drop")
	for _, action := range []string{"broadcast-all", "consume"} {
		save(action)
		s.wantInForce(action)
	}
	do(admin.Verb{Name: admin.Rollback})
	save("broadcast-all")
	s.eventually("the policy in force is the configured one", func() bool { return s.state.Release("a").Drift == "" })
	s.begin()
	s.wantInForce("broadcast-all")
	reconnect := admin.Verb{Name: admin.Rollback, Reconnect: true}
	do(reconnect)
	if r := s.state.Release("a"); r.InForce.SHA256 != history.Sum([]byte(routesFor("broadcast-all"))) || len(r.Held) != 1 {
		t.Errorf("it went back further: %+v", r)
	}
	save("broadcast-except-sender")
	s.wantInForce("broadcast-except-sender")
	do(reconnect)
	s.wantInForce("broadcast-all")
}
