package server

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"switchyard/proxy"
	"switchyard/proxy/admin/api"
	"switchyard/proxy/cluster"
	"switchyard/proxy/order/jetstream"
	"switchyard/proxy/order/ordertest"
)

// serveOn serves tenant a as hub number of a cluster whose bus is in memory.
func serveOn(t *testing.T, bus *ordertest.Bus, number int) *testServer {
	s := &testServer{t: t, dir: t.TempDir()}
	s.savePolicy("a", "a")
	s.save("config.toml", []byte(tenants("a")+fmt.Sprintf("[cluster]\nname = \"test\"\nhub = %d\nservers = [\"nats://127.0.0.1:4222\"]\n", number)))
	s.run(func(srv *server) {
		srv.openBus = func(settings jetstream.Settings) (cluster.Log, error) {
			if settings.Cluster != "test" || settings.Tenant != "a" || int(settings.Hub) != number || settings.Replicas != 3 {
				t.Errorf("settings %+v", settings)
			}
			return bus.Conn(), nil
		}
	})
	return s
}

// Two servers with one bus are one cluster. Neither lets a peer in before its hub has entered.
func TestServersActAsOne(t *testing.T) {
	bus := ordertest.NewBus()
	bus.SetFate(ordertest.Lost)
	one := serveOn(t, bus, 1)
	one.expect("serving", 1)
	if s := one.state.State(); len(s.Listeners) > 0 {
		t.Errorf("a listener is open before the hub has entered: %+v", s.Listeners)
	}
	if err := one.tenant("a").Ready(); err == nil {
		t.Error("the tenant is ready before its hub has entered")
	}
	bus.SetFate(nil)
	one.expect("listening", 1)
	two := serveOn(t, bus, 2)
	two.expect("listening", 1)
	for _, s := range []*testServer{one, two} {
		s.eventually("the hub knows both", func() bool {
			return len(s.tenant("a").Order().(*cluster.Member).Status().Members) == 2
		})
		conn, err := net.Dial("tcp", s.address("a"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	one.refusesUpgrade()
	one.state.Drain()
	one.stop(nil)
	two.expect("a hub has left the cluster", 1)
}

// What a reload changes in [cluster] waits for a restart, also for tenants that it adds. Until then
// the tenants of the cluster cannot move to another process.
func TestClusterKeysWaitForARestart(t *testing.T) {
	bus := ordertest.NewBus()
	s := serveOn(t, bus, 1)
	s.expect("listening", 1)
	s.savePolicy("b", "b")
	s.save("config.toml", []byte(strings.ReplaceAll(tenants("a", "b"), "[tenant.b]", "[tenant.b]\ncluster = false")))
	s.expect("take effect after a restart", 1)
	s.expect("configuration reloaded", 1)
	s.expect("listening", 2)
	if s.tenant("a").Order() == nil || s.tenant("b").Order() != nil {
		t.Error("a tenant is in the cluster that should not, or is not")
	}
	s.refusesUpgrade()
	s.state.Drain()
	s.stop(nil)
}

// refusesUpgrade checks that the connections of a hub in a cluster cannot move to another process.
func (s *testServer) refusesUpgrade() {
	s.t.Helper()
	if _, err := s.state.Upgrade(s.t.Context(), api.UpgradeRequest{}); err != nil {
		s.t.Fatal(err)
	}
	if u := s.state.LastUpgrade(); u.Step != string(stepRefused) || !strings.Contains(u.Error, "restart the hubs one after the other") {
		s.t.Errorf("an upgrade ended with %+v", u)
	}
}

// tenant returns a tenant that the server has, whether or not peers are let in.
func (s *testServer) tenant(name string) *proxy.Tenant {
	for _, t := range s.state.State().Tenants {
		if t.Name == name {
			return t.Served
		}
	}
	s.t.Fatalf("there is no tenant %s", name)
	return nil
}

// Each server tells the others by what it judges, and shows operators who judges otherwise.
func TestServersComparePolicies(t *testing.T) {
	bus := ordertest.NewBus()
	one, two := serveOn(t, bus, 1), serveOn(t, bus, 2)
	one.expect("listening", 1)
	two.expect("listening", 1)
	mismatches := func(want int) func() bool {
		return func() bool {
			for _, s := range []*testServer{one, two} {
				m := s.state.State().Tenants[0].Member.Status()
				if len(m.Members) != 2 || m.PolicyMismatches() != want {
					return false
				}
			}
			return true
		}
	}
	one.eventually("both judge alike", mismatches(0))
	identity := one.state.Release("a").InForce.Identity
	if got := one.state.State().Tenants[0].Member.Status().Members[0].Facts.Policies; len(got) != 1 || fmt.Sprintf("%016x", got[0]) != identity[:16] {
		t.Errorf("the policies told are %x, in force is %s", got, identity)
	}
	two.savePolicy("a", "b")
	one.eventually("they judge differently", mismatches(1))
	if m := one.state.metrics().Tenants[0].Member; m == nil || m.PolicyMismatches() != 1 {
		t.Errorf("metrics have %+v", m)
	}
	one.savePolicy("a", "b")
	one.eventually("both judge alike again", mismatches(0))
}
