package policy

import (
	"fmt"
	"hash/crc32"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"

	"switchyard/policy/suggest"
)

// A Group is the name of a group of peers, as a number that fits into a verdict. Equal names have
// equal numbers as long as the process runs, in all tenants and policies; other processes have other
// numbers. 0 means no group.
//
// Policies have numbers of their own: the first group that a policy names is its number 0. Package
// wasm translates, so that two policies, of which each names other groups, can be compared by their
// verdicts:
//
//	                  tenant has      policy names      its verdict        Verdict
//	policy 1          admin archive   archive           unicast group 0    unicast group archive
//	policy 2                          admin archive     unicast group 1    unicast group archive
type Group uint16

const (
	// MaxGroupNames is how many different names of groups a process may have seen.
	MaxGroupNames = 4094
	// ElsewhereGroup is a group of which this process knows no name, because another hub of the
	// tenant has it alone, or it is in a capture. It has no peers here.
	ElsewhereGroup Group = MaxGroupNames + 1
)

// groupName is what a group may be called: it is part of keys and metric labels.
var groupName = regexp.MustCompile(`^` + groupPattern + `$`)

// MasterGroup is a name that no group may have: tables write it for the peers that declared
// themselves master.
const MasterGroup = "master"

// CheckGroupName returns what is wrong with the name of a group.
func CheckGroupName(name string) error {
	switch {
	case name == MasterGroup:
		return fmt.Errorf("%q stands for the peers that declared themselves master; choose another name", name)
	case !groupName.MatchString(name):
		return fmt.Errorf("%q is not a group's name; write 1 to 40 of a-z, 0-9 and -", name)
	}
	return nil
}

// NotNamed says that a policy, which names these groups, does not name that one, and which it may have
// been meant for. To such a policy it makes no difference who is in the group.
func NotNamed(group string, named []Group) string {
	text := "the policy names no group " + group
	if len(named) == 0 {
		return text
	}
	names := GroupNames(named)
	return text + "; " + suggest.Hint(group, names, "its groups are "+strings.Join(names, ", "))
}

// groups holds the names of all groups. A name is never removed, so that a verdict keeps its
// meaning. Only names that a configuration has, or that a tool is given, get here.
var groups struct {
	mu     sync.Mutex // guards what follows, and changes of names
	byName map[string]Group
	bySum  map[uint32]Group

	names [MaxGroupNames + 1]atomic.Pointer[string] // by Group
}

// GroupNamed returns the group of that name.
func GroupNamed(name string) (Group, error) {
	if err := CheckGroupName(name); err != nil {
		return 0, err
	}
	groups.mu.Lock()
	defer groups.mu.Unlock()
	if g, known := groups.byName[name]; known {
		return g, nil
	}
	if groups.byName == nil {
		groups.byName, groups.bySum = make(map[string]Group), make(map[uint32]Group)
	}
	sum, g := sumOfGroup(name), Group(len(groups.byName)+1)
	if other, taken := groups.bySum[sum]; taken {
		return 0, fmt.Errorf("the group %q has the same checksum as %q, by which hubs tell groups apart; choose another name", name, other)
	}
	if g > MaxGroupNames {
		return 0, fmt.Errorf("the group %q would be one of more than %d different names since this process began; use a name that was used before, or restart", name, MaxGroupNames)
	}
	groups.byName[name], groups.bySum[sum] = g, g
	groups.names[g].Store(&name)
	return g, nil
}

// GroupOfSum returns the group whose name has that Sum, or ElsewhereGroup if this process knows none.
// The sum 0 is that of no group.
func GroupOfSum(sum uint32) Group {
	if sum == 0 {
		return 0
	}
	groups.mu.Lock()
	defer groups.mu.Unlock()
	if g, known := groups.bySum[sum]; known {
		return g
	}
	return ElsewhereGroup
}

// Sum returns a checksum of the name, which is the same in every process. No group has 0.
func (g Group) Sum() uint32 {
	if g == 0 || g == ElsewhereGroup {
		return 0
	}
	return sumOfGroup(g.String())
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func sumOfGroup(name string) uint32 { return max(1, crc32.Checksum([]byte(name), castagnoli)) }

// String returns the group's name.
func (g Group) String() string {
	if int(g) < len(groups.names) {
		if name := groups.names[g].Load(); name != nil {
			return *name
		}
	}
	return "?"
}

// GroupNames returns the names of groups. It is not nil.
func GroupNames(groups []Group) []string {
	names := make([]string, len(groups))
	for i, g := range groups {
		names[i] = g.String()
	}
	return names
}

// MarshalText spells the group for JSON and logs.
func (g Group) MarshalText() ([]byte, error) { return []byte(g.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (g *Group) UnmarshalText(name []byte) (err error) {
	*g, err = GroupNamed(string(name))
	return err
}
