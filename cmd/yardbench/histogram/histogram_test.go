package histogram

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestBucketsCoverEverything(t *testing.T) {
	for i := range buckets - 1 {
		end := last(i)
		if got := bucket(end); got != i {
			t.Fatalf("bucket %d ends at %d, which is in bucket %d", i, end, got)
		}
		if got := bucket(end + 1); got != i+1 {
			t.Fatalf("behind bucket %d, which ends at %d, comes bucket %d", i, end, got)
		}
	}
	if got := bucket(math.MaxInt64); got != buckets-1 {
		t.Errorf("the longest duration is in bucket %d, want the last, %d", got, buckets-1)
	}
}

// Quantiles are compared with those of the sorted durations.
func TestQuantiles(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, scale := range []float64{50, 1e4, 1e7, 1e12} {
		var h, parts Histogram
		var all []int64
		for i := range 20_000 {
			ns := int64(r.ExpFloat64() * scale)
			all = append(all, ns)
			h.Add(ns)
			if i%2 == 1 {
				var part Histogram
				part.Add(all[i-1])
				part.Add(ns)
				parts.Merge(&part)
			}
		}
		slices.Sort(all)
		for _, q := range []float64{0, 0.5, 0.9, 0.99, 0.999, 1} {
			want := all[max(int(math.Ceil(q*float64(len(all))))-1, 0)]
			got := h.Quantile(q)
			if got < time.Duration(want) || float64(got) > float64(want)*(1+1.0/steps) {
				t.Errorf("scale %g: quantile %g is %d, want %d or at most 1/%d above", scale, q, got, want, steps)
			}
			if got != parts.Quantile(q) {
				t.Errorf("scale %g: quantile %g is %d, but %d if merged from parts", scale, q, got, parts.Quantile(q))
			}
		}
		if h.Max() != time.Duration(all[len(all)-1]) || h.Count() != uint64(len(all)) || parts.Max() != h.Max() {
			t.Errorf("scale %g: max %d of %d, want %d of %d", scale, h.Max(), h.Count(), all[len(all)-1], len(all))
		}
	}
}

func TestEmptyAndReset(t *testing.T) {
	var h Histogram
	h.Add(-5) // a clock that went back
	if h.Quantile(1) != 0 || h.Max() != 0 || h.Count() != 1 {
		t.Errorf("a negative duration counts as %v, max %v", h.Quantile(1), h.Max())
	}
	h.Add(7)
	h.Reset()
	if h != (Histogram{}) || h.Quantile(0.5) != 0 {
		t.Error("a reset histogram is not empty")
	}
}
