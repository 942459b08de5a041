// Package histogram counts durations so that their quantiles can be told within one
// percent, whatever their number. It reads no clock.
package histogram

import (
	"math"
	"math/bits"
	"time"
)

// Durations up to twice steps nanoseconds have a bucket each; of those above, each
// doubling has as many buckets as steps.
const (
	stepBits = 6
	steps    = 1 << stepBits
	buckets  = (64 - stepBits) * steps
)

// A Histogram counts durations. The zero value is empty. One goroutine at a time may
// use it.
type Histogram struct {
	counts [buckets]uint64
	total  uint64
	max    int64
}

// Add counts a duration of ns nanoseconds. Less than none counts as none.
func (h *Histogram) Add(ns int64) {
	ns = max(ns, 0)
	h.counts[bucket(ns)]++
	h.total++
	h.max = max(h.max, ns)
}

// Merge adds what other has counted.
func (h *Histogram) Merge(other *Histogram) {
	for i, n := range other.counts {
		h.counts[i] += n
	}
	h.total += other.total
	h.max = max(h.max, other.max)
}

// Reset empties it.
func (h *Histogram) Reset() { *h = Histogram{} }

// Count is how many durations were counted.
func (h *Histogram) Count() uint64 { return h.total }

// Max is the longest of them, exactly.
func (h *Histogram) Max() time.Duration { return time.Duration(h.max) }

// Quantile returns the duration that a part q of all, from 0 to 1, do not exceed. It is
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
	// The position of the highest bit says which doubling it is, the stepBits below
	// that which step of it.
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
