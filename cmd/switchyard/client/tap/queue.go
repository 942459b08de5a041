package tap

import (
	"bytes"
	"sync"
	"time"

	"switchyard/cmd/switchyard/client"
)

// room is how many bytes of lines wait for being printed at most.
const room = 8 << 20

// lineCost is what a line takes beside its texts, about, in bytes.
const lineCost = 512

// An entry is a line, or PDUs of which there is none.
type entry struct {
	line   *client.TapLine // nil: missed
	missed uint64
	time   time.Time
	cost   int
}

// A queue holds what is to be printed. One goroutine puts, which never waits; another
// takes.
type queue struct {
	mu      sync.Mutex // guards what follows
	more    *sync.Cond // there is a further entry, or the end
	entries []entry
	cost    int
	ended   error
}

func newQueue() *queue {
	q := new(queue)
	q.more = sync.NewCond(&q.mu)
	return q
}

// put adds a line, of which it keeps a copy of the text. If there is no room, the PDU is
// missed.
func (q *queue) put(l *client.TapLine) {
	cost := lineCost + 4*len(l.Text) // the text, and what was made of it
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.cost+cost > room && len(q.entries) > 0 {
		q.missLocked(l.Time, 1)
		return
	}
	l.Text = bytes.Clone(l.Text)
	q.entries = append(q.entries, entry{line: l, cost: cost})
	q.cost += cost
	q.more.Signal()
}

// miss adds that n PDUs were missed.
func (q *queue) miss(at time.Time, n uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.missLocked(at, n)
}

func (q *queue) missLocked(at time.Time, n uint64) {
	if last := len(q.entries) - 1; last >= 0 && q.entries[last].line == nil {
		q.entries[last].missed += n
		return
	}
	q.entries = append(q.entries, entry{missed: n, time: at})
	q.more.Signal()
}

// end says that nothing follows, and why.
func (q *queue) end(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ended = err
	q.more.Signal()
}

// take waits for entries and returns all there are, or how it has ended.
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
