//go:build full

package main

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"switchyard/cmd/switchyard/client"
	"switchyard/proxy/admin/api"
	"switchyard/proxy/order/jetstream/bustest"
)

// A fleet is hubs that act as one for the peers at their addresses. Places are counted from 0; the
// hub at place i has the number i + 1.
type fleet struct {
	t        testing.TB
	settings fleetSettings
	members  []*fleetHub // by place; a stand-in has one for all places

	addresses []string // of the tenant default, by place
}

// A fleetHub is the hub at a place. It is another process after a restart.
type fleetHub struct {
	*process
	admin *client.Client
	asks  sync.Mutex // held during a request, as the admin interface allows few connections
	down  bool       // it does not run
}

// fleetSettings say how the hubs of a fleet are started.
type fleetSettings struct {
	tenants []string
	servers func(place int) []string                                 // addresses of the bus
	wrap    func(place int, program string, args []string) *exec.Cmd // nil: the program as it is
	started func(place, pid int)                                     // may be nil
	listen  func(place int) string                                   // address for peers; nil: a port of 127.0.0.1
	cluster string                                                   // more lines of [cluster]
	policy  func(place int) (routes, groups string)                  // the table, and groups of the tenant default; nil: trafficPolicy
}

// configuration is that of a hub with so many listeners for each tenant, and groups of the tenant
// default.
func (s *fleetSettings) configuration(listeners int, listen, groups string) string {
	var b strings.Builder
	for _, tenant := range s.tenants {
		for range listeners {
			fmt.Fprintf(&b, "[[listener]]\naddress = %q\ntenant = %q\ninsecure_open = %t\n", listen, tenant, !strings.HasPrefix(listen, "127."))
		}
		fmt.Fprintf(&b, "[tenant.%s]\n", tenant)
		if tenant == "default" {
			b.WriteString("policy = \"file:routes.toml\"\n" + groups)
		}
	}
	return b.String()
}

// startStandIn starts one hub with three listeners for each tenant. It is what three hubs are to be
// like, so every check must pass with it.
func startStandIn(t testing.TB, tenants ...string) *fleet {
	t.Helper()
	dir := t.TempDir()
	write(t, dir+"/routes.toml", trafficPolicy)
	f := &fleet{t: t, settings: fleetSettings{tenants: tenants}}
	f.members = []*fleetHub{{process: configured(t, dir, f.settings.configuration(3, "127.0.0.1:0", ""))}}
	f.addresses = f.at("default")
	return f
}

// startFleet starts so many hubs over a bus, and waits until all are members.
func startFleet(bus *bustest.Bus, hubs int, s fleetSettings) *fleet {
	t := bus.T()
	t.Helper()
	if s.servers == nil {
		s.servers = bus.Servers
	}
	f := &fleet{t: t, settings: s, members: make([]*fleetHub, hubs), addresses: make([]string, hubs)}
	for place := range hubs {
		f.launch(place)
	}
	for place := range hubs {
		f.serve(place)
	}
	f.awaitMembers(hubs)
	return f
}

// launch starts the hub at a place, and does not wait until it serves.
func (f *fleet) launch(place int) {
	f.t.Helper()
	dir := f.t.TempDir()
	routes, groups := trafficPolicy, ""
	if f.settings.policy != nil {
		routes, groups = f.settings.policy(place)
	}
	write(f.t, dir+"/routes.toml", routes)
	listen := "127.0.0.1:0"
	if f.settings.listen != nil {
		listen = f.settings.listen(place)
	}
	write(f.t, dir+"/config.toml", f.settings.configuration(1, listen, groups)+
		fmt.Sprintf("[cluster]\nname = \"fleet\"\nhub = %d\nservers = [\"%s\"]\n%s", place+1, strings.Join(f.settings.servers(place), `", "`), f.settings.cluster))
	wrap := f.settings.wrap
	if wrap == nil {
		wrap = func(_ int, program string, args []string) *exec.Cmd { return exec.Command(program, args...) }
	}
	cmd := wrap(place, executable(f.t), []string{"--set", "log.format=json", "--set", "admin.socket=" + dir + "/admin.sock"})
	cmd.Dir = dir
	f.members[place] = &fleetHub{process: launch(f.t, cmd)}
	if f.settings.started != nil {
		f.settings.started(place, cmd.Process.Pid)
	}
}

// serve waits until the hub at a place serves.
func (f *fleet) serve(place int) {
	f.t.Helper()
	p := f.members[place]
	p.expect(`"msg":"serving"`)
	for _, tenant := range f.settings.tenants { // a tenant's listener opens when it is a member
		p.expectWithin(2*patience, 0, `"msg":"listening"`, fmt.Sprintf("%q", tenant))
	}
	var err error
	if p.admin, err = client.Connect(client.Target{Socket: p.cmd.Dir + "/admin.sock"}); err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(p.admin.Close)
	if slices.Contains(f.settings.tenants, "default") {
		f.addresses[place] = p.listening("default")[0]
	}
}

// at returns the addresses for a tenant, by place.
func (f *fleet) at(tenant string) (addresses []string) {
	for _, p := range f.members {
		addresses = append(addresses, p.listening(tenant)...)
	}
	return addresses
}

// listening returns the addresses at which a process that serves listens for a tenant.
func (p *process) listening(tenant string) (addresses []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.lines {
		if l["msg"] == "listening" && l["tenant"] == tenant {
			addresses = append(addresses, l["address"].(string))
		}
	}
	return addresses
}

// kill kills the hub at a place.
func (f *fleet) kill(place int) {
	f.t.Helper()
	p := f.members[place]
	p.down = true
	p.signal(syscall.SIGKILL)
	p.exit()
}

// status returns what the hub at a place is for a tenant.
func (f *fleet) status(ctx context.Context, place int, tenant string) (*api.ClusterTenant, error) {
	p := f.members[place]
	p.asks.Lock()
	defer p.asks.Unlock()
	all, err := p.admin.Cluster(ctx, []string{tenant})
	if err != nil {
		return nil, fmt.Errorf("hub %d: %w", place+1, err)
	}
	return &all.Tenants[0], nil
}

// await polls the hub at a place until so is true of what it is.
func (f *fleet) await(ctx context.Context, place int, tenant string, so func(*api.ClusterTenant) bool) (*api.ClusterTenant, error) {
	for {
		s, err := f.status(ctx, place, tenant)
		if err == nil && so(s) {
			return s, nil
		}
		select {
		case <-time.After(2 * time.Millisecond):
		case <-ctx.Done():
			return nil, fmt.Errorf("hub %d: %+v, %w, %w", place+1, s, err, context.Cause(ctx))
		}
	}
}

// places returns those of the hubs that run.
func (f *fleet) places() (running []int) {
	for place, p := range f.members {
		if !p.down {
			running = append(running, place)
		}
	}
	return running
}

// awaitMembers waits until all hubs that run are together, and so many.
func (f *fleet) awaitMembers(n int) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), 2*patience)
	defer cancel()
	for _, tenant := range f.settings.tenants {
		for _, place := range f.places() {
			_, err := f.await(ctx, place, tenant, func(s *api.ClusterTenant) bool {
				return s.State == "together" && len(s.Members) == n && !slices.ContainsFunc(s.Members, func(m api.ClusterMember) bool { return !m.Ready })
			})
			if err != nil {
				f.t.Fatalf("waiting for %d members: %v", n, err)
			}
		}
	}
}

// level returns when each hub has applied what any of them had taken in before the call.
func (f *fleet) level(ctx context.Context, tenant string) error {
	if f.settings.servers == nil {
		return nil // a stand-in
	}
	var most uint64
	for _, place := range f.places() {
		s, err := f.await(ctx, place, tenant, func(s *api.ClusterTenant) bool { return s.State == "together" && s.UnderwayRecords == 0 })
		if err != nil {
			return err
		}
		most = max(most, s.Position.Sequence)
	}
	for _, place := range f.places() {
		if _, err := f.await(ctx, place, tenant, func(s *api.ClusterTenant) bool { return s.Position.Sequence >= most }); err != nil {
			return err
		}
	}
	return nil
}

// entries returns how often the hub at each place has entered. A stand-in never enters.
func (f *fleet) entries() map[int]uint64 {
	f.t.Helper()
	times := make(map[int]uint64)
	if f.settings.servers == nil {
		return times
	}
	for _, place := range f.places() {
		s, err := f.await(f.t.Context(), place, "default", func(*api.ClusterTenant) bool { return true })
		if err != nil {
			f.t.Fatal(err)
		}
		for _, n := range s.Entered {
			times[place] += n
		}
	}
	return times
}

// atOnePosition returns what all hubs are at one position of the log.
func (f *fleet) atOnePosition() (all []*api.ClusterTenant) {
	f.t.Helper()
	eventually(f.t, func() bool {
		all = nil
		for _, place := range f.places() {
			s, err := f.status(f.t.Context(), place, "default")
			if err != nil {
				f.t.Fatal(err)
			}
			all = append(all, s)
		}
		return !slices.ContainsFunc(all, func(s *api.ClusterTenant) bool { return s.Position != all[0].Position })
	}, func() string { return "the hubs are never at one position" })
	return all
}

// checkTables checks that the user tables of all hubs are equal.
func (f *fleet) checkTables() {
	f.t.Helper()
	all := f.atOnePosition()
	for _, s := range all {
		if s.TableSum != all[0].TableSum {
			f.t.Errorf("at position %d the table of hub %d has the sum %s, that of hub %d %s", s.Position.Sequence, s.Hub, s.TableSum, all[0].Hub, all[0].TableSum)
		}
		if s.TableMismatches > 0 {
			f.t.Errorf("hub %d has seen %d checks at which tables differed", s.Hub, s.TableMismatches)
		}
	}
}
