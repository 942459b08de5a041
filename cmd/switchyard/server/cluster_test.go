package server

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"switchyard/proxy"
	"switchyard/proxy/admin"
	"switchyard/proxy/admin/api"
	"switchyard/proxy/cluster"
	"switchyard/proxy/config"
	"switchyard/proxy/handover"
	"switchyard/proxy/order/jetstream"
	"switchyard/proxy/order/ordertest"
)

// serveOn serves tenant a as hub number of a cluster whose bus is in memory.
func serveOn(t *testing.T, bus *ordertest.Bus, number int) *testServer {
	return startOn(t, bus, number, func(*server) {})
}

// startOn is serveOn, and calls prepare before the server starts.
func startOn(t *testing.T, bus *ordertest.Bus, number int, prepare func(*server)) *testServer {
	s := &testServer{t: t, dir: t.TempDir()}
	s.savePolicy("a", "a")
	s.save("config.toml", []byte(tenants("a")+fmt.Sprintf("[cluster]\nname = \"test\"\nhub = %d\nservers = [\"nats://127.0.0.1:4222\"]\n", number)))
	s.run(func(srv *server) {
		prepare(srv)
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
	t.Parallel()
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
		conn, err := net.Dial("tcp", s.served("a"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	one.state.Drain()
	one.stop(nil)
	two.expect("a hub has left the cluster", 1)
}

// What a reload changes in [cluster] waits for a restart, also for tenants that it adds.
func TestClusterKeysWaitForARestart(t *testing.T) {
	t.Parallel()
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
	s.state.Drain()
	s.stop(nil)
}

// A tenant continues in another process only as the same hub of the same cluster.
func TestDifferentPlaces(t *testing.T) {
	t.Parallel()
	c := config.Default()
	c.Cluster.Name, c.Cluster.Hub = "test", 3
	shared, alone := c.Tenants[0], c.Tenants[0]
	shared.Name, shared.Cluster = "a", true
	alone.Name, alone.Cluster = "b", false
	srv := &server{tenants: map[string]*served{"a": {cluster: clusterOf(c, shared)}, "b": {cluster: clusterOf(c, alone)}}}
	if faults := srv.differentClusters(map[string]string{"a": "hub 3 of cluster test", "b": "in no cluster"}); faults != nil {
		t.Errorf("the same clusters: %v", faults)
	}
	shared.Cluster, alone.Cluster = false, true
	faults := srv.differentClusters(map[string]string{"a": clusterOf(c, shared), "b": clusterOf(c, alone)})
	if want := "[tenant a: it would be in no cluster and is hub 3 of cluster test; restart instead tenant b: it would be hub 3 of cluster test and is in no cluster; restart instead]"; fmt.Sprint(faults) != want {
		t.Errorf("got %v, want %s", faults, want)
	}
}

// An upgrade waits until the hub has entered the cluster.
func TestUpgradeWhileEntering(t *testing.T) {
	t.Parallel()
	bus := ordertest.NewBus()
	bus.SetFate(ordertest.Lost)
	s := serveOn(t, bus, 1)
	s.expect("serving", 1)
	_, err := s.state.Upgrade(s.t.Context(), api.UpgradeRequest{})
	if err == nil || !strings.Contains(err.Error(), "tenant a: this hub is entering; ask again") {
		t.Errorf("an upgrade ended with %v", err)
	}
	s.state.Drain()
	s.stop(nil)
}

// tenant returns a tenant, when operators see it, whether or not peers are let in.
func (s *testServer) tenant(name string) (served *proxy.Tenant) {
	s.t.Helper()
	s.eventually("operators see tenant "+name, func() bool {
		for _, t := range s.state.State().Tenants {
			if t.Name == name {
				served = t.Served
			}
		}
		return served != nil
	})
	return served
}

// Each server tells the others by what it judges, and shows operators who judges otherwise.
func TestServersComparePolicies(t *testing.T) {
	t.Parallel()
	bus := ordertest.NewBus()
	one, two := serveOn(t, bus, 1), serveOn(t, bus, 2)
	one.expect("listening", 1)
	two.expect("listening", 1)
	mismatches := func(want int) func() bool {
		return func() bool {
			for _, s := range []*testServer{one, two} {
				tenants := s.state.State().Tenants
				if len(tenants) == 0 {
					return false // peers are accepted a moment before operators see the tenant
				}
				m := tenants[0].Member.Status()
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

// The hub leaves the cluster between the start of an upgrade and the new program's offer. The upgrade
// fails with the same error as one that begins while the hub is entering, and the server keeps serving.
func TestOfferWhileEntering(t *testing.T) {
	t.Parallel()
	bus, result := ordertest.NewBus(), make(chan reply[api.Upgrade], 1)
	bus.SetFate(ordertest.Lost)
	s := startOn(t, bus, 1, func(srv *server) { srv.upgrade = &upgrade{replies: result} })
	s.expect("serving", 1)
	c, err := config.Load(filepath.Join(s.dir, "config.toml"), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.offers <- offered{offer: handover.Offer{Policies: map[string]string{"a": s.state.Release("a").InForce.Identity},
		Clusters: map[string]string{"a": "hub 1 of cluster test"}, Sockets: socketsOf(c), Descriptors: 1 << 20}}
	got := <-result
	if busy, ok := errors.AsType[admin.Conflict](got.err); !ok || !strings.Contains(busy.Text, "tenant a: this hub is entering; ask again") {
		t.Errorf("the upgrade ended with %v", got.err)
	}
	if u := s.state.LastUpgrade(); u.Result != api.UpgradeFailed || u.Step != "refused" {
		t.Errorf("%+v", u)
	}
	s.state.Drain()
	s.stop(nil)
}
