package policy

import (
	"sync/atomic"

	"switchyard/pdu"
)

// IDs are the ids of one PDU.
type IDs struct {
	Service pdu.ServiceID
	Command pdu.CommandID
}

// A Namer is a Policy that knows for which ids beyond the protocol it has rules.
type Namer interface {
	Policy
	// Named returns those ids. It returns the same each time.
	Named() Named
}

// Named are ids beyond the protocol for which a policy has rules, as far as they were
// found. They depend on the policy alone, and their number is bounded.
type Named struct {
	Services []pdu.ServiceID // services with rules of their own, besides 0–8
	Pairs    []IDs           // pairs with a rule but without an entry in the memo; at most MaxNamedPairs
	Partial  bool            // there are more, or finding them took too long
}

// MaxNamedPairs bounds the memory that a generation spends on pairs beyond the memo: 96
// KiB.
const MaxNamedPairs = 4096

// InMemo reports whether the memo of every generation has an entry for the ids.
func InMemo(s pdu.ServiceID, c pdu.CommandID) bool { return s < memoServices && c < memoCommands }

// namedMemo extends the memo by the pairs that the policy names: a hash table with linear
// probing, whose keys never change. A peer that invents ids changes nothing in it.
type namedMemo struct {
	keys    []uint32 // service<<16 | command; 0 is free, because that pair has its entry in the memo
	shift   uint     // shift of the hash function
	entries []atomic.Uint64
}

// newNamedMemo creates entries for the given pairs that have none in the memo.
func newNamedMemo(pairs []IDs) *namedMemo {
	pairs = pairs[:min(len(pairs), MaxNamedPairs)]
	bits := uint(1)
	for 1<<bits < 2*len(pairs) {
		bits++
	}
	m := &namedMemo{keys: make([]uint32, 1<<bits), shift: 32 - bits, entries: make([]atomic.Uint64, 1<<bits)}
	for _, p := range pairs {
		if !InMemo(p.Service, p.Command) {
			m.keys[m.index(p.Service, p.Command)] = namedKey(p.Service, p.Command)
		}
	}
	return m
}

func namedKey(s pdu.ServiceID, c pdu.CommandID) uint32 { return uint32(s)<<16 | uint32(c) }

// index returns where the pair is, or the free entry where it would be. At least half of
// the table is free.
func (m *namedMemo) index(s pdu.ServiceID, c pdu.CommandID) int {
	key := namedKey(s, c)
	i := int(key * 0x9e3779b1 >> m.shift)
	for m.keys[i] != key && m.keys[i] != 0 {
		i = (i + 1) & (len(m.keys) - 1)
	}
	return i
}

// entry returns the pair's entry, or nil if it has none. m may be nil.
func (m *namedMemo) entry(s pdu.ServiceID, c pdu.CommandID) *atomic.Uint64 {
	if m == nil {
		return nil
	}
	i := m.index(s, c)
	if m.keys[i] == 0 {
		return nil
	}
	return &m.entries[i]
}

// size returns the number of entries; that of nil is 0.
func (m *namedMemo) size() int {
	if m == nil {
		return 0
	}
	return len(m.entries)
}

// maxSeen bounds the services that a generation remembers only because peers used them.
const maxSeen = 16

// seenServices remembers some services of PDUs that had no entry in the memo, for tools
// that list what a policy does. Zero means none, because service 0 has its entries in the
// memo.
type seenServices [maxSeen]atomic.Uint32

func (all *seenServices) note(s pdu.ServiceID) {
	if s < memoServices {
		return
	}
	for i := range all {
		seen := all[i].Load()
		if seen == uint32(s) || seen == 0 && all[i].CompareAndSwap(0, uint32(s)) {
			return
		}
	}
}

// SeenServices returns up to 16 services beyond the protocol of PDUs that were judged.
func (g *Generation) SeenServices() (services []pdu.ServiceID) {
	if g.stage != nil {
		g = g.stage.Split.Stable
	}
	for i := range g.seen {
		if s := g.seen[i].Load(); s != 0 {
			services = append(services, pdu.ServiceID(s))
		}
	}
	return services
}

// Named returns the ids beyond the protocol for which the policy has rules, if it knows.
func (g *Generation) Named() Named { return namedBy(g.policy) }

func namedBy(p Policy) Named {
	if n, ok := p.(Namer); ok {
		return n.Named()
	}
	return Named{}
}
