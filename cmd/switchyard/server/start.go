package server

import (
	"errors"
	"strings"
	"time"

	"switchyard/cmd/switchyard/trust"
	"switchyard/policy/wasm"
	"switchyard/proxy/config"
)

// The start serves every tenant as soon as its policy is loaded, if loading all of them takes
// long:
//
//	open ── all loaded, or startTime ──▶ faults so far: exit
//	                                   ▶ serve those that are ready ── admitLate ──▶ serving
//	                                                                 └─ a fault: drain, exit
//
// So a fault that shows within startTime is found before a peer can connect.

// startTime is how long the start waits for all policies before it serves some tenants without
// the others.
const startTime = 3 * time.Second

// open builds everything from the leaves up.
func (srv *server) open() error {
	if err := srv.openStores(); err != nil {
		return err
	}
	// A release that a crash has interrupted ends before policies are chosen, because that decides
	// which.
	srv.endInterrupted()
	srv.engine = srv.newEngine(srv.config)
	srv.watch(false)                         // before the files are read, so that no change in between is missed
	adminListeners, err := srv.listenAdmin() // before peers are served, as they lose their connection if it fails
	if err != nil {
		return err
	}
	p := srv.planStart()
	srv.await(p, srv.startTime)
	if err := p.prepare(); err != nil {
		closeAll(adminListeners)
		p.rollback()
		return err
	}
	p.commit()
	srv.starting = p
	return srv.openAdmin(adminListeners, nil)
}

// openStores opens the ledger of signed versions and the history of policies.
func (srv *server) openStores() (err error) {
	if srv.ledger, err = trust.OpenLedger(srv.config); err != nil {
		srv.log.Warn("signed versions are remembered in memory only", "error", err)
	}
	return srv.openHistory()
}

// planStart begins to load the policies of all tenants. Policies with an address are fetched first,
// for sourceTime at most; without an answer, the history has what was in force.
func (srv *server) planStart() *plan {
	srv.follow(srv.config)
	srv.awaitSources()
	return srv.plan(srv.config, srv.engine, false, true, srv.admitLate)
}

// await waits until all policies of the plan are loaded, for limit at most.
func (srv *server) await(p *plan, limit time.Duration) {
	late := time.NewTimer(limit)
	defer late.Stop()
	for p.isLoading() {
		select {
		case f := <-srv.loaded:
			srv.finish(f)
		case <-late.C:
			return
		case <-srv.stopper.requested.Done():
			return
		}
	}
}

// admitLate is called when a policy is loaded for the start. Once other tenants are served, it
// serves this one, too, and its listeners open. A fault ends the start: the server drains.
func (srv *server) admitLate(p *plan, t config.Tenant) {
	a := p.additions[t.Name]
	p.retry(a, t)
	// Before the start has served anybody, open looks at all faults together.
	if p != srv.starting || a.isLoading() {
		return
	}
	if srv.startFault = a.err(t.Name); srv.startFault != nil {
		srv.state.Drain()
		return
	}
	p.admit(t)
	srv.publish()
	p.openListeners()
	srv.reportLate()
}

// retry begins again to load what was refused, if its file has changed meanwhile, or if this
// machine had too little CPU time for it: a starved machine is not the policy's fault, and a
// restart on it must not fail.
func (p *plan) retry(a *addition, t config.Tenant) {
	then := func(*load) { p.server.admitLate(p, t) }
	for _, r := range []struct {
		load **load
		find finder
	}{{&a.policy, p.server.findWanted}, {&a.audit, findAudit}} {
		l := *r.load
		if l == nil || !l.ended || l.err == nil {
			continue
		}
		// A table that was being saved when it was read is sound a moment later.
		found, err := r.find(p.checker, t)
		if err != nil || found.same(l.candidate) && !starved(l.err) {
			continue
		}
		p.server.log.Warn("a policy was not loaded for the start; trying again", "tenant", t.Name, "policy", found.Name, "error", l.err)
		*r.load = p.server.begin(p.engine, found, false, then)
	}
}

// starved reports whether a policy was refused as this machine had too little CPU time for it.
func starved(err error) bool {
	var e *wasm.GateError
	return errors.As(err, &e) && e.Starved()
}

// reportLate reports how far the start is: it ends when the last tenant is served.
func (srv *server) reportLate() {
	p := srv.starting
	if len(p.additions) > 0 {
		srv.log.Info("still loading policies; the other tenants are served", "tenants", p.late())
		srv.extendStart()
		return
	}
	srv.starting = nil
	srv.log.Info("serving")
	if srv.embedder != nil {
		srv.embedder()
	}
	if srv.missed {
		srv.checkAgain()
	}
}

// extendEvery is how often a start that lasts is reported to the supervisor.
const extendEvery = 10 * time.Second

// extendStart makes the supervisor wait for the start.
func (srv *server) extendStart() {
	srv.supervisor.starting("loading policies of "+strings.Join(srv.starting.late(), ", "), 6*extendEvery)
}

// late returns the names of the tenants that are not served yet.
func (p *plan) late() (names []string) {
	for _, t := range p.config.Tenants {
		if p.additions[t.Name] != nil {
			names = append(names, t.Name)
		}
	}
	return names
}
