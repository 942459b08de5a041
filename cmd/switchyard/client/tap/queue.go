package tap

import (
	"bytes"
	"sync"
	"time"

	"switchyard/cmd/switchyard/client"
)

// maxQueued is the size of the lines that may wait to be printed, in bytes.
const maxQueued = 8 << 20

// lineCost is roughly what a line takes beside its text, in bytes.
const lineCost = 512

// An entry is a line, or the number of PDUs whose lines were missed.
type entry struct {
	line   *client.TapLine // nil if PDUs were missed
	missed uint64
	time   time.Time
	cost   int
}

// The tap must read as fast as the server sends, because the server drops PDUs that a tap does not
// read. What the tap prints to may block, for example a pager. So two goroutines share a queue of
// bounded size:
//
//	server ──▶ read ──put, miss──▶ queue ──take──▶ print ──▶ terminal, file, pipe
//	                    full? ──▶ counted, as one entry in place of all that were missed
//
// Entries of missed PDUs join the last one, so they cannot fill the queue themselves.

// A queue holds what is to be printed. One goroutine calls put, miss and end, which never
// block; another calls take.
type queue struct {
	mu      sync.Mutex // guards what follows
	more    *sync.Cond // signals a new entry, or the end
	entries []entry
	cost    int
	ended   error // why there will be no further entry; nil before
}

func newQueue() *queue {
	q := new(queue)
	q.more = sync.NewCond(&q.mu)
	return q
}

// put adds a line, with a copy of its text. If the queue is full, the PDU is missed.
func (q *queue) put(l *client.TapLine) {
	cost := lineCost + 4*len(l.Text) // Text, and the fields decoded from it
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.cost+cost > maxQueued && len(q.entries) > 0 {
		q.missLocked(l.Time, 1)
		return
	}
	l.Text = bytes.Clone(l.Text)
	q.entries = append(q.entries, entry{line: l, cost: cost})
	q.cost += cost
	q.more.Signal()
}

// miss records that n PDUs were missed.
func (q *queue) miss(at time.Time, n uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.missLocked(at, n)
}

// missLocked is miss while mu is held.
func (q *queue) missLocked(at time.Time, n uint64) {
	if last := len(q.entries) - 1; last >= 0 && q.entries[last].line == nil {
		q.entries[last].missed += n
		return
	}
	q.entries = append(q.entries, entry{missed: n, time: at})
	q.more.Signal()
}

// end makes take return err once the queue is empty.
func (q *queue) end(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ended = err
	q.more.Signal()
}

// take waits for entries and returns all of them, or the error of end.
func (q *queue) take() ([]entry, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.entries) == 0 {
		if q.ended != nil {
			return nil, q.ended
		}
		q.more.Wait()
	}
	all := q.entries
	q.entries, q.cost = nil, 0
	return all, nil
}
