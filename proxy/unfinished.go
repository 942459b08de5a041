package proxy

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"switchyard/proxy/hub"
)

// The limits of PDUs that have not arrived whole. A peer in the middle of a PDU can send
// no heartbeat, so the bytes of that PDU count as a sign of life. Nevertheless the PDU must
// make progress, and all such PDUs share a memory limit:
//
//	arrived ▲          ┌───── whole in time
//	        │      ┌───┘  ╱ leastProgress
//	        │  ┌───┘    ╱
//	        │──┘      ╱──── closed: pdu-timeout
//	        └────────┴─────────────────▶ time
//	         ◀ 2 × Timeout ▶
//
// The limit is twice Timeout because route_server never closes a peer whose bytes keep
// arriving: a peer that needs somewhat longer than Timeout for a PDU is not yet hostile.

const (
	// leastProgress is how many bytes of a PDU must arrive in a second, after twice Timeout.
	leastProgress = 64 << 10
	// quickProgress is how many bytes of a PDU arrive in a second from a peer in the same network
	// that does not stall.
	quickProgress = 1 << 20
	// uncountedInput is the largest input buffer that does not count. PDUs of the usual
	// size need no more, and their peers are never closed for InputFull.
	uncountedInput = 4 << 10
	// tenantInput is how much memory the input buffers of a tenant may take, unless four
	// PDUs of the largest length take more. All tenants together may take processInput
	// times as much.
	tenantInput  = 64 << 20
	processInput = 4
)

// An unfinished describes the PDU of which a session's reader holds only a part.
type unfinished struct {
	since   atomic.Int64 // when its first bytes were read, see clock; 0 if there is none
	arrived atomic.Int64 // bytes of it
}

// note records how many bytes of an unfinished PDU the reader holds. If the last read
// completed other PDUs, this one is new.
func (u *unfinished) note(arrived int, isNew bool, now int64) {
	switch since := u.since.Load(); {
	case arrived == 0:
		if since != 0 {
			u.since.Store(0)
		}
		return
	case isNew || since == 0:
		u.since.Store(now)
	}
	u.arrived.Store(int64(arrived))
}

// over reports whether the PDU has made too little progress by the time at.
func (u *unfinished) over(at int64, timeout time.Duration) bool {
	since := u.since.Load()
	credit := float64(u.arrived.Load()) / leastProgress * float64(time.Second)
	return timeout > 0 && since != 0 && float64(at-since) > 2*float64(timeout)+credit
}

// slow reports whether the PDU has arrived so slowly that it counts first when memory is short.
func (u *unfinished) slow(now int64) bool {
	age := time.Duration(now - u.since.Load())
	return float64(u.arrived.Load()) < quickProgress*age.Seconds()
}

// noteInput records what the reader holds now. completed is true if the reader has read the
// end of a PDU since the last call.
func (s *session) noteInput(completed bool, now int64) {
	s.input.unfinished.note(s.input.pdus.Buffered(), completed, now)
	s.countInput()
}

// noteBatch records that whole PDUs are about to be handled. That time is not charged to
// the next PDU, whose time begins when the reader waits for it.
func (s *session) noteBatch() {
	s.input.unfinished.note(0, true, 0)
	s.countInput()
}

// countInput counts the memory that the reader holds.
func (s *session) countInput() {
	in := &s.input
	m := inputMemory{size: int64(in.pdus.Size())}
	if m.size <= uncountedInput {
		m.size = 0
	} else if in.unfinished.since.Load() != 0 {
		m.unfinished = m.size
	}
	if m != in.counted {
		in.counted = m
		s.tenant.inputs.count(s, m)
	}
}

// shrinkInput releases a buffer without a part of a PDU, if memory is scarce. It must not
// be called while the reader reads.
func (s *session) shrinkInput() {
	pdus := s.input.pdus
	if pdus.Buffered() == 0 && pdus.Size() > uncountedInput && s.tenant.inputs.scarce() {
		pdus.Compact()
	}
}

// dropInput releases the memory of a reader that has ended, except what linger needs.
func (s *session) dropInput() {
	if !s.framed() {
		s.input.pdus.Discard()
	}
	s.noteBatch()
}

// An inputMemory is how much memory a reader holds; both sizes are in bytes.
type inputMemory struct {
	size       int64 // size of the reader's buffer
	unfinished int64 // equals size while the reader waits for the rest of a PDU, otherwise 0
}

func (m *inputMemory) add(size, unfinished int64) {
	m.size += size
	m.unfinished += unfinished
}

// Inputs limit the memory that the input buffers of all tenants of a process take for PDUs
// that have not arrived whole.
type Inputs struct {
	mu      sync.Mutex // guards all that follows, and the tenants' inputs; no other lock is taken meanwhile
	tenants map[*inputs]struct{}
	total   inputMemory
	scarce  atomic.Bool // more than half is held
}

// NewInputs returns Inputs for Limits.
func NewInputs() *Inputs { return &Inputs{tenants: make(map[*inputs]struct{})} }

// inputs are those input buffers of a tenant's sessions that count towards the limits.
// process.mu guards all fields except process.
type inputs struct {
	process *Inputs // static
	limit   int64   // of total.unfinished
	total   inputMemory
	of      map[*session]inputMemory
	half    atomic.Bool // more than half is held
}

func newInputs(process *Inputs) *inputs {
	if process == nil {
		process = NewInputs()
	}
	return &inputs{process: process, of: make(map[*session]inputMemory)}
}

func (i *inputs) setLimit(maxPDU int) {
	i.process.mu.Lock()
	defer i.process.mu.Unlock()
	i.limit = max(tenantInput, 4*int64(maxPDU))
}

// scarce reports whether readers hold so much memory that empty buffers must be released
// instead of being kept for the next PDU.
func (i *inputs) scarce() bool { return i.half.Load() || i.process.scarce.Load() }

// count sets how much the session holds. If too much is held for unfinished PDUs, by the
// tenant or the process, sessions with such a PDU are closed. Their memory no longer
// counts: it is released as soon as their readers notice.
func (i *inputs) count(s *session, m inputMemory) {
	for _, victim := range i.set(s, m) {
		victim.Close(hub.InputFull)
	}
}

// set is count without closing anybody: it returns the sessions to be closed, which must not be done under
// the lock. One after the other is taken until what is left fits, of the tenant first and then of the
// process; the memory of those taken counts no longer, and a session that is closing is not counted again.
func (i *inputs) set(s *session, m inputMemory) (victims []*session) {
	p := i.process
	p.mu.Lock()
	defer p.mu.Unlock()
	if m.size > 0 && s.reason.Load() != nil {
		return nil // it is closing
	}
	i.setLocked(s, m)
	var ranked map[*inputs][]*session // the sessions that are left of a tenant; nil unless needed
	for {
		crowded := i
		switch {
		case i.total.unfinished > i.limit:
		case p.total.unfinished > processInput*i.limit:
			crowded = p.largest()
		default:
			return victims
		}
		if ranked == nil {
			ranked = make(map[*inputs][]*session)
		}
		if ranked[crowded] == nil {
			ranked[crowded] = crowded.rank(clock())
		}
		victim := ranked[crowded][0]
		ranked[crowded] = ranked[crowded][1:]
		crowded.setLocked(victim, inputMemory{})
		victims = append(victims, victim)
	}
}

// setLocked records the session's memory without checking the limits. Called under mu.
func (i *inputs) setLocked(s *session, m inputMemory) {
	p, before := i.process, i.of[s]
	if i.of[s] = m; m.size == 0 {
		delete(i.of, s)
	}
	i.total.add(m.size-before.size, m.unfinished-before.unfinished)
	p.total.add(m.size-before.size, m.unfinished-before.unfinished)
	if p.tenants[i] = struct{}{}; len(i.of) == 0 {
		delete(p.tenants, i)
	}
	if half := i.total.size > i.limit/2; half != i.half.Load() {
		i.half.Store(half)
	}
	if half := p.total.size > processInput*i.limit/2; half != p.scarce.Load() {
		p.scarce.Store(half)
	}
}

// largest returns the tenant that holds most for unfinished PDUs. Called under mu.
func (p *Inputs) largest() (most *inputs) {
	for i := range p.tenants {
		if most == nil || i.total.unfinished > most.total.unfinished {
			most = i
		}
	}
	return most
}

// rank returns the sessions with an unfinished PDU, with those to be closed first in front.
// They are ordered by what their PDUs have cost by now, in bytes times the time since they
// began. A peer whose PDU is large but on its way thus costs less than one that leaves a
// small one unfinished for long. But each of many small ones may cost less than the large
// one, although they have caused the shortage:
//
//	                                 memory      cost
//	8000 peers, 8 KiB, 10 s ago      64 MiB      80 KiB s each
//	a peer, 16 MiB, 0.1 s ago        16 MiB      1600 KiB s, but it arrives quickly
//
// So if PDUs that arrive slowly take at least half of the memory, their sessions come first.
// Called under mu.
func (i *inputs) rank(now int64) []*session {
	type ranked struct {
		*session
		cost float64
		slow bool
	}
	var all []ranked
	var slow int64 // bytes
	for s, m := range i.of {
		if m.unfinished == 0 {
			continue
		}
		u := &s.input.unfinished
		since := u.since.Load()
		r := ranked{s, float64(m.unfinished) * float64(max(1, now-since)), u.slow(now)}
		if since == 0 { // the rest has just arrived
			r.cost, r.slow = 1, false
		}
		if r.slow {
			slow += m.unfinished
		}
		all = append(all, r)
	}
	slowFirst := slow >= i.total.unfinished/2
	slices.SortFunc(all, func(a, b ranked) int {
		if slowFirst && a.slow != b.slow {
			if a.slow {
				return -1
			}
			return 1
		}
		return cmp.Compare(b.cost, a.cost)
	})
	sessions := make([]*session, len(all))
	for n, r := range all {
		sessions[n] = r.session
	}
	return sessions
}
