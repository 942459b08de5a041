package proxy

import (
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"switchyard/policy/histogram"
	"switchyard/proxy/hub"
)

// The latency of a tenant is the time from when the hub has read PDUs from their sender's socket
// until it has written all that was due by them to a receiver. It is measured for a sample: of about
// a hundred rounds of the readers a second at most, one receiver each.
//
//	loop: read ─ handle ─ sampleLatency ─────────── flush
//	                        picks a receiver,            Due ─ write ─ Sent
//	                        marks the log's end ─┐        │              │
//	receiver's marks                             └▶ … ── arm ──────── settleMarks
//
// A receiver is picked among those to which something is due, so one that lags is picked as often as
// one that does not, and its lag counts. In a cluster the time begins when the hub has read the PDUs
// back in the common order.
const (
	// sampleEvery is the time between two samples, on average. It varies, so that samples do not
	// follow the rhythm of what peers send.
	sampleEvery = 10 * time.Millisecond
	// sampleTries is how many sessions are asked whether something is due to them.
	sampleTries = 16
	// mostMarks is how many samples one receiver may have under way.
	mostMarks = 8
)

// A latency is where the samples of a tenant are counted.
type latency struct {
	took *histogram.Histogram // static
	next atomic.Int64         // when the next sample may begin, see clock
}

// init makes the latency begin with the next round.
func (l *latency) init() {
	const us, ms = time.Microsecond, time.Millisecond
	l.next.Store(math.MinInt64) // a test's clock may be below 0
	l.took = histogram.New(50*us, 100*us, 250*us, 500*us, ms, 2500*us, 5*ms, 10*ms, 25*ms, 50*ms, 100*ms, 250*ms, 500*ms,
		time.Second, 2500*ms, 5*time.Second, 10*time.Second, 30*time.Second)
}

// Latency returns how long the sampled PDUs took.
func (t *Tenant) Latency() histogram.Counts { return t.latency.took.Counts() }

// Decisions returns how long the sampled decisions of the tenant's policies took.
func (t *Tenant) Decisions() histogram.Counts { return t.timing.Counts() }

// sampleLatency begins a sample if it is time for one. It is called when what was read at that time
// has been handled, and before it is written.
func (t *Tenant) sampleLatency(read int64) {
	next := t.latency.next.Load()
	if read < next || !t.latency.next.CompareAndSwap(next, read+rand.Int64N(int64(2*sampleEvery))) {
		return
	}
	sessions, head := *t.sessions.Load(), t.hub.Head()
	from := rand.IntN(len(sessions) + 1)
	for i := range min(len(sessions), sampleTries) {
		if sessions[(from+i)%len(sessions)].mark(head, read) {
			return
		}
	}
}

// A mark is one sample of a receiver.
type mark struct {
	head    hub.Head // where the log ended
	read    int64    // when the PDUs were read, see clock
	written uint64   // bytes that were written to the receiver before
	armed   bool     // Due has been called since
}

// marks are the samples of one receiver that are under way. The writer looks at them with each
// write; mostly there are none.
type marks struct {
	pending atomic.Int32 // len(all)

	mu sync.Mutex // guards all; no other lock is taken while it is held
	// all is in the order of the heads. A head keeps a chunk of the log alive, so marks are removed by
	// slices.Delete, which clears them.
	all []mark
}

// mark adds a sample if something is due to the session before head, and reports whether it did.
func (s *session) mark(head hub.Head, read int64) bool {
	if !s.seat.Behind(head) {
		return false
	}
	m := &s.output.marks
	written, _ := s.seat.Written()
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.all) == mostMarks {
		return false
	}
	m.all = append(m.all, mark{head: head, read: read, written: written})
	m.pending.Store(int32(len(m.all)))
	if !s.seat.Behind(head) { // a writer that has just written all of it may not have seen the mark
		m.all = slices.Delete(m.all, len(m.all)-1, len(m.all))
		m.pending.Store(int32(len(m.all)))
		return false
	}
	return true
}

// arm notes in the samples that Due is about to be called. Only the writer may call it.
func (m *marks) arm() {
	if m.pending.Load() == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.all {
		m.all[i].armed = true
	}
}

// settleMarks counts and removes the samples of which all has been written. It does not count one
// since which nothing was written: then all that was passed over was the receiver's own. Only the writer
// may call it.
func (s *session) settleMarks() {
	m := &s.output.marks
	if m.pending.Load() == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := clock()
	written, _ := s.seat.Written()
	for len(m.all) > 0 {
		first := m.all[0]
		if !(first.armed && s.seat.Reached(first.head)) && s.seat.Behind(first.head) {
			break
		}
		if written > first.written {
			s.tenant.latency.took.Add(time.Duration(now - first.read))
		}
		m.all = slices.Delete(m.all, 0, 1)
	}
	m.pending.Store(int32(len(m.all)))
}
