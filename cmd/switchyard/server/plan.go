package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"switchyard/cmd/switchyard/trust"
	"switchyard/policy"
	"switchyard/policy/wasm"
	"switchyard/proxy"
	"switchyard/proxy/config"
)

// A plan is everything that a configuration adds to the server: new tenants with their loaded
// policies, and all listeners with their sockets and certificates. It is built completely
// before any of it takes effect, so that a configuration which cannot be served changes
// nothing:
//
//	plan ──▶ error      nothing has changed
//	  │
//	  └────▶ commit     cannot fail
type plan struct {
	server    *server
	config    *config.Config
	checker   *trust.Checker
	engine    *wasm.Engine         // for the policies of new tenants
	tenants   map[string]*served   // the new ones
	listeners map[string]*listener // all, by name; the new ones do not accept yet
}

// plan builds what c adds: every new policy, certificate and socket. All of them are tried; the
// error joins all faults.
func (srv *server) plan(c *config.Config, engine *wasm.Engine) (*plan, error) {
	p := &plan{server: srv, config: c, checker: trust.New(c, srv.ledger), engine: engine,
		tenants: make(map[string]*served), listeners: make(map[string]*listener)}
	var faults []error
	for _, t := range c.Tenants {
		if srv.tenants[t.Name] != nil || srv.stopper.isRequested() {
			continue
		}
		s, err := p.makeTenant(t)
		if err != nil {
			faults = append(faults, fmt.Errorf("tenant %s: %w", t.Name, err))
			continue
		}
		p.tenants[t.Name] = s
	}
	for _, c := range c.Listeners {
		l, err := p.prepareListener(c)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		p.listeners[c.Name] = l
	}
	if srv.stopper.isRequested() {
		faults = []error{errStopping}
	}
	if len(faults) > 0 {
		p.rollback()
		return nil, errors.Join(faults...)
	}
	return p, nil
}

// makeTenant makes a tenant with its policy. No connection reaches it before commit.
func (p *plan) makeTenant(t config.Tenant) (*served, error) {
	c, err := findPolicy(p.checker, t)
	if err != nil {
		return nil, err
	}
	start := time.Now()
	g, err := p.server.loadPolicy(p.engine, c)
	if err != nil {
		return nil, err
	}
	active := policy.NewActive(g)
	limits := limitsOf(p.config, t)
	limits.Input = p.server.inputs
	s := &served{
		tenant: proxy.NewTenant(t.Name, active, limits, p.server.log),
		active: active, policy: c, engine: p.engine, loadTime: time.Since(start),
	}
	if folder := p.server.faultFolder(); folder != "" {
		s.tenant.KeepFaults(p.server.faultKeeper(folder))
	}
	return s, nil
}

// rollback closes what the plan has built.
func (p *plan) rollback() {
	for _, s := range p.tenants {
		s.close()
	}
	for _, l := range p.listeners {
		l.rollback()
	}
}

// commit puts the plan in force. It cannot fail.
//
// New tenants are published before listeners open, so that a connection finds its tenant, and
// listeners close before tenants are removed, so that no connection finds a closed one.
func (p *plan) commit() {
	srv := p.server
	srv.config, srv.checker = p.config, p.checker
	for _, t := range p.config.Tenants {
		if s := p.tenants[t.Name]; s != nil {
			srv.tenants[t.Name] = s
			srv.announce(t.Name, s, "policy in force")
		}
	}
	srv.publish()
	for _, l := range p.config.Listeners {
		p.listeners[l.Name].open(srv)
	}
	for name, l := range srv.listeners {
		if p.listeners[name] == nil {
			l.close(srv.log)
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
	srv.state.update(srv) // at once, as policies that load next may take long, and removed tenants must not be probed
}

// removeTenant drains a tenant that is no longer configured, in a goroutine. A stop that comes
// meanwhile waits for it, and bounds it as it does the others.
func (srv *server) removeTenant(name string, s *served) {
	srv.log.Info("tenant removed; it drains", "tenant", name)
	limit := time.Duration(srv.config.Drain.Timeout)
	s.discarded = s.tenant.Hub().Counts().Discarded
	srv.leaving.Go(func() {
		ctx, cancel := context.WithTimeout(srv.stopper.forced, limit)
		defer cancel()
		s.tenant.Drain(ctx)
		srv.endTenant(name, s)
	})
}

// endTenant closes a tenant that has drained, and logs its counts.
func (srv *server) endTenant(name string, s *served) {
	s.close()
	srv.unwritten.add(s.discarded, s.tenant.Hub().Counts().Discarded)
	srv.logCounts(name, s)
	srv.endAudit(name, s)
}

func (s *served) close() {
	s.tenant.Close()
	s.active.Close()
}
