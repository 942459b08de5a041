package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"switchyard/cmd/switchyard/trust"
	"switchyard/policy"
	"switchyard/policy/release"
	"switchyard/policy/release/history"
	"switchyard/policy/wasm"
	"switchyard/proxy"
	"switchyard/proxy/cluster"
	"switchyard/proxy/config"
)

// A plan is everything that a configuration adds to the server: new tenants with their loaded
// policies, and all listeners with their sockets and certificates. A reload builds it completely
// before any of it takes effect, so that a configuration which cannot be served changes nothing:
//
//	plan ──▶ its policies are loaded, while the server continues ──▶ prepare ──▶ commit, cannot fail
//	                            │                                     │
//	                            └─────────────────────────────────────┴──────▶ rollback
//
// The start serves the tenants that are ready before the last policy is loaded; see start.go.
type plan struct {
	server         *server
	config         *config.Config
	checker        *trust.Checker
	engine         *wasm.Engine         // for the policies of new tenants
	requested      bool                 // an operator waits for it
	additions      map[string]*addition // the new tenants
	listeners      map[string]*listener // all, by name, from prepare on; the new ones do not accept yet
	inherited      map[string]inherited // sockets of another process, by the listener's name; nil: they are opened
	metricsAddress *metricsAddress      // from prepare on; nil if there is no address for metrics
	access         *accessFile          // from prepare on; nil if there is no access log
	metricsSocket  net.Listener         // socket of another process for it; nil: it is opened

	shared map[net.Listener]bool // from prepare on: sockets in force whose port one of the plan has as well
}

// An addition is a new tenant of a plan.
type addition struct {
	policy, audit *load       // audit is nil if none is loaded: a reload does that later
	log           cluster.Log // in the cluster, from prepare on; nil if this hub serves the tenant alone
}

// plan begins to build what c adds. changed is called whenever a policy has ended to load. If
// audits, the policies that are audited are loaded as well.
func (srv *server) plan(c *config.Config, engine *wasm.Engine, requested, audits bool, changed func(*plan, config.Tenant)) *plan {
	defer srv.withCommandsOf(c)()
	p := &plan{server: srv, config: c, checker: srv.newChecker(c), engine: engine, requested: requested, additions: make(map[string]*addition)}
	for _, t := range c.Tenants {
		// A tenant that is served keeps its hub; reloadPolicy looks after its policy.
		if srv.tenants[t.Name] != nil || srv.stopper.isRequested() {
			continue
		}
		then := func(*load) { changed(p, t) }
		a := &addition{policy: p.begin(srv.findWanted, t, then)}
		if audits && t.Audit != "" {
			a.audit = p.begin(findAudit, t, then)
		}
		p.additions[t.Name] = a
	}
	return p
}

// withCommandsOf makes the custom commands of c known, and returns a function that makes those of the
// configuration in force known again. The tables of a plan are found in between: what they mean depends
// on the names.
func (srv *server) withCommandsOf(c *config.Config) (restore func()) {
	c.Commands.Set.Use()
	return srv.config.Commands.Set.Use
}

// A finder finds a policy of a tenant: server.findWanted or findAudit.
type finder func(*trust.Checker, config.Tenant) (candidate, error)

// begin finds a policy of a tenant and begins to load it.
func (p *plan) begin(find finder, t config.Tenant, then func(*load)) *load {
	c, err := find(p.checker, t)
	if err != nil {
		return &load{ended: true, abandon: func() {}, outcome: outcome{err: err}}
	}
	return p.server.begin(p.engine, c, p.requested, then)
}

// isFor reports whether the plan is for a configuration like c, and loads the policies that are
// there now. If so, an operator may wait for it as well. That saves a second load when the same file
// is saved twice, or when a SIGHUP follows the save. p may be nil.
func (p *plan) isFor(c *config.Config, requested bool) bool {
	if p == nil {
		return false
	}
	if live, restart := config.Changes(p.config, c); len(live)+len(restart) > 0 {
		return false
	}
	defer p.server.withCommandsOf(c)()
	checker := p.server.newChecker(c)
	for _, t := range c.Tenants {
		if a := p.additions[t.Name]; a != nil {
			if found, err := p.server.findWanted(checker, t); err != nil || !found.same(a.policy.candidate) {
				return false
			}
		}
	}
	p.requested = p.requested || requested
	return true
}

// isLoading reports whether a policy of the plan is still being loaded.
func (p *plan) isLoading() bool {
	for _, a := range p.additions {
		if a.isLoading() {
			return true
		}
	}
	return false
}

// isLoading reports whether one of the addition's policies is still being loaded.
func (a *addition) isLoading() bool { return !a.policy.ended || a.audit != nil && !a.audit.ended }

// err returns why the tenant cannot be served, as far as that is known.
func (a *addition) err(tenant string) error {
	var faults []error
	if a.policy.err != nil {
		faults = append(faults, fmt.Errorf("tenant %s: %w", tenant, a.policy.err))
	}
	if a.audit != nil && a.audit.err != nil {
		faults = append(faults, fmt.Errorf("audit of tenant %s: %w", tenant, a.audit.err))
	}
	return errors.Join(faults...)
}

// check returns the faults of the plan that show without its sockets: a process that offers to take
// over another one gets the sockets from it, and must not bind them itself.
func (p *plan) check() error {
	if p.server.stopper.isRequested() {
		return errStopping
	}
	faults := p.faults()
	for _, c := range p.config.Listeners {
		faults = append(faults, p.configure(&listener{config: c}))
	}
	return errors.Join(append(faults, (&metricsAddress{config: p.config.Metrics}).configure(p.config))...)
}

// faults returns why tenants cannot be served, as far as that is known.
func (p *plan) faults() (faults []error) {
	for _, t := range p.config.Tenants {
		if a := p.additions[t.Name]; a != nil {
			faults = append(faults, a.err(t.Name))
		}
		faults = append(faults, p.server.lacksGroups(t))
	}
	return faults
}

// prepare prepares all listeners. All faults of the plan are joined in the error, after which the
// plan is to be rolled back.
func (p *plan) prepare() (err error) {
	// All faults are found before the plan is given up, so that an operator sees them at once.
	p.listeners, p.shared = make(map[string]*listener), make(map[net.Listener]bool)
	if p.server.stopper.isRequested() {
		return errStopping
	}
	faults := p.faults()
	for _, t := range p.config.Tenants {
		if a := p.additions[t.Name]; a != nil {
			if a.log, err = p.openLog(t); err != nil {
				faults = append(faults, err)
			}
		}
	}
	for _, c := range p.config.Listeners {
		l, err := p.prepareListener(c)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		p.listeners[c.Name] = l
	}
	p.metricsAddress, err = p.prepareMetrics()
	faults = append(faults, err)
	p.access, err = p.prepareAccess()
	return errors.Join(append(faults, err)...)
}

// rollback closes what the plan has built, and abandons what it loads.
func (p *plan) rollback() {
	for _, a := range p.additions {
		a.policy.drop()
		a.audit.drop()
		if a.log != nil {
			a.log.Close()
		}
	}
	for _, l := range p.listeners {
		l.rollback()
	}
	// What is served already belongs to the server, and not to the plan that only would have changed
	// it.
	if p.metricsAddress != nil && p.metricsAddress.server == nil {
		p.metricsAddress.close()
	}
	if p.access != p.server.access.file.Load() {
		p.access.close()
	}
	if p.engine != p.server.engine && !p.isLoading() {
		p.engine.Close() // otherwise a load that was given up may run its code; its end frees that
	}
}

// commit puts the plan in force. It cannot fail.
//
// New tenants are published before listeners open, so that a connection finds its tenant, and
// listeners close before tenants are removed, so that no connection finds a closed one.
func (p *plan) commit() {
	srv := p.server
	srv.config, srv.checker = p.config, p.checker
	p.commitAccess()
	for _, t := range p.config.Tenants {
		p.admit(t)
	}
	srv.publish()
	p.openListeners()
	for name, l := range srv.listeners {
		if p.listeners[name] == nil {
			l.stopAccepting(p.shared[l.socket])
			srv.leaving.Go(func() { l.close(srv.stopper.requested, srv.log) })
		}
	}
	srv.listeners = p.listeners
	for name, s := range srv.tenants {
		if _, ok := p.config.Tenant(name); !ok {
			delete(srv.tenants, name)
			srv.state.history.Removed(name)
			srv.removeTenant(name, s)
		}
	}
	srv.publish()
	srv.state.update(srv) // at once, as removed tenants must not be probed
	p.commitMetrics()
}

// openListeners opens the listeners of tenants that are served. One that has none waits: the
// kernel keeps its connections until then.
func (p *plan) openListeners() {
	p.server.openListeners(p.config.Listeners, p.listeners)
}

// openListeners is also called when a hub has entered its cluster, as its peers can be served then. A
// listener of several tenants opens with the first of them; connections for the others are refused
// until then.
func (srv *server) openListeners(all []config.Listener, listeners map[string]*listener) {
	for _, c := range all {
		served := func(tenant string) bool { return srv.tenants[tenant].isServed() }
		if served(c.Tenant) || slices.ContainsFunc(c.Tenants, served) {
			listeners[c.Name].open(srv)
		}
	}
}

// admit makes a new tenant of its addition, unless that is still being loaded.
func (p *plan) admit(t config.Tenant) {
	srv, a := p.server, p.additions[t.Name]
	if a == nil || a.isLoading() {
		return
	}
	delete(p.additions, t.Name)
	active := policy.NewActive(a.policy.take())
	limits := limitsOf(p.config, t)
	limits.Input = srv.inputs
	s := &served{
		tenant: proxy.NewTenant(t.Name, active, limits, srv.log),
		active: active, policy: a.policy.candidate, engine: p.engine, loadTime: a.policy.took,
		releases: make(map[release.State]uint64), since: time.Now(), cluster: clusterOf(p.config, t),
	}
	s.tenant.Observe(&srv.access)
	s.tenant.SetGroups(groupsOf(t))
	if folder := srv.faultFolder(); folder != "" {
		s.tenant.KeepFaults(srv.faultKeeper(folder))
	}
	if a.log != nil {
		srv.joinCluster(p.config, s, a.log)
		// In an upgrade the member starts with begin, when the old process has stopped.
		if p.inherited == nil {
			s.member.Start()
		}
	}
	srv.tenants[t.Name] = s
	s.tenant.EverySecond(func() {
		srv.eachSecond(s)
		srv.access.flush()
	})
	// The history is written after the tenant is there, because the receipt has its counts.
	entry := srv.recordInForce(t.Name, s, nil, history.Who{})
	srv.announce(t.Name, s, "policy in force", entry.attr())
	srv.warnDrift(t.Name, s.policy, "")
	if !atOnce(t) {
		srv.checkAgain() // the configuration may name a candidate
	}
	if s.policy.kept != "" {
		srv.log.Warn("policy source unreachable; the policy that was in force is taken from the history", "tenant", t.Name, "source", t.Policy, "in_force", s.policy.FileSHA256)
	}
	if a.audit != nil {
		srv.beginAudit(t.Name, s, a.audit)
	}
}

// removeTenant drains a tenant that is no longer configured, in a goroutine. A stop that comes
// meanwhile waits for it, and bounds it as it does the others.
func (srv *server) removeTenant(name string, s *served) {
	srv.log.Info("tenant removed; it drains", "tenant", name)
	if s.release != nil {
		srv.releaseEvent(name, s, release.Withdraw, history.Who{By: "configuration"}, "the tenant was removed")
	}
	s.dropLoads()
	limit, spread := time.Duration(srv.config.Drain.Timeout), time.Duration(srv.config.Drain.Spread)
	s.discarded = s.tenant.Hub().Counts().Discarded
	srv.draining.Add(1)
	srv.leaving.Go(func() {
		defer srv.draining.Add(-1)
		ctx, cancel := context.WithTimeout(srv.stopper.forced, limit)
		defer cancel()
		s.tenant.Drain(ctx, spread)
		srv.endTenant(name, s)
	})
}

// endTenant closes a tenant that has drained, and logs its counts.
func (srv *server) endTenant(name string, s *served) {
	s.close()
	srv.unwritten.add(s.discarded, s.tenant.Hub().Counts())
	srv.logCounts(name, s)
	srv.endAudit(name, s)
}

// dropLoads abandons what is being loaded for the tenant. Each load closes its own policy.
func (s *served) dropLoads() {
	s.next.drop()
	s.nextAudit.drop()
	s.back.drop()
	s.next, s.nextAudit, s.back = nil, nil, nil
}

// close closes the tenant and its policies. Its connections have ended, or end now.
func (s *served) close() {
	if s.release != nil { // it continues with the next start
		s.dropRelease()
	}
	s.tenant.Close()
	s.before.release()
	s.active.Close()
}
