package main

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/source"
	"switchyard/policy/wasm"
	"switchyard/proxy/config"
)

// A candidate is the policy that the configuration names for a tenant, not loaded
// yet.
type candidate struct {
	source.Module
	config []byte // JSON, or nil
}

// same reports whether loading both would make the same policy.
func (c candidate) same(d candidate) bool {
	return c.Name == d.Name && c.SHA256 == d.SHA256 && string(c.config) == string(d.config)
}

// findPolicy finds the policy of a tenant. The error is a *wasm.GateError.
func findPolicy(c *config.Config, t config.Tenant) (candidate, error) {
	m, err := source.Find(t.Policy, filepath.Dir(c.Path), int64(c.WASM.ModuleSize))
	return candidate{m, t.PolicyConfig}, err
}

// loadPolicy takes the policy through all gates and makes it a generation.
func loadPolicy(e *wasm.Engine, c candidate) (*policy.Generation, error) {
	p, err := e.Load(context.Background(), c.Name, c.Bytes, c.config)
	if err != nil {
		return nil, err
	}
	g := policy.NewGeneration(c.Name, c.SHA256, p)
	g.Config = c.config
	return g, nil
}

// summary says in one line what a generation does with the known commands, and with
// an unknown one.
func summary(g *policy.Generation) string {
	counts := make(map[policy.Action]int)
	inspected := 0
	for _, c := range pdu.Commands {
		v, _ := g.Classify(c.Service, c.ID)
		counts[v.Action()]++
		if v.Inspected() {
			inspected++
		}
	}
	var parts []string
	for _, action := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%d %s", counts[action], action))
	}
	if inspected > 0 {
		parts = append(parts, fmt.Sprintf("%d of them inspected", inspected))
	}
	const unknown = 0xffff
	v, _ := g.Classify(unknown, unknown)
	return strings.Join(parts, ", ") + "; unknown commands: " + v.String()
}
