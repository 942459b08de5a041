package config

import (
	"maps"
	"slices"
	"strings"
)

// envPrefix is the prefix of Switchyard's environment variables. A key's variable is its
// name in capitals with two underscores for each dot: SWITCHYARD_PEER__TIMEOUT. Hyphens of
// a tenant's name become single underscores. Variables without two underscores are
// ignored: orchestrators set such variables for a service of this name.
const envPrefix = "SWITCHYARD_"

// environment assigns the values of variables, each "NAME=value".
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

// flags assigns values by dotted key.
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
