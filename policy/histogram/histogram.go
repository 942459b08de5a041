// Package histogram counts durations in buckets, as Prometheus has them. It reads no clock.
package histogram

import (
	"sync/atomic"
	"time"
)

// A Histogram counts durations. Any number of goroutines may call its methods.
type Histogram struct {
	bounds  []time.Duration // upper bounds of the buckets, ascending; static
	buckets []atomic.Uint64 // one for each bound, and one for what is above the last
	sum     atomic.Int64    // of all durations
}

// New returns a histogram with buckets of these upper bounds, which ascend.
func New(bounds ...time.Duration) *Histogram {
	return &Histogram{bounds: bounds, buckets: make([]atomic.Uint64, len(bounds)+1)}
}

// Add counts a duration.
func (h *Histogram) Add(d time.Duration) {
	i := 0
	for i < len(h.bounds) && d > h.bounds[i] {
		i++
	}
	h.buckets[i].Add(1)
	h.sum.Add(int64(d))
}

// Counts are those of a histogram at one moment.
type Counts struct {
	Bounds  []time.Duration // upper bounds
	Buckets []uint64        // durations up to each bound, those of the buckets below included
	Count   uint64          // of all durations
	Sum     time.Duration   // of all durations
}

// Counts returns the counts. They are taken one after the other, so the sum may have a few durations
// more or fewer than the count.
func (h *Histogram) Counts() Counts {
	c := Counts{Bounds: h.bounds, Buckets: make([]uint64, len(h.bounds)), Sum: time.Duration(h.sum.Load())}
	for i := range h.buckets {
		c.Count += h.buckets[i].Load()
		if i < len(c.Buckets) {
			c.Buckets[i] = c.Count
		}
	}
	return c
}
