package table

import (
	"fmt"
	"maps"
	"slices"

	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/policy/command"
)

// A table numbers the groups that it names, as any guest does. While it is read, the numbers are those
// of numbering, in the order in which the names appear. At the end they become those of the names in
// alphabetical order, so that tables with the same rules have the same module.

// A numbering is the groups that a table and those that it extends name.
type numbering struct{ names []string }

// number returns the number of a name.
func (n *numbering) number(name string) (int, *command.Problem) {
	i := slices.Index(n.names, name)
	if i < 0 && len(n.names) == abi.MaxGroups {
		return 0, &command.Problem{What: fmt.Sprintf("%q is one more than the %d groups that a table may name", name, abi.MaxGroups), Remedy: "put some of them together"}
	}
	if i < 0 {
		i = len(n.names)
		n.names = append(n.names, name)
	}
	return i, nil
}

// bind is a policy.Binder that makes words of a guest.
func (n *numbering) bind(v policy.Verdict, target, also string) (policy.Verdict, *command.Problem) {
	if target != "" {
		i, problem := n.number(target)
		if problem != nil {
			return v, problem
		}
		v |= policy.Verdict(i) << abi.ArgumentShift
	}
	if also != "" {
		i, problem := n.number(also)
		if problem != nil {
			return v, problem
		}
		v |= abi.Also | policy.Verdict(i)<<abi.AlsoShift
	}
	return v, nil
}

// finish gives the groups that the rules name their final numbers.
func (t *Table) finish(n *numbering) {
	used := map[string]bool{}
	for _, f := range t.from {
		if f.name != policy.MasterGroup {
			used[f.name] = true
		}
	}
	decisions := t.decisions()
	for _, d := range decisions {
		n.renumber(d.verdict, func(name string) int { used[name] = true; return 0 })
	}
	t.groups = slices.Sorted(maps.Keys(used))
	for _, d := range decisions {
		d.verdict = n.renumber(d.verdict, func(name string) int { return slices.Index(t.groups, name) })
	}
}

// renumber returns the verdict with other numbers of its groups.
func (n *numbering) renumber(v policy.Verdict, to func(name string) int) policy.Verdict {
	if v.Action() == policy.Unicast && v.Selector() == abi.ToGroup {
		v = v&(1<<abi.ArgumentShift-1) | policy.Verdict(to(n.names[v.Argument()]))<<abi.ArgumentShift
	}
	if v.Has(abi.Also) {
		name := n.names[v>>abi.AlsoShift&abi.AlsoMask]
		v = v&^(abi.AlsoMask<<abi.AlsoShift) | policy.Verdict(to(name))<<abi.AlsoShift
	}
	return v
}

// Groups returns the names of the groups that the table names, in the order of their numbers.
func (t *Table) Groups() []string { return t.groups }
