package order

import "time"

// Counts are what an Outbox has counted since it was made.
type Counts struct {
	Appended uint64 // records that Next returned for the first time under their number
	Again    uint64 // how often Next returned records again
	Trips    Trips
}

// Counts returns what was counted so far.
func (o *Outbox) Counts() Counts { return o.counts }

// TripBounds are the upper bounds of the buckets of Trips. An election takes seconds, and on a
// network that is in order a record is back within milliseconds.
var TripBounds = [...]time.Duration{time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second}

// Trips count for how long records were under way, from their first append until they were read
// back.
type Trips struct {
	Buckets [len(TripBounds)]uint64 // trips of at most that long; longer ones are in none
	Count   uint64
	Sum     time.Duration
}

// add counts a trip.
func (t *Trips) add(d time.Duration) {
	t.Count++
	t.Sum += d
	for i, most := range TripBounds {
		if d <= most {
			t.Buckets[i]++
			return
		}
	}
}

// LogCounts are what a log counts for its one reader.
type LogCounts struct {
	ReadAgain  uint64 // records that the reader had missed and got from what the log keeps
	Behind     uint64 // records that are in the log and not reported yet, as far as is known
	Reconnects uint64 // how often the log was reached again
}
