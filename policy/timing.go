package policy

import (
	"time"

	"switchyard/policy/histogram"
)

// timeEvery: one of so many decisions for which the policy is called is measured. Reading a clock twice
// takes about 100 ns, and a quick call 300 ns.
const timeEvery = 64

// A Timing measures how long those decisions take for which a policy is called. Those that the memo
// answers take nanoseconds, and measuring one would cost more.
type Timing struct {
	clock func() int64 // monotonic, in nanoseconds; the core reads none by itself
	took  *histogram.Histogram
}

// NewTiming returns a Timing that measures by that clock, which is monotonic and in nanoseconds.
func NewTiming(clock func() int64) *Timing {
	const us, ms = time.Microsecond, time.Millisecond
	return &Timing{clock, histogram.New(us/4, us/2, us, 2500*time.Nanosecond, 5*us, 10*us, 25*us, 50*us, 100*us, 250*us, 500*us,
		ms, 2500*us, 5*ms, 10*ms, 25*ms, 100*ms)}
}

// Counts returns what was measured so far.
func (t *Timing) Counts() histogram.Counts { return t.took.Counts() }

// A Sampler chooses which decisions are measured: of those for which one goroutine calls a policy,
// the first one and then one of each timeEvery. In a stage, a decision of each generation counts. The
// zero Sampler measures none.
type Sampler struct {
	Timing *Timing // nil measures none
	calls  uint32  // for which isNext was asked
}

// Time makes the batch measure those of its decisions that the sampler chooses. The sampler must not be
// used elsewhere until Release.
func (b *Batch) Time(s *Sampler) { b.sampler = s }

// isNext reports whether the decision that is about to be made is measured.
func (s *Sampler) isNext() bool {
	s.calls++
	return s.calls%timeEvery == 1 && s.Timing != nil
}

// callTimed is call for a decision that is measured.
func (b *Batch) callTimed(a *asker, p []byte, v Verdict, found bool, by *Timing) (Verdict, *Fault) {
	begun := by.clock()
	v, fault := b.call(a, p, v, found)
	by.took.Add(time.Duration(by.clock() - begun))
	return v, fault
}
