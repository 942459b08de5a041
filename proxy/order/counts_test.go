package order

import (
	"testing"
	"time"
)

// A record counts as appended once under each number, and as said again each time after that. Its
// trip begins with the first append and ends when it is read back.
func TestCounts(t *testing.T) {
	now := time.Unix(1000, 0)
	o := NewOutbox(1, 7, 1<<20, 1<<20)
	o.Resume()
	for range 3 {
		o.Say(&Record{Kind: Left, Session: 1})
	}
	var first []byte
	for {
		b, ok := o.Next(now)
		if !ok {
			break
		}
		if first == nil {
			first = b
		}
	}
	want := Counts{Appended: 3}
	if got := o.Counts(); got != want {
		t.Fatalf("got %+v, want %+v", got, want)
	}

	now = now.Add(probeAfter) // nothing has come back: a probe
	if _, ok := o.Next(now); !ok {
		t.Fatal("no probe")
	}
	r, err := Parse(first)
	if err != nil {
		t.Fatal(err)
	}
	now = now.Add(3 * time.Millisecond)
	o.Back(now, &r)
	want.Again = 1
	want.Trips = Trips{Count: 1, Sum: probeAfter + 3*time.Millisecond}
	want.Trips.Buckets[10] = 1 // 2.5 s
	if got := o.Counts(); got != want {
		t.Fatalf("got %+v, want %+v", got, want)
	}

	r.Number = 3 // the second was lost: it is said again, and more only when it is back
	o.Back(now, &r)
	for ok := true; ok; {
		_, ok = o.Next(now)
	}
	want.Again = 2
	if got := o.Counts(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestTrips(t *testing.T) {
	var trips Trips
	for _, d := range []time.Duration{0, time.Millisecond, time.Millisecond + 1, 10 * time.Second, 11 * time.Second} {
		trips.add(d)
	}
	want := Trips{Count: 5, Sum: 21*time.Second + 2*time.Millisecond + 1}
	want.Buckets[0], want.Buckets[1], want.Buckets[len(TripBounds)-1] = 2, 1, 1
	if trips != want {
		t.Errorf("got %+v, want %+v", trips, want)
	}
}
