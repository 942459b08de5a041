package config

import "slices"

// Changes returns the dotted keys whose values differ: those that take effect at
// run time, and those that wait for a restart. Keys of listeners have the listener's
// name in them ("listener.127.0.0.1:8200.allow"), not its place in the list, so that a
// listener that goes does not make others look changed. A listener or a tenant that is
// new or gone stands for its keys ("tenant.acme"); one with another address is one gone
// and one new. Both lists are sorted.
func Changes(old, new *Config) (live, restart []string) {
	before := make(map[string]key)
	for _, k := range old.lastingKeys() {
		before[k.name] = k
	}
	for _, k := range new.lastingKeys() {
		was, ok := before[k.name]
		delete(before, k.name)
		switch {
		case !ok:
			live = append(live, k.owner)
		case was.text() == k.text():
		case k.restart:
			restart = append(restart, k.name)
		default:
			live = append(live, k.name)
		}
	}
	for _, k := range before {
		live = append(live, k.owner)
	}
	slices.Sort(live)
	slices.Sort(restart)
	return slices.Compact(live), restart
}

func (c *Config) lastingKeys() []key {
	return c.keysWith(func(i int) string { return c.Listeners[i].Name })
}
