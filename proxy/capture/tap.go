package capture

import (
	"encoding/hex"
	"sync"
	"time"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/proxy/hub"
)

// What one buffer holds. There are two, so a capture takes twice this much memory,
// whatever happens.
const (
	maxRecords = 16 << 10
	maxBytes   = 4 << 20
)

// A buffer holds records on their way from hubs to a capture. What finds no room
// is counted as missed; nobody waits.
type buffer struct {
	ready chan struct{} // sent to when there is a first record; holds one, never closed

	mu      sync.Mutex // guards what follows; held while a few PDUs are copied
	records []Record
	bytes   []byte   // that PDU of the records is in; never moved
	missed  []uint64 // by tenant, since its last record
	total   []uint64 // by tenant

	// Owned by the recorder: what it took last.
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

// take returns what has come, valid until the next call.
func (b *buffer) take() []Record {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.taken, b.records = b.records, b.taken[:0]
	b.slab, b.bytes = b.bytes, b.slab[:0]
	return b.taken
}

// pressed reports whether the buffer is half full.
func (b *buffer) pressed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.records) > cap(b.records)/2 || len(b.bytes) > cap(b.bytes)/2
}

// missedOf returns how many records of a tenant found no room.
func (b *buffer) missedOf(tenant int) uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.total[tenant]
}

// A tap puts what it is shown of one hub into the buffer.
type tap struct {
	// Static.
	buffer *buffer
	tenant int
	bodies bool
	skips  *[1 << 16]bool // by command; nil if none is

	// Guarded by buffer.mu: what the policy's module was called when it was last seen.
	sha256 string
	policy [8]byte
}

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

func (p *tap) Present(session uint64, master bool) {
	p.event(Record{Kind: Joined, Session: session, Known: true, Master: master})
}

func (p *tap) Joined(session uint64) { p.event(Record{Kind: Joined, Session: session}) }

func (p *tap) Left(session uint64) { p.event(Record{Kind: Left, Session: session}) }

func (p *tap) event(r Record) {
	r.Tenant, r.Time = p.tenant, time.Now()
	p.buffer.mu.Lock()
	defer p.buffer.mu.Unlock()
	p.buffer.add(r, 0)
}

// Judged takes the PDUs in, one record each.
func (p *tap) Judged(j hub.Judged) {
	r := Record{Tenant: p.tenant, Time: time.Now(), Session: j.Session, Verdict: j.Verdict}
	if j.Fault != nil {
		r.Fault = j.Fault.Kind
	}
	p.buffer.mu.Lock()
	defer p.buffer.mu.Unlock()
	r.Policy = p.nameOf(j.Policy)
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

// nameOf returns the first bytes of the policy's hash. Called under buffer.mu.
func (p *tap) nameOf(g *policy.Generation) [8]byte {
	if g.SHA256 != p.sha256 {
		p.sha256, p.policy = g.SHA256, [8]byte{}
		hex.Decode(p.policy[:], []byte(g.SHA256[:min(len(g.SHA256), 16)]))
	}
	return p.policy
}
