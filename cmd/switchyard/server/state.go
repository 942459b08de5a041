package server

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"switchyard/plugins/source/remote"
	"switchyard/policy"
	"switchyard/policy/release"
	"switchyard/policy/release/history"
	"switchyard/policy/wasm"
	"switchyard/proxy/admin"
	"switchyard/proxy/admin/api"
	"switchyard/proxy/admission"
	"switchyard/proxy/certificate"
	"switchyard/proxy/config"
	"switchyard/proxy/metrics"
)

// An adminState connects operators and the server, which belong to different goroutines. The
// goroutine of Serve stores views; operators read the last one, and leave requests:
//
//	Serve      update ──▶ view ──▶ State, metrics      operators
//	           run    ◀── reloads, drain ◀── Reload, Drain
//
// It implements admin.Backend. It exists without an admin interface, too.
type adminState struct {
	started time.Time
	lines   admin.Lines
	history admin.PolicyHistory
	probes  admin.Probes

	log      atomic.Pointer[asyncWriter] // nil before the log exists
	access   atomic.Pointer[accessLog]
	records  atomic.Pointer[history.History]
	sources  atomic.Pointer[remote.Sources] // nil if no policy is fetched
	view     atomic.Pointer[view]           // replaced whole
	reloads  chan chan reply[api.Reload]    // requests; Serve receives them and sends one reply
	verbs    chan verbRequest               // requests; Serve receives them and sends one reply
	upgrades chan upgradeRequest            // requests; Serve receives them and sends one reply
	drain    chan struct{}                  // closed by Drain
	drained  sync.Once                      // closes drain
	stopping chan struct{}                  // closed by stop, when Serve no longer takes requests

	mu       sync.Mutex // guards what follows
	counts   metrics.Reloads
	marks    []api.Mark  // the start and the last reloads, the earliest first
	upgrade  api.Upgrade // the last one, or the one that is under way
	upgraded handovers
}

// A view is what is in force, for goroutines that do not own it. It is never changed: update makes
// another one after everything that Serve has handled. The tenants in it are live, so their counts
// are of the moment at which they are read.
type view struct {
	config    *config.Config
	engine    *wasm.Engine
	tenants   []admin.Tenant        // by name
	about     map[string]tenantView // by the same names
	listeners []listenerView        // in the order of the configuration
	others    []listenerView        // the addresses of admin and of metrics, if they have a certificate, with nothing but that
	refused   string                // why the configuration that is there now is refused; "" if it is in force
	waiting   []string              // keys that take effect after a restart
}

// A tenantView is what is known of a tenant's policy besides its admin.Tenant.
type tenantView struct {
	mode      string    // how a changed policy comes into force
	drift     string    // why the policy in force is not the one that belongs there
	signature time.Time // when the signature of the policy expires; zero without one
	staged    *staged   // the release under way; nil if there is none
	ended     map[release.State]uint64
	weighed   policy.Weighed // by the releases that have ended
}

// A listenerView is a listener that is open.
type listenerView struct {
	config    config.Listener
	admission *admission.Listener
	source    *certificate.Source // nil for plain TCP
	refused   string              // why the certificate files that are there now are refused; "" if they are in force
}

// newAdminState returns a state with the default configuration and an empty history.
func newAdminState() *adminState {
	a := &adminState{started: time.Now(), reloads: make(chan chan reply[api.Reload]), verbs: make(chan verbRequest), upgrades: make(chan upgradeRequest), drain: make(chan struct{}), stopping: make(chan struct{})}
	a.counts.LastDone = a.started
	a.marks = []api.Mark{{Time: a.started.UTC(), Kind: api.MarkStart, Text: "the server started"}}
	a.upgrade.Result = api.UpgradeNone
	a.view.Store(&view{config: config.Default()})
	a.records.Store(newHistory())
	a.access.Store(new(accessLog))
	return a
}

// remember returns a logger that also keeps its last lines for operators.
func (a *adminState) remember(log *slog.Logger) *slog.Logger {
	return slog.New(a.lines.Handler(log.Handler(), sanitizeField))
}

// update stores a view of what is in force now. The goroutine of Serve calls it after everything that
// it has handled, and wherever others must not see the old state in between.
func (a *adminState) update(srv *server) {
	v := &view{config: srv.config, engine: srv.engine, refused: srv.lastErrors["configuration"], waiting: srv.waiting, about: make(map[string]tenantView)}
	for _, name := range slices.Sorted(maps.Keys(srv.tenants)) {
		s := srv.tenants[name]
		t, _ := srv.config.Tenant(name)
		one := admin.Tenant{Name: name, Served: s.tenant, Active: s.active, Limits: limitsOf(srv.config, t),
			PolicyError: srv.lastErrors["tenant "+name], AuditError: srv.lastErrors["audit of tenant "+name]}
		if audited := s.audit.policy; audited.Name != "" {
			one.Audited = audited.identity()
		}
		if s.member != nil { // no nil *cluster.Member in the interface
			one.Member = s.member
			s.publishPolicies()
		}
		v.tenants = append(v.tenants, one)
		drift := s.policy.drift
		if s.release != nil && drift == driftRolledBack {
			drift = "" // what the configuration names now is being released
		}
		_, expires, _ := s.policy.proof.Expires()
		// weighed is replaced, not changed, so that it need not be copied.
		v.about[name] = tenantView{mode: t.Release.Mode, drift: drift, signature: expires, staged: s.release, ended: maps.Clone(s.releases), weighed: s.weighed}
	}
	for _, c := range srv.config.Listeners {
		if l := srv.listeners[c.Name]; l != nil && l.admission != nil {
			v.listeners = append(v.listeners, listenerView{c, l.admission, l.source, srv.lastErrors[certificateOf(c.Name)]})
		}
	}
	certificates := srv.certificates()
	for _, name := range []string{adminCertificate, metricsCertificate} {
		if source := certificates[name]; source != nil {
			v.others = append(v.others, listenerView{config: config.Listener{Address: name}, source: source, refused: srv.lastErrors[certificateOf(name)]})
		}
	}
	a.view.Store(v)
}

// eventOf returns what operators see of the policy in force.
func eventOf(g *policy.Generation, s *served) api.PolicyEvent {
	e := api.PolicyEvent{Routes: Summary(g)}
	if s.loadTime > 0 {
		seconds := s.loadTime.Seconds()
		e.LoadSeconds = &seconds
	}
	if p := s.policy.proof; p.Verified() {
		expires := p.Statement.Expires.UTC()
		e.Signature = &api.Signature{Version: p.Statement.Version, Signers: append([]string{}, p.Signers...), Expires: &expires}
	}
	return e
}

// countReload counts a reload of the configuration, which was refused if err is not nil, for the
// metrics and for the time since which the configuration is in force.
func (a *adminState) countReload(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.counts.LastRefused = err != nil; err != nil {
		a.counts.Refused++
		return
	}
	a.counts.Done++
	a.counts.LastDone = time.Now()
}

// Reload makes Serve reload, and waits for the result.
func (a *adminState) Reload(ctx context.Context) (api.Reload, error) {
	replies := make(chan reply[api.Reload], 1)
	return ask(ctx, a.stopping, a.reloads, replies, replies)
}

// Carry makes Serve carry out a request about a tenant's policy, and waits for the result.
func (a *adminState) Carry(ctx context.Context, v admin.Verb) (api.Release, error) {
	r := verbRequest{v, make(chan reply[api.Release], 1)}
	return ask(ctx, a.stopping, a.verbs, r, r.replies)
}

// A reply is what Serve answers a request: the result, or why nothing was changed.
type reply[Result any] struct {
	result Result
	err    error
}

// ask sends a request to Serve, and waits for its reply. The channel has room for that, so that Serve
// never waits for a client that has gone.
func ask[Request, Result any](ctx context.Context, stopping <-chan struct{}, requests chan<- Request, r Request, replies <-chan reply[Result]) (none Result, err error) {
	select {
	case requests <- r:
	case <-stopping:
		return none, admin.ErrStopping
	case <-ctx.Done():
		return none, ctx.Err()
	}
	select { // Serve has taken the request and will answer
	case got := <-replies:
		return got.result, got.err
	case <-ctx.Done():
		return none, ctx.Err()
	}
}

// Drain makes Serve stop as SIGTERM does, and returns within which time.
func (a *adminState) Drain() time.Duration {
	a.drained.Do(func() { close(a.drain) })
	return time.Duration(a.view.Load().config.Drain.Timeout)
}

// stop makes Reload return ErrStopping from now on. It is called once.
func (a *adminState) stop() { close(a.stopping) }

// isStopping reports whether the server stops, or an operator has asked it to.
func (a *adminState) isStopping() bool {
	select {
	case <-a.stopping:
		return true
	case <-a.drain:
		return true
	default:
		return false
	}
}

// alive returns an error if PDUs do not move through all tenants' logs. The loop of systemd's
// watchdog calls it.
func (a *adminState) alive(context.Context) error { return a.probes.Alive(a.view.Load().tenants) }
