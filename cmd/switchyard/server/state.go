package server

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"switchyard/policy"
	"switchyard/policy/wasm"
	"switchyard/proxy/admin"
	"switchyard/proxy/admission"
	"switchyard/proxy/certificate"
	"switchyard/proxy/config"
	"switchyard/proxy/metrics"
)

// A desk is where operators meet the yard: they look at the view that lies there, and
// leave requests for the goroutine of serve. It is there before the yard serves, and
// when there is no admin, too.
type desk struct {
	started   time.Time
	lines     admin.Lines
	chronicle admin.PolicyHistory
	probes    admin.Probes

	view     atomic.Pointer[view] // replaced whole
	reloads  chan chan admin.Reload
	drain    chan struct{} // closed to have serve stop
	drained  sync.Once
	stopping chan struct{} // closed when serve takes no more requests

	mu     sync.Mutex // guards counts
	counts metrics.Reloads
}

// A view is what there is, for goroutines that do not own it. Nobody changes it.
type view struct {
	config     *config.Config
	engine     *wasm.Engine
	tenants    []admin.Tenant // by name
	signatures map[string]time.Time
	doors      []doorView // in the order of the configuration
}

type doorView struct {
	config config.Listener
	opened *admission.Listener
	source *certificate.Source // nil for plain TCP
}

func newDesk() *desk {
	d := &desk{started: time.Now(), reloads: make(chan chan admin.Reload), drain: make(chan struct{}), stopping: make(chan struct{})}
	d.counts.LastDone = d.started
	d.view.Store(&view{config: config.Default()})
	return d
}

// remember returns a logger whose last lines operators can see.
func (d *desk) remember(log *slog.Logger) *slog.Logger {
	return slog.New(d.lines.Handler(log.Handler(), tame))
}

// show lays what there is now on the desk.
func (d *desk) show(y *yard) {
	v := &view{config: y.config, engine: y.engine(), signatures: make(map[string]time.Time)}
	for _, name := range slices.Sorted(maps.Keys(y.tenants)) {
		s := y.tenants[name]
		t, _ := y.config.Tenant(name)
		one := admin.Tenant{Name: name, Served: s.tenant, Judge: s.judge, Limits: limitsOf(y.config, t)}
		if audited := s.audit.policy; audited.Name != "" {
			one.Audited = admin.Policy{Name: audited.Name, SHA256: audited.SHA256}
		}
		v.tenants = append(v.tenants, one)
		if _, at, ok := s.policy.proof.Expires(); ok {
			v.signatures[name] = at
		}
	}
	for _, l := range y.config.Listeners {
		if d := y.doors[l.Name]; d != nil && d.opened != nil {
			v.doors = append(v.doors, doorView{l, d.opened, d.source})
		}
	}
	d.view.Store(v)
}

// stop has requests answered that the yard stops.
func (d *desk) stop() { close(d.stopping) }

func (d *desk) isStopping() bool {
	select {
	case <-d.stopping:
		return true
	case <-d.drain:
		return true
	default:
		return false
	}
}

// inForce notes that a tenant's policy decides from now on.
func (d *desk) inForce(tenant string, g *policy.Generation, s *served) {
	e := admin.PolicyEvent{Routes: Summary(g)}
	if s.loadTime > 0 {
		seconds := s.loadTime.Seconds()
		e.LoadSeconds = &seconds
	}
	if p := s.policy.proof; p.Verified() {
		expires := p.Statement.Expires.UTC()
		e.Signature = &admin.Signature{Version: p.Statement.Version, Signers: append([]string{}, p.Signers...), Expires: &expires}
	}
	d.chronicle.InForce(tenant, g, e)
}

// refused notes that a tenant's policy was not exchanged.
func (d *desk) refused(t config.Tenant, found candidate, err error) {
	if err != nil {
		d.chronicle.Refused(t.Name, t.Policy, found.SHA256, err)
	}
}

// read notes that the configuration was read again.
func (d *desk) read(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.counts.LastRefused = err != nil; err != nil {
		d.counts.Refused++
		return
	}
	d.counts.Done++
	d.counts.LastDone = time.Now()
}

// askReload has serve reload, and waits for it.
func (d *desk) askReload(ctx context.Context) (admin.Reload, error) {
	answer := make(chan admin.Reload, 1)
	select {
	case d.reloads <- answer:
	case <-d.stopping:
		return admin.Reload{}, admin.ErrStopping
	case <-ctx.Done():
		return admin.Reload{}, ctx.Err()
	}
	select { // serve has taken it, and answers
	case r := <-answer:
		return r, nil
	case <-ctx.Done():
		return admin.Reload{}, ctx.Err()
	}
}

// askDrain has serve stop as SIGTERM does.
func (d *desk) askDrain() time.Duration {
	d.drained.Do(func() { close(d.drain) })
	return time.Duration(d.view.Load().config.Drain.Timeout)
}

// alive returns an error if PDUs do not get through the logs of all tenants in time.
func (d *desk) alive(context.Context) error { return d.probes.Alive(d.tenants()) }
