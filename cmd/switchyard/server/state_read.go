package server

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"switchyard/plugins/source"
	"switchyard/policy"
	"switchyard/proxy/admin"
	"switchyard/proxy/metrics"
)

// What operators are told, by any goroutine, out of the view.

func (d *desk) tenants() []admin.Tenant { return d.view.Load().tenants }

func (d *desk) listeners() (all []admin.Listener) {
	for _, door := range d.view.Load().doors {
		l := admin.Listener{Listener: door.config.Address, Address: door.opened.Addr().String(), Tenant: door.config.Tenant,
			Tenants: door.config.Tenants, TLS: door.source != nil, MutualTLS: door.config.TLS.ClientCA != "", Counts: door.opened.Counts()}
		if door.source != nil {
			until := door.source.NotAfter().UTC()
			l.CertificateUntil = &until
		}
		all = append(all, l)
	}
	return all
}

var errDraining = errors.New("the server stops")

// ready returns what has to be right for connections to come here. That logs move is
// for admin to see.
func (d *desk) ready() []admin.Check {
	draining := admin.Check{Name: "not draining"}
	if d.isStopping() {
		draining.Err = errDraining
	}
	checks := []admin.Check{draining, {Name: "descriptors", Err: descriptorsLeft()}}
	for _, door := range d.view.Load().doors {
		checks = append(checks, admin.Check{Name: "listener " + door.opened.Addr().String()})
	}
	return checks
}

// descriptorsLeft returns an error if the process can open nothing more.
func descriptorsLeft() error {
	f, err := os.Open(os.DevNull)
	if err != nil {
		return fmt.Errorf("%w; raise the limit of open files (ulimit -n, LimitNOFILE)", err)
	}
	return f.Close()
}

// fuel returns what one decision may use.
func (d *desk) fuel() uint64 { return uint64(d.view.Load().config.WASM.Fuel) }

// configuredLevel returns what the configuration says is logged.
func (d *desk) configuredLevel() slog.Level { return levelOf(d.view.Load().config.Log) }

func (d *desk) candidateBytes() int64 { return int64(d.view.Load().config.WASM.ModuleSize) }

// candidate takes a policy's file through the gates, as if it were the tenant's. Where
// it is from nobody knows, so pins and signatures do not matter; it is not installed.
func (d *desk) candidate(ctx context.Context, tenant, name string, file []byte) (*policy.Generation, error) {
	v := d.view.Load()
	t, ok := v.config.Tenant(tenant)
	if !ok {
		return nil, errors.New("the tenant has just gone")
	}
	c, err := limited(t)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(file)
	base := filepath.Base(filepath.Clean("/" + name))
	if base == "/" {
		base = "candidate"
	}
	f := source.File{Name: "file:" + base, Path: base, Bytes: file, SHA256: hex.EncodeToString(sum[:])}
	if ext := filepath.Ext(base); ext != ".toml" && ext != ".wasm" && !strings.HasPrefix(string(file), "\x00asm") {
		f.Path += ".toml"
	}
	if c.Module, err = f.Module(); err != nil {
		return nil, err
	}
	c.config = t.PolicyConfig
	p, err := v.engine.Load(ctx, c.Name, c.Bytes, c.config)
	if err != nil {
		return nil, err
	}
	g := policy.NewLimitedGeneration(c.Name, c.SHA256, p, c.effects)
	g.Config = c.config
	return g, nil
}

// metrics returns what answers Prometheus.
func (d *desk) metrics() http.Handler { return metrics.Handler(d.counted) }

// counted returns what was counted.
func (d *desk) counted() metrics.State {
	v := d.view.Load()
	version, revision, engine := built()
	s := metrics.State{Build: metrics.Build{Version: version, Revision: revision, Go: runtime.Version(), Wazero: engine}, Draining: d.isStopping()}
	d.mu.Lock()
	s.Reloads = d.counts
	d.mu.Unlock()
	for _, t := range v.tenants {
		s.Tenants = append(s.Tenants, d.countedOf(v, t))
	}
	for _, door := range v.doors {
		l := metrics.Listener{Address: door.config.Address, Counts: door.opened.Counts()}
		if door.source != nil {
			l.CertificateUntil = door.source.NotAfter()
		}
		s.Listeners = append(s.Listeners, l)
	}
	return s
}

func (d *desk) countedOf(v *view, t admin.Tenant) metrics.Tenant {
	h := t.Hub()
	m := metrics.Tenant{Name: t.Name, Counts: h.Counts(), Said: h.CommandStats(), Log: h.Memory(), LogLimit: t.Limits.LogBytes,
		Connections: t.Limits.Connections, SignatureUntil: v.signatures[t.Name], ProbeSeconds: d.probes.Last(t.Name).Seconds()}
	m.Users, m.Entries = h.Presence()
	for _, s := range t.Served.Sessions() {
		if s.Paused() {
			m.Paused++
		}
	}
	reloads, faults := d.chronicle.Counts(t.Name)
	m.Faults, m.Swapped, m.Refused, m.LoadSeconds = faults, reloads.Swapped, reloads.Refused, reloads.LoadSeconds
	if g := t.Judge.TryAcquire(); g != nil {
		m.Policy, m.SHA256 = g.Name, g.SHA256
		g.Release()
	}
	return m
}
