// Package ordertest has logs in memory that do to records what a bus may do: a Log for tests in fake
// time, and a Bus for tests with goroutines.
package ordertest

import (
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"switchyard/proxy/order"
)

// A Trouble is what happens to appends, each with its probability.
type Trouble struct {
	Lose   float64
	Double float64
	Delay  float64       // so that others overtake it
	Most   time.Duration // of a delay
}

// A Log is one order of records, in fake time. Appends take Latency, and those that are delayed more.
// A Log without Rate takes any number at once; one with it takes so many bytes in a second, one
// append after the other. It is not safe for concurrent use.
type Log struct {
	Trouble  Trouble
	Latency  time.Duration
	Rate     int
	Halted   bool // appends are lost, as while the bus elects
	Appended int  // how many appends there were
	Bytes    int  // and of how many bytes

	random  *rand.Rand
	epoch   int64
	entries []order.Entry
	coming  []arrival
	busy    time.Time // until when the appends so far keep the log busy, if it has a Rate
}

type arrival struct {
	at     time.Time
	record []byte
}

// NewLog returns an empty log. What happens follows from the seed.
func NewLog(seed uint64) *Log {
	return &Log{random: rand.New(rand.NewPCG(seed, 0)), epoch: 1}
}

// Append takes a copy of the record. It gets a place by Settle.
func (l *Log) Append(now time.Time, record []byte) {
	l.Appended++
	l.Bytes += len(record)
	copies := 1
	switch p := l.random.Float64(); {
	case l.Halted || p < l.Trouble.Lose:
		return
	case p < l.Trouble.Lose+l.Trouble.Double:
		copies = 2
	}
	for range copies {
		at := now
		if l.Rate > 0 {
			if l.busy.After(at) {
				at = l.busy
			}
			at = at.Add(time.Duration(len(record)) * time.Second / time.Duration(l.Rate))
			l.busy = at
		}
		at = at.Add(l.Latency)
		if l.random.Float64() < l.Trouble.Delay {
			at = at.Add(time.Duration(l.random.Int64N(int64(l.Trouble.Most))))
		}
		l.coming = append(l.coming, arrival{at, slices.Clone(record)})
	}
}

// Settle gives a place to what has arrived by now.
func (l *Log) Settle(now time.Time) {
	slices.SortStableFunc(l.coming, func(a, b arrival) int { return a.at.Compare(b.at) })
	n := 0
	for ; n < len(l.coming) && !l.coming[n].at.After(now); n++ {
		place := order.Position{Epoch: l.epoch, Sequence: l.Head().Sequence + 1}
		l.entries = append(l.entries, order.Entry{Position: place, At: l.coming[n].at, Record: l.coming[n].record})
	}
	l.coming = slices.Delete(l.coming, 0, n)
}

// Head returns the last position.
func (l *Log) Head() order.Position {
	return order.Position{Epoch: l.epoch, Sequence: uint64(len(l.entries))}
}

// Read returns the entries behind a position of this log.
func (l *Log) Read(after order.Position) []order.Entry { return l.entries[after.Sequence:] }

// Last returns the last record of each hub.
func (l *Log) Last() []order.Entry { return lastOfEach(l.entries) }

// Recreate makes the log another one, which is empty. What has not arrived arrives there.
func (l *Log) Recreate() { l.epoch, l.entries = l.epoch+1, nil }

// lastOfEach returns the last entry of each hub, in their order.
func lastOfEach(entries []order.Entry) (last []order.Entry) {
	seen := make(map[uint16]bool)
	for _, e := range slices.Backward(entries) {
		if r, err := order.Parse(e.Record); (err == nil || errors.Is(err, order.ErrFormat)) && !seen[r.Hub] {
			seen[r.Hub] = true
			last = append(last, e)
		}
	}
	slices.Reverse(last)
	return last
}
