package server

import (
	"errors"
	"fmt"
	"time"

	"switchyard/cmd/switchyard/trust"
	"switchyard/policy"
	"switchyard/policy/wasm"
	"switchyard/proxy"
	"switchyard/proxy/config"
)

// A plan is what a configuration asks for and the yard does not have yet: made whole
// before any of it takes effect, so that a configuration that cannot be served changes
// nothing.
type plan struct {
	yard    *yard
	config  *config.Config
	checker *trust.Checker
	engine  *wasm.Engine       // that runs what is loaded for it
	tenants map[string]*served // the new ones
	doors   map[string]*door   // all of them, by the name of the listener; the new ones listen and accept nobody yet
}

// plan makes what c asks for, with every policy, certificate and address that is new.
// All are tried before the error, which is of all of them.
func (y *yard) plan(c *config.Config, engine *wasm.Engine) (*plan, error) {
	p := &plan{yard: y, config: c, checker: trust.New(c, y.ledger), engine: engine, tenants: make(map[string]*served), doors: make(map[string]*door)}
	var faults []error
	for _, t := range c.Tenants {
		if y.tenants[t.Name] != nil {
			continue
		}
		s, err := p.makeTenant(t)
		if err != nil {
			faults = append(faults, fmt.Errorf("tenant %s: %w", t.Name, err))
			continue
		}
		p.tenants[t.Name] = s
	}
	for _, l := range c.Listeners {
		d, err := p.makeDoor(l)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		p.doors[l.Name] = d
	}
	if len(faults) > 0 {
		p.abandon()
		return nil, errors.Join(faults...)
	}
	return p, nil
}

// makeTenant makes a tenant that nobody has a way to yet.
func (p *plan) makeTenant(t config.Tenant) (*served, error) {
	y := p.yard
	c, err := findPolicy(p.checker, t)
	if err != nil {
		return nil, err
	}
	start := time.Now()
	g, err := loadPolicy(p.engine, c)
	if err != nil {
		return nil, err
	}
	judge := policy.NewActive(g)
	s := &served{
		tenant: proxy.NewTenant(t.Name, judge, limitsOf(p.config, t), y.log),
		judge:  judge, policy: c, engine: p.engine, loadTime: time.Since(start),
	}
	if folder := y.faultFolder(); folder != "" {
		s.tenant.KeepFaults(y.faultKeeper(folder))
	}
	return s, nil
}

// abandon undoes the plan.
func (p *plan) abandon() {
	for _, s := range p.tenants {
		s.close()
	}
	for _, d := range p.doors {
		d.abandon()
	}
}

// carryOut puts the plan in force. Nothing of it can fail.
func (p *plan) carryOut() {
	y := p.yard
	y.config, y.checker = p.config, p.checker
	for _, t := range p.config.Tenants {
		if s := p.tenants[t.Name]; s != nil {
			y.tenants[t.Name] = s
			y.inForce(t.Name, s, "policy in force")
		}
	}
	y.publish() // before anybody asks for them
	for _, l := range p.config.Listeners {
		p.doors[l.Name].open(y)
	}
	for name, d := range y.doors {
		if p.doors[name] == nil {
			d.close(y.log)
		}
	}
	y.doors = p.doors
	for name, s := range y.tenants {
		if _, ok := p.config.Tenant(name); !ok {
			delete(y.tenants, name)
			y.desk.chronicle.Removed(name)
			y.dismiss(name, s)
		}
	}
	y.publish()
	y.desk.show(y) // before a policy that takes long to load: who is gone is not asked whether it lives
}

// dismiss drains a tenant that is served no more, while the others go on.
func (y *yard) dismiss(name string, s *served) {
	y.log.Info("tenant removed; it drains", "tenant", name)
	limit := time.Duration(y.config.Drain.Timeout)
	y.leaving.Go(func() {
		drain(y.forced, limit, s.tenant)
		y.endTenant(name, s)
	})
}

// endTenant ends what is left of a tenant, with its figures.
func (y *yard) endTenant(name string, s *served) {
	s.close()
	y.logCounts(name, s)
	y.endAudit(name, s)
}

func (s *served) close() {
	s.tenant.Close()
	s.judge.Close()
}
