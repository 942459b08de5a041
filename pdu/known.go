package pdu

import (
	"cmp"
	"slices"
	"sync/atomic"
)

// The commands that are known are those of the protocol and the custom ones of the operator:
//
//	protocol  0x0301  CID_MSG_DATA   Commands, never changes
//	custom    0x0901  CID_MY_ORDER   of the configuration, replaced by SetCustomCommands
//
// A process has one set of custom commands, so that a command has the same name in every log line,
// metric and answer, and whatever prints a CommandID needs no table of names.
type knownCommands struct {
	all, custom []Command // in the order of their ids
	byID        map[CommandID]*Command
	byName      map[string]*Command
}

var known = func() *atomic.Pointer[knownCommands] {
	p := new(atomic.Pointer[knownCommands])
	p.Store(newKnown(nil))
	return p
}()

func newKnown(custom []Command) *knownCommands {
	k := &knownCommands{all: slices.Concat(Commands, custom), custom: slices.Clone(custom), byID: make(map[CommandID]*Command), byName: make(map[string]*Command)}
	byID := func(a, b Command) int { return cmp.Compare(a.ID, b.ID) }
	slices.SortFunc(k.all, byID)
	slices.SortFunc(k.custom, byID)
	for i := range k.all {
		c := &k.all[i]
		k.byID[c.ID], k.byName[c.Name] = c, c
	}
	return k
}

// SetCustomCommands replaces the custom commands. Their ids and names must differ from each other's and
// from the protocol's. It may be called while others read.
func SetCustomCommands(custom []Command) { known.Store(newKnown(custom)) }

// CustomCommands returns the custom commands in the order of their ids. The caller must not change them.
func CustomCommands() []Command { return known.Load().custom }

// KnownCommands returns the commands of the protocol and the custom ones, in the order of their ids.
// The caller must not change them.
func KnownCommands() []Command { return known.Load().all }

// CommandByID returns the command with that id, if it is known.
func CommandByID(id CommandID) (Command, bool) { return found(known.Load().byID[id]) }

// CommandByName returns the command of that name, if it is known.
func CommandByName(name string) (Command, bool) { return found(known.Load().byName[name]) }

func found(c *Command) (Command, bool) {
	if c == nil {
		return Command{}, false
	}
	return *c, true
}

// IsCustom reports whether the command is a custom one.
func (c CommandID) IsCustom() bool {
	_, custom := slices.BinarySearchFunc(CustomCommands(), c, func(known Command, c CommandID) int { return cmp.Compare(known.ID, c) })
	return custom
}
