//go:build linux

package load

import (
	"math/rand/v2"

	"switchyard/cmd/yardbench/histogram"
	"switchyard/cmd/yardbench/message"
)

// With a rate, a message has the time at which it was due, not the time at which it was sent. A hub
// that stalls for a second makes all messages of that second late, and the latencies show it; a
// generator that waited for the hub would send fewer and show one late message:
//
//	due        0 ms   10 ms   20 ms   30 ms …   the hub stands still from 5 ms to 1 s
//	sent       0 ms   1 s     1 s     1 s
//	latency    1 ms   990 ms  980 ms  970 ms

// A sender determines which messages of a connection are due when. It may be used by one
// goroutine at a time.
type sender struct {
	number uint32
	next   uint32 // Seq of the next message
	wire   *message.Wire

	window, batch uint32

	// Static with a rate.
	every  float64    // nanoseconds from one message to the next, or their mean
	random *rand.Rand // nil: equal steps
	// When the next message is due, in nanoseconds of the run's clock.
	due float64

	measured int64                // beginning of the measured span
	late     *histogram.Histogram // how much later than due messages were made, in the measured span
}

// newSender returns the sender of that number. Random steps have a seed of their own for each, so
// that a plan gives the same messages every time.
func newSender(p *Plan, w *message.Wire, number int, late *histogram.Histogram) *sender {
	s := &sender{number: uint32(number), wire: w, late: late, window: uint32(p.Window), batch: uint32(p.Batch)}
	if p.Rate > 0 {
		s.every = 1e9 * float64(p.Senders) / p.Rate
		if p.Random {
			s.random = rand.New(rand.NewPCG(uint64(number), uint64(p.Senders)))
		}
	}
	return s
}

// begin sets when a sender with a rate begins. Senders with equal steps begin one after
// the other, so that the messages of all senders come in equal steps.
func (s *sender) begin(at, measured int64, senders int) {
	s.measured = measured
	s.due = float64(at) + s.every*float64(s.number)/float64(senders)
	if s.random != nil {
		s.due = float64(at)
		s.step()
	}
}

// step moves due to the following message.
func (s *sender) step() {
	if s.random == nil {
		s.due += s.every
		return
	}
	s.due += s.every * s.random.ExpFloat64()
}

// appendDue appends the messages that are due now, up to the first one beyond limit bytes.
// The others keep the time at which they were due.
func (s *sender) appendDue(b []byte, now int64, limit int) []byte {
	for int64(s.due) <= now && len(b) < limit {
		if int64(s.due) >= s.measured {
			s.late.Add(now - int64(s.due))
		}
		b = s.wire.Append(b, message.Message{Sender: s.number, Seq: s.next, Due: int64(s.due)})
		s.next++
		s.step()
	}
	return b
}

// mayBatch reports whether the window has room for a batch, if all have received the
// messages below progress.
func (s *sender) mayBatch(progress uint32) bool {
	return s.next+s.batch <= min(progress, s.next)+s.window
}

// appendBatch appends a batch that is due now.
func (s *sender) appendBatch(b []byte, now int64) []byte {
	for range s.batch {
		b = s.wire.Append(b, message.Message{Sender: s.number, Seq: s.next, Due: now})
		s.next++
	}
	return b
}
