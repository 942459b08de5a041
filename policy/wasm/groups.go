package wasm

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/policy/suggest"
)

// A guest numbers the groups that it names; the rest of the program knows them as policy.Group. This
// file reads the names, and converts what goes to the guest. policy.GuestVerdict converts what it
// returns.

// maxGroupText is the greatest length of the text that names the groups: 32 names of 40 bytes, and a
// line feed behind each.
const maxGroupText = abi.MaxGroups * 41

// groupsKey is the context's key for WithGroups. The groups are a matter of one load and not of the
// engine, which all tenants share.
type groupsKey struct{}

// WithGroups makes Load refuse a policy that names another group than these, before it can take one
// of the process's numbers of groups. Without it, a policy may name any.
func WithGroups(ctx context.Context, known []string) context.Context {
	return context.WithValue(ctx, groupsKey{}, &known)
}

// Groups implements policy.Grouper.
func (p *Policy) Groups() []policy.Group { return p.groups }

// nameGroups asks the guest for the groups that it names, and puts the first instance in its slot.
func (l *loader) nameGroups(context.Context) error {
	p := l.policy
	if p.has(abi.Groups) {
		names, err := l.first.callGroups()
		if err == nil {
			p.groups, err = l.bind(names)
		}
		if err != nil {
			return err
		}
		l.first.groups = p.groups
	}
	p.slots[0].put(l.first)
	return nil
}

// callGroups returns the names in the order of their numbers.
func (in *instance) callGroups() ([]string, error) {
	f := in.module.ExportedFunction(abi.Groups)
	if err := in.call(f); err != nil {
		return nil, refuse("return the address and the length of a static text", "%s: %w", abi.Groups, err)
	}
	at, size := uint32(in.stack[0]>>32), uint32(in.stack[0])
	text, ok := in.memory.Read(at, min(size, maxGroupText+1))
	switch {
	case size > maxGroupText:
		return nil, refuse(fmt.Sprintf("name at most %d groups", abi.MaxGroups), "%s returned %d bytes, and %d groups have at most %d", abi.Groups, size, abi.MaxGroups, maxGroupText)
	case !ok:
		return nil, refuse("return address<<32 | length", "%s returned %#x, which is not that many bytes of its memory", abi.Groups, in.stack[0])
	case size == 0:
		return nil, nil
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n"), nil
}

// bind returns the groups of these names, if the policy may name them.
func (l *loader) bind(names []string) (groups []policy.Group, err error) {
	if len(names) > abi.MaxGroups {
		return nil, refuse("name fewer", "it names %d groups, at most %d are possible", len(names), abi.MaxGroups)
	}
	for i, name := range names {
		name = readable(name)
		if problem := policy.GroupProblem(policy.CheckGroupName(name)); problem != nil {
			return nil, refuse(problem.Remedy, "%s", problem.What)
		}
		if slices.Contains(names[:i], name) {
			return nil, refuse("name each once", "it names the group %q twice", name)
		}
		if l.known != nil && !slices.Contains(*l.known, name) {
			return nil, unknownGroup(name, *l.known)
		}
		g, err := policy.GroupNamed(name)
		if err != nil {
			problem := policy.GroupProblem(err)
			return nil, refuseNow(problem.Remedy, "%s", problem.What)
		}
		groups = append(groups, g)
	}
	return groups, nil
}

// unknownGroup refuses a policy that names a group that there is not. The configuration may have it
// later, so that is not remembered.
func unknownGroup(name string, known []string) error {
	remedy := fmt.Sprintf("describe its peers in [tenant.NAME.group.%s]", name)
	if near := suggest.Word(name, known); near != "" {
		remedy = fmt.Sprintf("did you mean %s? Otherwise %s", near, remedy)
	}
	return refuseNow(remedy, "it names the group %q, which the tenant does not have", name)
}

// groupBits returns the attributes of a sender in those groups.
func (in *instance) groupBits(sender []policy.Group) (bits uint64) {
	for n, g := range in.groups {
		if slices.Contains(sender, g) {
			bits |= 1 << (abi.AttributeGroupShift + n)
		}
	}
	return bits
}
