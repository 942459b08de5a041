package server

import (
	"os"
	"slices"
	"time"

	"switchyard/proxy"
)

// What reaches the goroutine of Serve, and from whom; it handles one after the other:
//
//	stopper.requested   the stopper's goroutine         stop
//	loaded              one goroutine for each load     finish: put in force, or refuse
//	hangups, changed    SIGHUP, the watcher             reload
//	releases            the tick of a tenant            carry out what a release has decided
//	state.reloads       admin: POST /api/v1/reload      reload, and answer
//	state.verbs         admin: rollback, kill, …        carry, and answer when it is loaded

// signatureTime is how often the signatures of policies in force are checked for expiry.
const signatureTime = time.Hour

// run handles hangups, changed files, requests of operators and policies that have ended to
// load, one after the other, until the server is to stop.
func (srv *server) run(hangups <-chan os.Signal) {
	signatures := time.NewTicker(signatureTime)
	defer signatures.Stop()
	extend := time.NewTicker(extendEvery)
	defer extend.Stop()
	warm := time.NewTicker(warmEvery)
	defer warm.Stop()
	defer srv.answer(true)
	defer srv.answerVerbs(true)
	for !srv.stopper.isRequested() {
		srv.answer(false)
		srv.warn()
		srv.state.update(srv)
		srv.answerVerbs(false)
		srv.stopper.drainTime.Store(int64(srv.config.Drain.Timeout))
		if srv.starting == nil && len(srv.requests) == 0 {
			srv.supervisor.ready(statusOf(srv.lastErrors))
		}
		asked, requests, verbs := hangups, srv.state.reloads, srv.state.verbs
		if srv.starting != nil {
			asked, requests, verbs = nil, nil, nil // until then they wait in their channels
		}
		select {
		case <-srv.stopper.requested.Done():
		case f := <-srv.loaded:
			srv.finish(f)
		case <-asked:
			srv.supervisor.reloading()
			srv.request(nil)
		case <-extend.C:
			if srv.starting == nil {
				extend.Stop()
				continue
			}
			srv.extendStart()
		case <-signatures.C:
			srv.reload(false) // a signature may have become valid
		case now := <-warm.C:
			srv.releaseEarlier(now)
		case <-srv.releases:
			srv.carryReleases()
		case <-srv.changed:
			srv.reload(false)
		case <-srv.fetched:
			srv.reload(false)
		case result := <-requests:
			srv.request(result)
		case r := <-verbs:
			srv.carry(r)
		}
	}
}

// announce logs that a tenant's policy is in force from now on, and records it for operators
// and in the ledger.
func (srv *server) announce(tenant string, s *served, message string, more ...any) {
	g := s.active.Acquire()
	defer g.Release()
	srv.state.inForce(tenant, g, s)
	srv.log.Info(message, slices.Concat([]any{"tenant", tenant, "policy", s.policy.Name}, s.policy.sums(), []any{"routes", Summary(g)}, more)...)
	if text := excess(g); text != "" {
		srv.log.Warn("the policy says more than it may; tenant."+tenant+".may_else happens instead", "tenant", tenant, "excess", text)
	}
	srv.recordVersion(tenant, s)
}

// recordVersion stores the signed version that is in force in the ledger.
func (srv *server) recordVersion(tenant string, s *served) {
	if err := s.policy.proof.Record(srv.ledger); err != nil {
		srv.log.Warn("the signed version that is in force is remembered by this process alone", "tenant", tenant, "error", err)
	}
}

// publish makes the present tenants visible to other goroutines.
func (srv *server) publish() {
	serving := make(map[string]*proxy.Tenant, len(srv.tenants))
	for name, s := range srv.tenants {
		serving[name] = s.tenant
	}
	srv.serving.Store(&serving)
}
