package server

import (
	"log/slog"
	"testing"

	"switchyard/cmd/switchyard/trust"
	"switchyard/policy"
	"switchyard/policy/wasm"
	"switchyard/proxy"
	"switchyard/proxy/admin"
	"switchyard/proxy/config"
)

// A process is alive as long as PDUs get through the logs of its tenants.
func TestAlive(t *testing.T) {
	t.Parallel()
	d := newDesk()
	if err := d.alive(t.Context()); err != nil {
		t.Errorf("without tenants: %v", err)
	}
	engine := wasm.NewEngine(wasm.DefaultLimits(), nil)
	defer engine.Close()
	tenant := config.Default().Tenants[0]
	c, err := findPolicy(trust.New(config.Default(), nil), tenant)
	if err != nil {
		t.Fatal(err)
	}
	g, err := loadPolicy(engine, c)
	if err != nil {
		t.Fatal(err)
	}
	judge := policy.NewActive(g)
	defer judge.Close()
	served := proxy.NewTenant("default", judge, limitsOf(config.Default(), tenant), slog.New(slog.DiscardHandler))
	defer served.Close()
	d.view.Store(&view{config: config.Default(), engine: engine, tenants: []admin.Tenant{{Name: "default", Served: served, Judge: judge}}})
	if err := d.alive(t.Context()); err != nil {
		t.Error(err)
	}
	if s := d.counted(); len(s.Tenants) != 1 || s.Tenants[0].ProbeSeconds <= 0 || s.Tenants[0].Policy != "teamtalk" {
		t.Errorf("counted %+v", s)
	}
	for _, c := range d.ready() {
		if c.Err != nil {
			t.Errorf("%s: %v", c.Name, c.Err)
		}
	}
}
