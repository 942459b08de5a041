package switchyard

import "unsafe"

// Groups names the groups of peers that a policy knows, with line feeds between; the first one is
// group 0. The tenant must have them all:
//
//	//go:wasmexport switchyard_groups
//	func groups() uint64 { return switchyard.Groups("admin\narchive") }
//
// The text must be a constant.
func Groups(names string) uint64 {
	return uint64(uintptr(unsafe.Pointer(unsafe.StringData(names))))<<32 | uint64(uint32(len(names)))
}

// InGroup reports whether the sender is in the group.
func (a Attributes) InGroup(group uint32) bool { return a>>(32+group&31)&1 != 0 }

// UnicastGroup sends to all peers of the group.
func UnicastGroup(group uint32) Verdict {
	return unicast | 5<<selectorShift | Verdict(group)<<argumentShift
}

// AlsoGroup adds a copy for the peers of the group to a unicast or a broadcast.
func (v Verdict) AlsoGroup(group uint32) Verdict { return v | 1<<13 | Verdict(group)&31<<20 }
