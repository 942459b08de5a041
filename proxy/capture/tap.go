package capture

import (
	"encoding/hex"
	"sync"
	"time"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/proxy/hub"
)

// The capacity of one of a buffer's two halves. A capture takes twice this much memory, and
// never more.
const (
	maxRecords = 16 << 10
	maxBytes   = 4 << 20
)

// A buffer holds records on their way from hubs to a recorder. It has two halves: hubs
// fill one while the recorder reads the other, and take swaps them.
//
//	hubs ──add──▶ records, bytes │ taken, slab ──▶ recorder
//	                       ◀────take swaps────▶
//
// A record for which there is no room is dropped and counted; a hub never waits.
type buffer struct {
	ready chan struct{} // gets a value for the first record after take; capacity 1, never closed

	mu      sync.Mutex // guards what follows; held while a few PDUs are copied
	records []Record
	bytes   []byte   // holds the PDUs of records; never reallocated
	missed  []uint64 // by tenant, since its last record
	total   []uint64 // by tenant

	// Owned by the recorder: what take returned last.
	taken []Record
	slab  []byte
}

func newBuffer(tenants int) *buffer {
	return &buffer{
		ready:   make(chan struct{}, 1),
		records: make([]Record, 0, maxRecords), bytes: make([]byte, 0, maxBytes),
		taken: make([]Record, 0, maxRecords), slab: make([]byte, 0, maxBytes),
		missed: make([]uint64, tenants), total: make([]uint64, tenants),
	}
}

// add copies a record with the first keep bytes of its PDU. Called under mu.
func (b *buffer) add(r Record, keep int) {
	if len(b.records) == cap(b.records) || len(b.bytes)+keep > cap(b.bytes) {
		b.missed[r.Tenant]++
		b.total[r.Tenant]++
		return
	}
	at := len(b.bytes)
	b.bytes = append(b.bytes, r.PDU[:keep]...)
	r.PDU = b.bytes[at:]
	r.Missed, b.missed[r.Tenant] = b.missed[r.Tenant], 0
	if b.records = append(b.records, r); len(b.records) == 1 {
		select {
		case b.ready <- struct{}{}:
		default:
		}
	}
}

// take returns the records since the last call. They are valid until the next one.
func (b *buffer) take() []Record {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.taken, b.records = b.records, b.taken[:0]
	b.slab, b.bytes = b.bytes, b.slab[:0]
	return b.taken
}

// filling reports whether the buffer is more than half full.
func (b *buffer) filling() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.records) > cap(b.records)/2 || len(b.bytes) > cap(b.bytes)/2
}

// missedOf returns how many records of a tenant were dropped.
func (b *buffer) missedOf(tenant int) uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.total[tenant]
}

// A tap is a hub.Tap that adds records to the buffer.
type tap struct {
	// Static.
	buffer *buffer
	tenant int
	bodies bool
	skips  *[1 << 16]bool // by command; nil: none

	// Guarded by buffer.mu: the hash of the last policy, in hex and decoded.
	sha256 string
	policy [8]byte
}

// newTap returns a tap that records what t keeps. The commands become a table of 64 KiB, as the hub
// asks about each PDU while it holds its lock.
func newTap(b *buffer, tenant int, t Tenant) *tap {
	p := &tap{buffer: b, tenant: tenant, bodies: t.Bodies}
	if t.Commands != nil {
		p.skips = new([1 << 16]bool)
		for i := range p.skips {
			p.skips[i] = true
		}
		for _, c := range t.Commands {
			p.skips[c] = false
		}
	}
	return p
}

func (p *tap) Present(session uint64, master bool, m *hub.Membership) {
	p.event(Record{Kind: Joined, Session: session, Known: true, Master: master})
	if m != nil {
		p.event(Record{Kind: Grouped, Session: session, Known: true, Membership: m})
	}
}

func (p *tap) Joined(session uint64, m *hub.Membership) {
	p.event(Record{Kind: Joined, Session: session})
	if m != nil {
		p.Grouped(session, m)
	}
}

func (p *tap) Left(session uint64) { p.event(Record{Kind: Left, Session: session}) }

func (p *tap) Grouped(session uint64, m *hub.Membership) {
	p.event(Record{Kind: Grouped, Session: session, Membership: m})
}

// event adds a record without a PDU.
func (p *tap) event(r Record) {
	r.Tenant, r.Time = p.tenant, time.Now()
	p.buffer.mu.Lock()
	defer p.buffer.mu.Unlock()
	p.buffer.add(r, 0)
}

// Judged adds a record for each PDU.
func (p *tap) Judged(j hub.Judged) {
	r := Record{Tenant: p.tenant, Time: time.Now(), Session: j.Session, Verdict: j.Verdict}
	if j.Fault != nil {
		r.Fault = j.Fault.Kind
	}
	p.buffer.mu.Lock()
	defer p.buffer.mu.Unlock()
	r.Policy = p.hashOf(j.Policy)
	for rest := j.PDUs; len(rest) > 0; rest = rest[r.Length:] {
		h := pdu.ParseHeader(rest)
		r.Length = int(h.Length)
		r.PDU = rest[:r.Length]
		if p.skips != nil && p.skips[h.Command] {
			continue
		}
		keep := pdu.HeaderLen
		if p.bodies {
			keep = min(r.Length, MaxKept)
		}
		p.buffer.add(r, keep)
	}
}

// hashOf returns the first bytes of the policy's hash. Called under buffer.mu.
func (p *tap) hashOf(g *policy.Generation) [8]byte {
	if g.SHA256 != p.sha256 {
		p.sha256, p.policy = g.SHA256, [8]byte{}
		hex.Decode(p.policy[:], []byte(g.SHA256[:min(len(g.SHA256), 16)]))
	}
	return p.policy
}
