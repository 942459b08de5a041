package server

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"switchyard/cmd/switchyard/trust"
	"switchyard/policy"
	"switchyard/policy/wasm"
	"switchyard/proxy"
	"switchyard/proxy/admin"
	"switchyard/proxy/config"
)

// The process is alive as long as PDUs move through the logs of its tenants.
func TestAlive(t *testing.T) {
	t.Parallel()
	a := newAdminState()
	if err := a.alive(t.Context()); err != nil {
		t.Errorf("without tenants: %v", err)
	}
	engine := wasm.NewEngine(wasm.DefaultLimits(), nil)
	defer engine.Close()
	tenant := config.Default().Tenants[0]
	c, err := findPolicy(trust.New(config.Default(), nil), tenant)
	if err != nil {
		t.Fatal(err)
	}
	g, err := loadPolicy(t.Context(), engine, c)
	if err != nil {
		t.Fatal(err)
	}
	active := policy.NewActive(g)
	defer active.Close()
	served := proxy.NewTenant("default", active, limitsOf(config.Default(), tenant), slog.New(slog.DiscardHandler))
	defer served.Close()
	a.view.Store(&view{config: config.Default(), engine: engine, tenants: []admin.Tenant{{Name: "default", Served: served, Active: active}}})
	if err := a.alive(t.Context()); err != nil {
		t.Error(err)
	}
	if m := a.metrics(); len(m.Tenants) != 1 || m.Tenants[0].ProbeSeconds <= 0 || m.Tenants[0].Policy != "teamtalk" {
		t.Errorf("metrics %+v", m)
	}
}

// The state says that the server stops as soon as an operator or a signal asks for it.
func TestStateIsDraining(t *testing.T) {
	for name, end := range map[string]func(*adminState){
		"by an operator": func(a *adminState) { a.Drain() },
		"by a signal":    (*adminState).stop,
	} {
		a := newAdminState()
		if s := a.State(); s.Draining || s.Fuel != uint64(config.Default().WASM.Fuel) {
			t.Errorf("before: %+v", s)
		}
		end(a)
		if !a.State().Draining || !a.metrics().Draining {
			t.Errorf("stopped %s, the state does not say so", name)
		}
	}
}

// A request to reload ends when the server stops or its client leaves.
func TestReloadIsNotAnswered(t *testing.T) {
	a := newAdminState()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := a.Reload(gone); !errors.Is(err, context.Canceled) {
		t.Errorf("without a client: %v", err)
	}
	a.stop()
	if _, err := a.Reload(t.Context()); !errors.Is(err, admin.ErrStopping) {
		t.Errorf("while stopping: %v", err)
	}
}
