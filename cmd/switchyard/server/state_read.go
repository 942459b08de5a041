package server

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"switchyard/plugins/source"
	"switchyard/policy"
	"switchyard/proxy/admin"
	"switchyard/proxy/admin/api"
	"switchyard/proxy/metrics"
)

// What operators read, by the JSON of the admin interface and by metrics. Any goroutine may call
// these. They use the last view, so they never wait for the goroutine of Serve, whatever that is
// doing.

// State returns what is in force, with the listeners' counts at this moment.
func (a *adminState) State() *admin.State {
	v := a.view.Load()
	s := &admin.State{Draining: a.isStopping(), Tenants: v.tenants, Fuel: uint64(v.config.WASM.Fuel),
		ModuleBytes: int64(v.config.WASM.ModuleSize), Level: levelOf(v.config.Log),
		Configuration: api.Configuration{File: v.config.Path, Error: v.refused, Restart: append([]string{}, v.waiting...)}}
	s.Configuration.Since, s.Marks = a.configured()
	for _, l := range v.listeners {
		s.Listeners = append(s.Listeners, l.read())
	}
	return s
}

// read returns the listener with its counts at this moment. No list in it is nil, as JSON has it.
func (l listenerView) read() api.Listener {
	c := l.admission.Counts()
	r := api.Listener{Listener: l.config.Address, Address: l.admission.Addr().String(), Tenant: l.config.Tenant,
		Tenants: append([]string{}, l.config.Tenants...), TLS: l.source != nil, MutualTLS: l.config.TLS.ClientCA != "", CertificateWarnings: []string{},
		Accepted: c.Accepted, Handshaking: c.Handshaking, Open: c.Open, Ended: c.Ended, Refused: make(map[string]uint64), Sources: c.Sources}
	for why, n := range c.Refused {
		r.Refused[string(why)] = n
	}
	if l.source != nil {
		until := l.source.NotAfter().UTC()
		r.CertificateUntil, r.CertificateError, r.CertificateWarnings = &until, l.refused, append(r.CertificateWarnings, l.source.Warnings()...)
	}
	return r
}

// Release returns the state of a tenant's policy: what the history says of it, the stage of a release
// that is under way, and how many peers should reconnect. The earlier policies come latest first.
func (a *adminState) Release(tenant string) api.Release {
	v, s := a.view.Load(), a.records.Load().State(tenant)
	r := api.Release{Tenant: tenant, Mode: v.about[tenant].mode, Release: s.Release, InForce: admin.PolicyOf(s.InForce), Previous: []api.ReleasedPolicy{}, Held: []api.ReleasedPolicy{},
		Killed: s.Killed, Drift: v.about[tenant].drift}
	if staged := v.about[tenant].staged; staged != nil {
		r.Release, r.Stage = staged.id, staged.stage()
	}
	for i := range slices.Backward(s.Previous) {
		r.Previous = append(r.Previous, *admin.PolicyOf(&s.Previous[i]))
	}
	for i := range s.Held {
		r.Held = append(r.Held, *admin.PolicyOf(&s.Held[i]))
	}
	for _, t := range v.tenants {
		if t.Name == tenant {
			r.Refused = t.PolicyError
			r.OutdatedPeers, r.Reconnecting = t.Served.Outdated()
		}
	}
	return r
}

// Load takes a policy's file through the gates, as if it were the tenant's, to compare it or to ask
// it about a PDU. Pins and signatures are not checked, as it is not installed. The caller releases
// it.
func (a *adminState) Load(ctx context.Context, tenant, name string, file []byte) (*policy.Generation, error) {
	v := a.view.Load()
	t, ok := v.config.Tenant(tenant)
	if !ok {
		return nil, errors.New("the tenant was removed meanwhile")
	}
	c, err := limited(t)
	if err != nil {
		return nil, err
	}
	if c.Module, err = uploaded(name, file).Module(); err != nil {
		return nil, err
	}
	c.config = t.PolicyConfig
	return loadPolicy(ctx, v.engine, c)
}

// LoadKept loads a policy that was in force before as Load does a file: one that this program ships,
// or one from the history's files. The tenant's present configuration applies to it.
func (a *adminState) LoadKept(ctx context.Context, tenant, name, sha256 string) (*policy.Generation, error) {
	file, err := source.Read(name, "", 0)
	if err != nil || file.SHA256 != sha256 {
		if file.Bytes, err = a.records.Load().Content(sha256); err != nil {
			return nil, err
		}
	}
	return a.Load(ctx, tenant, strings.TrimPrefix(name, "file:"), file.Bytes)
}

// uploaded returns a file that a client has sent as source.Read would have read it. It is a
// routing table if neither its name nor its content says that it is a module.
func uploaded(name string, file []byte) source.File {
	base := filepath.Base(filepath.Clean("/" + name))
	if base == "/" {
		base = "candidate"
	}
	f := source.File{Name: "file:" + base, Path: base, Bytes: file, SHA256: fmt.Sprintf("%x", sha256.Sum256(file))}
	if ext := filepath.Ext(base); ext != ".toml" && ext != ".wasm" && !strings.HasPrefix(string(file), "\x00asm") {
		f.Path += ".toml"
	}
	return f
}

// metrics returns all counts, for Prometheus. Counts that never fall continue over an upgrade, since the
// new process takes them over.
func (a *adminState) metrics() metrics.State {
	v := a.view.Load()
	version, revision, engine := built()
	s := metrics.State{Build: metrics.Build{Version: version, Revision: revision, Go: runtime.Version(), Wazero: engine}, Draining: a.isStopping()}
	if lines := a.log.Load(); lines != nil {
		s.LinesLost = lines.lost()
	}
	s.AccessLost = a.access.Load().lost()
	a.mu.Lock()
	s.Reloads, s.Handovers = a.counts, a.upgraded.metrics()
	a.mu.Unlock()
	p := a.records.Load().Position()
	s.History = metrics.History{Entries: p.Number, Unsaved: p.Unsaved, Intact: p.Damaged == nil}
	for _, t := range v.tenants {
		s.Tenants = append(s.Tenants, a.tenantMetrics(v, t))
	}
	for _, l := range v.listeners {
		m := l.certificateMetrics()
		m.Counts = l.admission.Counts()
		s.Listeners = append(s.Listeners, m)
	}
	for _, l := range v.others {
		s.Others = append(s.Others, l.certificateMetrics())
	}
	return s
}

// certificateMetrics returns what metrics say of the listener's certificate.
func (l listenerView) certificateMetrics() metrics.Listener {
	m := metrics.Listener{Address: l.config.Address}
	if l.source != nil {
		m.CertificateUntil, m.CertificateRefused, m.CertificateWarnings = l.source.NotAfter(), l.refused != "", len(l.source.Warnings())
	}
	return m
}

// tenantMetrics returns the counts of one tenant. The paused sessions are counted here, one by one, as
// nothing else needs their number.
func (a *adminState) tenantMetrics(v *view, t admin.Tenant) metrics.Tenant {
	h, about := t.Hub(), v.about[t.Name]
	m := metrics.Tenant{Name: t.Name, Counts: h.Counts(), Groups: h.Groups(), Commands: h.CommandStats(), Log: h.Memory(), LogLimit: t.Limits.LogBytes,
		Connections: t.Limits.Connections, SignatureUntil: about.signature, PolicyRefused: t.PolicyError != "", AuditRefused: t.AuditError != "", ProbeSeconds: a.probes.Last(t.Name).Seconds()}
	m.Latency, m.Calls, m.Audit = t.Served.Latency(), t.Served.Decisions(), h.Audit()
	m.Users, m.Entries = h.Presence()
	m.AsideEntries = h.AsideEntries()
	if t.Member != nil {
		m.Member = t.Member.Status()
	}
	for _, s := range t.Served.Sessions() {
		if s.Paused() {
			m.Paused++
		}
	}
	reloads, faults := a.history.Counts(t.Name)
	if c, ok := v.config.Tenant(t.Name); ok && source.IsRemote(c.Policy) {
		m.Remote = true
		if sources := a.sources.Load(); sources != nil {
			m.SourceReached = sources.Reached(c.Policy)
		}
	}
	m.Drift, m.Killed = about.drift != "", about.drift == driftKilled
	m.Releases = make(map[string]uint64)
	for state, n := range about.ended {
		m.Releases[string(state)] = n
	}
	m.Weighed = about.weighed
	if r := about.staged; r != nil {
		s := r.stage()
		m.ReleaseShare = [3]float64{s.Share, s.Effective, float64(s.ByCandidate) / float64(max(s.ByCandidate+s.ByStable, 1))}
		m.Stage, m.ReleasePaused, m.Weighed = s.State, r.stood(), r.ownCounts(m.Weighed)
		m.Budgets = make(map[string]float64)
		for _, b := range s.Budgets {
			m.Budgets[b.Budget] = b.Ratio
		}
	}
	m.Faults, m.Swapped, m.Refused, m.LoadSeconds = faults, reloads.Swapped, reloads.Refused, reloads.LoadSeconds
	// The view may still have a tenant that was removed and closed meanwhile.
	if g := t.Active.TryAcquire(); g != nil {
		m.Policy, m.SHA256 = g.Name, g.Sum()
		g.Release()
	}
	return m
}
