package config

import (
	"slices"
	"strings"
)

// Changes returns the dotted keys whose values differ: those that take effect at
// run time, and those that wait for a restart. A listener or a tenant that is new
// or gone stands for its keys ("tenant.acme"), and waits. Both lists are sorted.
func Changes(old, new *Config) (live, restart []string) {
	before := make(map[string]key)
	for _, k := range old.keys() {
		before[k.name] = k
	}
	for _, k := range new.keys() {
		was, ok := before[k.name]
		delete(before, k.name)
		switch {
		case !ok:
			restart = append(restart, owner(k.name))
		case was.text() == k.text():
		case k.restart:
			restart = append(restart, k.name)
		default:
			live = append(live, k.name)
		}
	}
	for name := range before {
		restart = append(restart, owner(name))
	}
	slices.Sort(live)
	slices.Sort(restart)
	return live, slices.Compact(restart)
}

// owner returns the listener or tenant that a key belongs to.
func owner(name string) string {
	parts := strings.SplitN(name, ".", 3)
	return strings.Join(parts[:2], ".")
}
