package wasm

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"switchyard/policy/wasm/meter"
)

// The memory of a guest that does not collect its garbage grows from decision to decision.
// When it has more than FarPages, loads cost more fuel than its decisions may have left; when
// it is full, the guest traps. So an instance that has grown to its mark is replaced. If it reaches
// the mark with the last PDU of a batch, the next batch finds another one ready:
//
//	memory of slot 0   40 ── 44 ── 56 ── 64 pages, the mark
//	slot 0             busy, idle, busy … │ replaced ───────▶ idle, 40 pages
//	slot 1             empty │ filled ──▶ idle ─▶ busy, idle, busy …
//
// One goroutine of the policy makes instances, one at a time. If that takes more than half of
// a core, it pauses, and instances continue to grow meanwhile. If an instance reaches its mark
// earlier in a batch, Inspect replaces it, and the next PDU of the batch waits for that.
//
// What Release does with an instance whose memory has grown:
//
//	below its mark     makes a spare, if no other instance is idle, and keeps this one
//	at its mark, and
//	  share used up    keeps it; the next Release looks again
//	  another is idle  hands the slot to the goroutine, which replaces the instance
//	  otherwise        replaces it here, before the slot is free again
//
// A garbage collector in the guest is not a substitute: it runs during a decision and uses its
// fuel. A guest in Go that splits chats of 2 KiB into words lost 39 of 5,000 decisions to it and
// to the price of a large memory. So GOGC is off (instanceConfig), and memory is taken back here.

// A growth tracks the memory of an instance. It belongs to the instance's owner.
type growth struct {
	size  uint32 // recorded size of the memory in bytes
	mark  uint32 // the instance is replaced when its memory reaches this size
	calls int    // number of calls since the instance was made
	due   bool   // Release must handle the growth
}

// atMark reports whether the instance must be replaced.
func (g *growth) atMark() bool { return g.due && g.size >= g.mark }

// worthwhile is how many calls an instance must have answered before it passed its mark. One
// that passes it sooner needs that much memory, and so would its successor.
const worthwhile = 16

// beginGrowth starts tracking the memory of an instance that is ready.
func (in *instance) beginGrowth() {
	if in.memory == nil {
		return
	}
	size := in.memory.Size()
	in.growth = growth{size: size, mark: in.markAbove(size)}
}

// beginGrowth restarts tracking for all instances, because the gates have called them
// often.
func (p *Policy) beginGrowth() {
	p.replacements.running.Wait()
	for i := range p.slots {
		if in := p.slots[i].in; in != nil {
			in.beginGrowth()
		}
	}
}

// markAbove returns the size above which loads cost the most if size is below it, and
// otherwise three quarters of the largest size of the memory if size is below that. All are in
// bytes. With 256 pages, an instance that starts with 40 pages has its mark at 64 (4 MiB); one
// that starts with 100 has it at 192 (12 MiB); one that starts with 200 is never replaced.
func (in *instance) markAbove(size uint32) uint32 {
	most := in.limits.MemoryPages
	if declared, limited := in.memory.Definition().Max(); limited {
		most = min(most, declared)
	}
	late := most - most/4
	for _, pages := range [...]uint32{min(meter.FarPages, late), late} {
		if mark := pages << 16; mark > size {
			return mark
		}
	}
	return math.MaxUint32
}

// noteGrowth records after a call whether the memory has grown.
func (in *instance) noteGrowth() {
	in.growth.calls++
	if in.memory == nil || in.memory.Size() == in.growth.size {
		return
	}
	g := &in.growth
	g.size, g.due = in.memory.Size(), true
	if g.size >= g.mark && g.calls < worthwhile {
		g.mark = in.markAbove(g.size)
	}
}

// replacements makes instances of a policy while the policy is in use.
type replacements struct {
	making  atomic.Bool    // a goroutine is making instances
	running sync.WaitGroup // Policy.Close waits for it
	since   time.Time      // when the policy was loaded; static
	paid    atomic.Int64   // the age at which the policy's share has paid for all instances made
}

// Making instances may use at most share of a core. A new instance may be started while the
// use exceeds that by no more than advance, so that one slow instance does not delay the
// next.
const (
	share   = 0.5
	advance = 200 * time.Millisecond
)

// handleGrowth starts making a spare instance when the memory of the slot's instance has
// grown, and replaces the instance itself when it reaches its mark. It reports whether the
// slot now belongs to the goroutine that does so.
func (p *Policy) handleGrowth(s *slot) (taken bool) {
	g := &s.in.growth
	switch {
	case g.size < g.mark:
		g.due = !p.hasIdle() && !p.fillSpare()
		return false
	case !p.mayMake():
		return false
	case p.hasIdle() && p.replacements.making.CompareAndSwap(false, true):
		p.replacements.running.Go(func() { p.remake(s) })
		return true
	}
	// No other instance is ready for the next batch, or the goroutine is busy. So this
	// goroutine makes the instance itself, because the guest would lose decisions if it
	// continued to grow.
	_ = p.replace(s)
	return false
}

// hasIdle reports whether an instance is ready for the next batch.
func (p *Policy) hasIdle() bool {
	for i := range p.slots {
		if p.slots[i].state.Load() == idle {
			return true
		}
	}
	return false
}

// fillSpare starts making an instance for an empty slot, and reports whether one is being
// made.
func (p *Policy) fillSpare() bool {
	if !p.mayMake() || !p.replacements.making.CompareAndSwap(false, true) {
		return false
	}
	s := p.take(0, empty)
	if s == nil {
		p.replacements.making.Store(false)
		return true // every slot has an instance
	}
	p.replacements.running.Go(func() { p.remake(s) })
	return true
}

// remake is the goroutine that replaces the instance of a slot and then frees the slot.
func (p *Policy) remake(s *slot) {
	_ = p.replace(s)
	s.free()
	p.replacements.making.Store(false)
}

// mostReused is the size in bytes up to which a memory passes to the next instance: 8 MiB, as an
// instance that is replaced at 4 MiB has grown a little beyond. The system gets larger memories
// back, so that a policy does not keep what one decision needed.
const mostReused = 2 * meter.FarPages << 16

// replace closes the slot's instance, if it has one, and makes another, with its memory unless
// that is large. If that fails, the slot stays empty, and the next batch that takes it tries again.
func (p *Policy) replace(s *slot) error {
	computed, stop := p.clock()
	defer stop()
	var memory linearMemory
	if s.in != nil {
		if s.in.memory.Size() <= mostReused {
			memory = s.in.linear.reuse()
		}
		s.in.close()
		s.in = nil
	}
	err := p.fill(s, memory)
	p.pay(computed())
	return err
}

// mayMake reports whether the policy's share allows another instance.
func (p *Policy) mayMake() bool {
	return p.replacements.paid.Load()-p.age() <= int64(advance)
}

// pay charges the time that making an instance took to the policy's share. For example,
// with a share of one half and an advance of 200 ms:
//
//	age 10 s     paid 3 s      an instance takes 150 ms
//	             paid 10.3 s   = max(3, 10) + 0.15 / 0.5
//	age 10.05 s  paid - age = 0.25 s > 0.2 s: none may be made
//	age 10.1 s   paid - age = 0.2 s: the next may be made
//
// Unused time is lost (max), so a policy cannot save up for a burst.
func (p *Policy) pay(took time.Duration) {
	for paid := &p.replacements.paid; ; {
		before := paid.Load()
		if paid.CompareAndSwap(before, max(before, p.age())+int64(float64(took)/share)) {
			return
		}
	}
}

// age returns the nanoseconds since the policy was loaded.
func (p *Policy) age() int64 { return int64(time.Since(p.replacements.since)) }
