package config

import (
	"maps"
	"slices"
	"strings"
)

// envPrefix begins the variables that are Switchyard's. A key's variable is its
// name in capitals with two underscores for a dot: SWITCHYARD_PEER__TIMEOUT. The
// hyphens of a tenant's name are single underscores. Variables without the two are
// left alone; an orchestrator sets such, named for a service.
const envPrefix = "SWITCHYARD_"

// environment takes the values of variables, each "NAME=value".
func (r *reader) environment(env []string) {
	for _, entry := range env {
		variable, value, _ := strings.Cut(entry, "=")
		name, ours := strings.CutPrefix(variable, envPrefix)
		if !ours || !strings.Contains(name, "__") {
			continue
		}
		place := Place{Source: "environment " + variable}
		if k, ok := r.keys[keyOfVariable(name)]; ok {
			r.assign(k, place, k.setText(value))
		} else {
			r.fault(place, "unknown key %q; %s", keyOfVariable(name), r.suggest(keyOfVariable(name)))
		}
	}
}

func keyOfVariable(name string) string {
	parts := strings.Split(strings.ToLower(name), "__")
	if parts[0] == "tenant" {
		parts[1] = strings.ReplaceAll(parts[1], "_", "-")
	}
	return strings.Join(parts, ".")
}

// flags takes values by dotted key.
func (r *reader) flags(overrides map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(overrides)) {
		place := Place{Source: "--set " + name}
		if k, ok := r.keys[name]; ok {
			r.assign(k, place, k.setText(overrides[name]))
		} else {
			r.fault(place, "unknown key %q; %s", name, r.suggest(name))
		}
	}
}
