package server

import (
	"testing"
	"time"

	"switchyard/proxy/admin"
)

// Servers of one user have tenants of the same name. A kill in one counts after its next start, and
// not in the others.
func TestHistoryOfEachConfiguration(t *testing.T) {
	t.Parallel()
	serve := func(s *testServer) *testServer {
		s.run(func(srv *server) { srv.startTime = time.Hour })
		s.expect(`msg":"serving"`, 1)
		return s
	}
	end := func(s *testServer) {
		s.state.Drain()
		s.stop(nil)
	}
	one := serveIn(t, time.Hour, tenants("a"), "a")
	one.expect(`msg":"serving"`, 1)
	if err := one.verb(admin.Verb{Name: admin.Kill}); err != nil {
		t.Fatal(err)
	}
	other := serveIn(t, time.Hour, tenants("a"), "a")
	other.expect(`msg":"serving"`, 1)
	if r := other.state.Release("a"); r.Killed || r.Release != 1 {
		t.Errorf("the other server has %+v, want a history of its own", r)
	}
	end(one)
	if r := serve(one).state.Release("a"); !r.Killed {
		t.Errorf("after a restart: %+v, want its own history", r)
	}
	end(one)
	end(other)
}
