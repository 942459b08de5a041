// Package histogram counts durations in buckets of constant number, for quantiles that are
// exact within 1/64. It reads no clock.
package histogram

import (
	"math"
	"math/bits"
	"time"
)

// Durations below 2 × steps nanoseconds have a bucket each. Above, each doubling has steps
// buckets:
//
//	0 1 2 … 127 │ 128,129 130,131 … 254,255 │ 256–259 … 508–511 │ …
const (
	stepBits = 6
	steps    = 1 << stepBits
	buckets  = (64 - stepBits) * steps
)

// A Histogram counts durations. The zero value is empty. It may be used by one goroutine at
// a time.
type Histogram struct {
	counts [buckets]uint64
	total  uint64
	max    int64
}

// Add counts a duration of ns nanoseconds. A negative one counts as 0.
func (h *Histogram) Add(ns int64) {
	ns = max(ns, 0)
	h.counts[bucket(ns)]++
	h.total++
	h.max = max(h.max, ns)
}

// Merge adds the counts of other.
func (h *Histogram) Merge(other *Histogram) {
	for i, n := range other.counts {
		h.counts[i] += n
	}
	h.total += other.total
	h.max = max(h.max, other.max)
}

// Reset empties it.
func (h *Histogram) Reset() { *h = Histogram{} }

// Count returns how many durations were counted.
func (h *Histogram) Count() uint64 { return h.total }

// Max returns the longest duration, exactly.
func (h *Histogram) Max() time.Duration { return time.Duration(h.max) }

// Quantile returns the duration that the part q of all, from 0 to 1, does not exceed. It is
// at most 1/64 too long, and 0 if nothing was counted.
func (h *Histogram) Quantile(q float64) time.Duration {
	rank := uint64(math.Ceil(q * float64(h.total)))
	seen := uint64(0)
	for i, n := range h.counts {
		seen += n
		if n > 0 && seen >= rank {
			return time.Duration(min(last(i), h.max))
		}
	}
	return 0
}

// bucket returns the bucket of a duration.
func bucket(ns int64) int {
	// The position of the highest bit gives the doubling, the stepBits bits below it give
	// the step.
	shift := max(bits.Len64(uint64(ns))-stepBits-1, 0)
	return shift<<stepBits + int(uint64(ns)>>shift)
}

// last returns the longest duration in a bucket.
func last(i int) int64 {
	if i < 2*steps {
		return int64(i)
	}
	shift := i>>stepBits - 1
	return int64(uint64(i-shift<<stepBits+1)<<shift - 1)
}
