package proxy

import (
	"sync"
	"sync/atomic"
	"time"

	"switchyard/proxy/hub"
)

// The limits of PDUs that have not arrived whole. A peer in the middle of a PDU can send
// no heartbeat, so the bytes of that PDU count as a sign of life. It has to make progress
// none the less, and all such PDUs share a memory:
//
//	arrived ▲          ┌───── whole in time
//	        │      ┌───┘  ╱ leastProgress
//	        │  ┌───┘    ╱
//	        │──┘      ╱──── closed: pdu-timeout
//	        └────────┴─────────────────▶ time
//	         ◀ Timeout ▶

const (
	// leastProgress is how many bytes of a PDU must arrive in a second, after Timeout.
	leastProgress = 64 << 10
	// uncountedInput is the largest input buffer that does not count. PDUs of the usual
	// size need no more, and their peers are never closed for InputFull.
	uncountedInput = 4 << 10
	// tenantInput is how much memory the input buffers of a tenant may take, unless four
	// PDUs of the largest length take more. All tenants together may take processInput
	// times as much.
	tenantInput  = 64 << 20
	processInput = 4
)

// An unfinished is what a session's reader says about the PDU of which a part has arrived.
type unfinished struct {
	since   atomic.Int64 // when its first bytes were read, see clock; 0 if there is none
	arrived atomic.Int64 // bytes of it
}

// note records that the reader holds that many bytes of a PDU, and of a new one if the
// last read completed others.
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

// over reports whether the PDU makes less progress than it must, by at.
func (u *unfinished) over(at int64, timeout time.Duration) bool {
	since := u.since.Load()
	credit := float64(u.arrived.Load()) / leastProgress * float64(time.Second)
	return timeout > 0 && since != 0 && float64(at-since) > float64(timeout)+credit
}

// noteInput records what the reader holds now. completed says whether it has read the end
// of a PDU since the last call.
func (s *session) noteInput(completed bool, now int64) {
	s.input.unfinished.note(s.input.pdus.Buffered(), completed, now)
	s.countInput()
}

// countInput counts the memory that the reader holds.
func (s *session) countInput() {
	in := &s.input
	size := in.pdus.Size() + in.detached
	if size <= uncountedInput {
		size = 0
	}
	if size != in.counted {
		in.counted = size
		s.tenant.inputs.count(s, int64(size))
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

// dropInput releases the memory of a reader that has ended, but for what linger needs.
func (s *session) dropInput() {
	if !s.framed() {
		s.input.pdus.Discard()
	}
	s.input.detached = 0
	s.countInput()
}

// An InputMemory limits the memory that the input buffers of all tenants of a process take
// together.
type InputMemory struct {
	mu      sync.Mutex // guards what readers hold; no other lock is taken meanwhile
	tenants map[*inputs]struct{}
	held    atomic.Int64 // changed under mu
}

// NewInputMemory returns an InputMemory of which nothing is held. Limits.Input has it.
func NewInputMemory() *InputMemory { return &InputMemory{tenants: make(map[*inputs]struct{})} }

// inputs are the input buffers of a tenant's sessions.
type inputs struct {
	process *InputMemory       // static
	limit   atomic.Int64       // in bytes
	held    atomic.Int64       // changed under process.mu
	of      map[*session]int64 // bytes that count; guarded by process.mu
}

func newInputs(process *InputMemory) *inputs {
	if process == nil {
		process = NewInputMemory()
	}
	return &inputs{process: process, of: make(map[*session]int64)}
}

func (i *inputs) setLimit(maxPDU int) { i.limit.Store(max(tenantInput, 4*int64(maxPDU))) }

// scarce reports whether half of the memory is held, so that buffers without a part of a
// PDU are not kept for the next one.
func (i *inputs) scarce() bool {
	limit := i.limit.Load()
	return i.held.Load() > limit/2 || i.process.held.Load() > processInput*limit/2
}

// count sets how much the session holds. If that is too much for the tenant or the process,
// sessions are closed whose PDUs are unfinished. The memory of those no longer counts: it
// is released as soon as their readers notice.
func (i *inputs) count(s *session, held int64) {
	for _, victim := range i.set(s, held) {
		victim.Close(hub.InputFull)
	}
}

func (i *inputs) set(s *session, held int64) (victims []*session) {
	p := i.process
	p.mu.Lock()
	defer p.mu.Unlock()
	if held > 0 && s.reason.Load() != nil {
		return nil // it is closing
	}
	i.setLocked(s, held)
	for limit := i.limit.Load(); ; {
		crowded := i
		switch {
		case i.held.Load() > limit:
		case p.held.Load() > processInput*limit:
			crowded = p.largest()
		default:
			return victims
		}
		victim := crowded.worst(clock())
		if victim == nil {
			crowded = i
			victim = i.worst(clock())
		}
		if victim == nil {
			return victims
		}
		crowded.setLocked(victim, 0)
		victims = append(victims, victim)
	}
}

func (i *inputs) setLocked(s *session, held int64) {
	change := held - i.of[s]
	if i.of[s] = held; held == 0 {
		delete(i.of, s)
	}
	i.held.Add(change)
	i.process.held.Add(change)
	if i.process.tenants[i] = struct{}{}; len(i.of) == 0 {
		delete(i.process.tenants, i)
	}
}

// largest returns the tenant that holds most. Called under mu.
func (p *InputMemory) largest() (most *inputs) {
	for i := range p.tenants {
		if most == nil || i.held.Load() > most.held.Load() {
			most = i
		}
	}
	return most
}

// worst returns the session whose unfinished PDU has cost most by now, in bytes times the
// time since it began; nil if there is none. A peer whose PDU is large but on its way costs
// less than one that leaves a small one unfinished. Called under mu.
func (i *inputs) worst(now int64) (worst *session) {
	most := 0.0
	for s, held := range i.of {
		since := s.input.unfinished.since.Load()
		if since == 0 {
			continue
		}
		if cost := float64(held) * float64(max(1, now-since)); cost > most {
			worst, most = s, cost
		}
	}
	return worst
}
