package histogram

import (
	"reflect"
	"sync"
	"testing"
	"time"
)

func TestHistogram(t *testing.T) {
	bounds := []time.Duration{time.Millisecond, time.Second}
	h := New(bounds...)
	for _, d := range []time.Duration{0, time.Millisecond, time.Millisecond + 1, time.Second, time.Minute} {
		h.Add(d)
	}
	want := Counts{Bounds: bounds, Buckets: []uint64{2, 4}, Count: 5, Sum: time.Minute + time.Second + 2*time.Millisecond + 1}
	if got := h.Counts(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// Goroutines that add at once lose nothing.
func TestAddAtOnce(t *testing.T) {
	h := New(time.Second)
	var adding sync.WaitGroup
	for range 4 {
		adding.Go(func() {
			for range 1000 {
				h.Add(time.Millisecond)
			}
		})
	}
	adding.Wait()
	if c := h.Counts(); c.Count != 4000 || c.Buckets[0] != 4000 || c.Sum != 4*time.Second {
		t.Errorf("got %+v", c)
	}
}
