package server

import (
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"switchyard/proxy/cluster"
	"switchyard/proxy/config"
	"switchyard/proxy/order/jetstream"
)

// The hubs of a cluster serve a tenant as if they were one. A tenant is served when its hub has
// entered: it has the state that the others have, or continues alone.
//
//	prepare   openLog            a fault of the configuration shows
//	admit     joinCluster        the member begins to enter
//	          entered ──▶ run    the listeners of the tenant open
//	                             in place of that, a process that takes over another one continues as its member
//	Drain, Close                 the tenant says that the hub is gone, and closes the member

// isShared reports whether the tenant is served by all hubs of a cluster.
func isShared(c *config.Config, t config.Tenant) bool { return c.Cluster.Name != "" && t.Cluster }

// openLog opens the tenant's log in the cluster, which is nil if this hub serves it alone. It does
// not wait for the bus: the member tries to connect until it is closed.
func (p *plan) openLog(t config.Tenant) (cluster.Log, error) {
	if !isShared(p.config, t) {
		return nil, nil
	}
	l, err := p.server.openBus(busSettings(p.config, t.Name, p.server.log.With("tenant", t.Name)))
	if err != nil {
		return nil, InvalidError{fmt.Errorf("cluster %s: %w", p.config.Cluster.Name, err)}
	}
	return l, nil
}

// openJetStream is server.openBus outside tests.
func openJetStream(s jetstream.Settings) (cluster.Log, error) {
	l, err := jetstream.Open(s)
	if err != nil {
		return nil, err // not a nil *jetstream.Log in an interface
	}
	return l, nil
}

// joinCluster makes the tenant's hub a member of the cluster, which the member's Start begins.
func (srv *server) joinCluster(c *config.Config, s *served, l cluster.Log) {
	name, _ := os.Hostname()
	number := uint16(c.Cluster.Hub)
	s.publishPolicies()
	s.member = cluster.New(l, cluster.Settings{
		Number: number, Name: cmp.Or(name, "unknown"),
		Window: int(c.Cluster.Window), Queue: int(c.Cluster.Queue), Held: int(c.Cluster.Log),
		MemberTimeout: time.Duration(c.Cluster.MemberTimeout), AloneAfter: time.Duration(c.Cluster.AloneAfter),
		Hub: s.tenant.Hub(), Ordered: s.tenant.Ordered, Room: s.tenant.OrderHasRoom,
		Policies: func() []uint64 { return *s.told.Load() },
		Entered:  func() { notice(srv.entered) },
		Fail: func(err error) {
			select {
			case srv.failed <- InvalidError{err}:
			default: // another tenant has failed already
			}
		},
		Log: srv.log.With("tenant", s.tenant.Name),
	})
	s.tenant.SetOrder(s.member, number)
	if c.Cluster.StandbyLinks {
		s.tenant.Hub().SetStandbyLinks()
	}
}

// publishPolicies sets what the other hubs are told about the policies that judge here, so that they
// can warn of a hub that decides otherwise: the first 8 bytes of their identities, as a configuration
// or may settings that differ make other decisions as well. The member's goroutines read it.
func (s *served) publishPolicies() {
	p, _ := recordOf(s.policy)
	identities := []string{p.Identity}
	if s.release != nil {
		identities = append(identities, s.release.to.Identity)
	}
	var sums []uint64
	for _, identity := range identities {
		if b, err := hex.DecodeString(identity); err == nil && len(b) >= 8 {
			sums = append(sums, binary.BigEndian.Uint64(b))
		}
	}
	s.told.Store(&sums)
}

// isServed reports whether connections can be handed to the tenant.
func (s *served) isServed() bool { return s != nil && (s.member == nil || s.member.Entered()) }

// entering returns the tenants whose hub has not entered the cluster yet.
func (srv *server) entering() (names []string) {
	for name, s := range srv.tenants {
		if !s.isServed() {
			names = append(names, name)
		}
	}
	return names
}

// clusterOf says which hub of which cluster a tenant is, so that two processes can compare it.
func clusterOf(c *config.Config, t config.Tenant) string {
	if !isShared(c, t) {
		return "in no cluster"
	}
	return fmt.Sprintf("hub %d of cluster %s", c.Cluster.Hub, c.Cluster.Name)
}

// differentClusters returns the tenants that would be another hub or in another cluster. A reload does not
// change that, so what counts is what they were at the start.
func (srv *server) differentClusters(offered map[string]string) (faults []error) {
	for _, name := range slices.Sorted(maps.Keys(srv.tenants)) {
		if here, there := srv.tenants[name].cluster, offered[name]; there != "" && there != here {
			faults = append(faults, fmt.Errorf("tenant %s: it would be %s and is %s; restart instead", name, there, here))
		}
	}
	return faults
}
