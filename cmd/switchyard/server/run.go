package server

import (
	"slices"
	"strings"
	"time"

	"switchyard/proxy"
	"switchyard/proxy/admin/api"
)

// What reaches the goroutine of Serve, and from whom; it handles one after the other:
//
//	stopper.requested   the stopper's goroutine         stop
//	loaded              one goroutine for each load     finish: put in force, or refuse
//	hangups, changed    SIGHUP, the watcher             reload
//	fetched             a follower of an address        reload
//	releases            the tick of a tenant            carry out what a release has decided
//	entered             the member of a tenant          openListeners: its peers can be served
//	failed              the member of a tenant          stop
//	state.reloads       admin: POST /api/v1/reload      reload, and answer
//	state.verbs         admin: rollback, kill, …        carry, and answer when it is loaded
//	state.upgrades      admin: POST /api/v1/upgrade     beginUpgrade, and answer when it is over
//	signals.upgrades    SIGUSR2                         beginUpgrade
//	offers              askSuccessor                    considerOffer: hand over, or serve on

// signatureTime is how often the signatures of policies in force are checked for expiry.
const signatureTime = time.Hour

// timers are what run does without being asked.
type timers struct {
	signatures *time.Ticker // see signatureTime
	extend     *time.Ticker // reports a start that lasts to the supervisor; stopped when all tenants are served
	warm       *time.Ticker // releases policies that were in force before
}

// run handles hangups, changed files, requests of operators and policies that have ended to
// load, one after the other, until the server is to stop.
func (srv *server) run(signals signals) {
	t := timers{time.NewTicker(signatureTime), time.NewTicker(extendEvery), time.NewTicker(warmEvery)}
	defer t.signatures.Stop()
	defer t.extend.Stop()
	defer t.warm.Stop()
	// Operators that still wait when the loop ends are answered, so that no client waits in vain.
	defer srv.answer(true)
	defer srv.answerVerbs(true)
	for !srv.stopper.isRequested() && srv.succeeded == nil {
		// The order matters. Answers come before the view, since answer makes a view of its own;
		// those to verbs come after it, since they are read from it.
		srv.answer(false)
		srv.warn()
		srv.state.update(srv)
		srv.answerVerbs(false)
		srv.stopper.drainTime.Store(int64(srv.config.Drain.Timeout))
		entering := srv.entering()
		// The supervisor hears of a reload's end only when everything is loaded that it led to.
		if srv.starting == nil && len(srv.requests) == 0 && len(entering) == 0 {
			srv.supervisor.ready(statusOf(srv.lastErrors))
		}
		srv.handleNext(signals, t, entering)
	}
}

// handleNext waits for one of what the table above lists, and handles it. What must not come between
// waits in its channel: during the start and an upgrade, requests that change what is in force, and
// during an upgrade also changed files. entering has the tenants whose hub has not entered the
// cluster yet.
func (srv *server) handleNext(signals signals, t timers, entering []string) {
	hangups, reloads, verbs, changed, fetched := signals.hangups, srv.state.reloads, srv.state.verbs, srv.changed, srv.fetched
	if srv.starting != nil || srv.upgrade != nil {
		hangups, reloads, verbs = nil, nil, nil
	}
	if srv.upgrade != nil {
		changed, fetched = nil, nil
	}
	select {
	case <-srv.stopper.requested.Done():
	case f := <-srv.loaded:
		srv.finish(f)
	case <-hangups:
		srv.supervisor.reloading()
		srv.request(nil)
	case <-t.extend.C:
		if srv.starting != nil {
			srv.extendStart()
		} else if len(entering) > 0 {
			srv.supervisor.starting("entering the cluster with "+strings.Join(entering, ", "), 6*extendEvery)
		} else {
			t.extend.Stop()
		}
	case <-t.signatures.C:
		srv.checkAgain() // a signature may have become valid
	case now := <-t.warm.C:
		srv.releaseEarlier(now)
		srv.records.Flush(0) // without waiting; the disk may work again
	case <-srv.entered:
		srv.publish()
		srv.openListeners(srv.config.Listeners, srv.listeners)
	case srv.startFault = <-srv.failed:
		srv.state.Drain()
	case <-srv.releases:
		srv.carryReleases()
	case <-changed:
		srv.reload(false)
	case <-fetched:
		srv.reload(false)
	case replies := <-reloads:
		srv.request(replies)
	case r := <-verbs:
		srv.carry(r)
	case r := <-srv.state.upgrades:
		srv.beginUpgrade(r.UpgradeRequest, "operator", r.replies)
	case s := <-signals.upgrades:
		srv.beginUpgrade(api.UpgradeRequest{}, s.String(), nil)
	case o := <-srv.offers:
		srv.considerOffer(o)
	}
}

// announce logs that a tenant's policy is in force from now on, and records it for operators
// and in the ledger.
func (srv *server) announce(tenant string, s *served, message string, more ...any) {
	g := s.active.Acquire()
	defer g.Release()
	srv.state.history.InForce(tenant, g, eventOf(g, s))
	srv.log.Info(message, slices.Concat([]any{"tenant", tenant, "policy", s.policy.Name}, s.policy.sums(), []any{"routes", Summary(g)}, more)...)
	if text := excess(g); text != "" {
		srv.log.Warn("the policy says more than it may; tenant."+tenant+".may_else happens instead", "tenant", tenant, "excess", text)
	}
	srv.recordVersion(tenant, s)
}

// recordVersion stores the signed version that is in force in the ledger, which then refuses lower
// ones. A ledger that cannot be written costs that protection after a restart and nothing else, so it
// is not an error.
func (srv *server) recordVersion(tenant string, s *served) {
	if err := s.policy.proof.Record(srv.ledger); err != nil {
		srv.log.Warn("the signed version that is in force is remembered in memory only", "tenant", tenant, "error", err)
	}
}

// publish makes the present tenants visible to the listeners, whose goroutines find a tenant by name
// for each connection. A hub that has not entered its cluster is left out: it could not route yet.
func (srv *server) publish() {
	serving := make(map[string]*proxy.Tenant, len(srv.tenants))
	for name, s := range srv.tenants {
		if s.isServed() {
			serving[name] = s.tenant
		}
	}
	srv.serving.Store(&serving)
}
