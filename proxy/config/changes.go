package config

import (
	"cmp"
	"slices"
	"strings"

	"switchyard/pdu"
)

// Changes returns the dotted keys whose values differ: live ones, which take effect at run
// time, and those that require a restart. Both lists are sorted.
//
// Keys of listeners contain the listener's name ("listener.127.0.0.1:8200.allow") instead
// of its index, so that removing one listener does not make others look changed. For a
// listener, tenant or group that was added or removed, the list has its prefix ("tenant.acme"). A
// listener with another address counts as one removed and one added.
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
			live = append(live, cmp.Or(k.part, k.owner))
		case was.text() == k.text():
		case k.restart:
			restart = append(restart, k.name)
		default:
			live = append(live, k.name)
		}
	}
	for _, k := range before {
		live = append(live, cmp.Or(k.part, k.owner))
	}
	ofCommands := func(name string) bool { return strings.HasPrefix(name, sectionCommands+".") }
	if old.Commands.Set.Text() != new.Commands.Set.Text() && !slices.ContainsFunc(live, ofCommands) {
		live = append(live, keyProto) // the content of the file has changed
	}
	slices.Sort(live)
	slices.Sort(restart)
	return slices.Compact(live), restart
}

// lastingKeys returns every key by a name that means the same in two configurations.
func (c *Config) lastingKeys() []key {
	return c.keysWith(func(i int) string { return c.Listeners[i].Name })
}

// A Value is a key with its value, as --set takes them.
type Value struct{ Name, Value string }

// Values returns all keys but those of custom commands, which only the file can set. Listeners go by their
// index. The order is no particular one.
func (c *Config) Values() (all []Value) {
	for _, k := range c.keys() {
		if _, isCommand := k.field.(*pdu.Command); isCommand {
			continue
		}
		all = append(all, Value{k.name, k.text()})
	}
	return all
}
