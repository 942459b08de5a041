//go:build full || race

package order_test

import (
	"fmt"
	"testing"
	"time"
)

// The same while hubs are killed, stand still, miss parts of the log, come and go, and while the bus
// takes nothing for a time.
func TestOneOrderThroughIncidents(t *testing.T) { throughIncidents(t, 0, 5) }

// incident does one of the things that happen to hubs and to their log.
func (w *world) incident() {
	h := w.hubs[w.random.IntN(len(w.hubs))]
	after := time.Duration(w.random.Int64N(int64(12 * time.Second)))
	switch w.random.IntN(8) {
	case 0, 1: // it stands still, perhaps until it is gone
		h.stalled = w.now.Add(after)
	case 2: // it is killed, and a new process has its number
		if !h.over {
			h.over = true
			w.start(h.number).stalled = w.now.Add(after)
		}
	case 3: // the bus elects
		w.log.Halted = true
	case 4:
		w.log.Halted = false
	case 5: // it misses a part of the log
		if !h.over {
			h.begin("fell out")
		}
	case 6: // it leaves, for a while
		if !h.over && len(w.hubs) < 10 {
			h.leaving = true
			w.start(uint16(10 + len(w.hubs))).stalled = w.now.Add(after)
		}
	case 7: // a new one
		if len(w.hubs) < 8 {
			w.start(uint16(20 + len(w.hubs)))
		}
	}
}

func throughIncidents(t *testing.T, from, to uint64) {
	for seed := from; seed < to; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := newWorld(t, seed)
			w.log.Latency, w.long, w.messages = 5*time.Millisecond, seed%4 == 0, 1+int(seed%3)
			w.log.Trouble = trouble
			for n := range uint16(1 + w.random.UintN(4)) {
				w.start(n + 1)
			}
			w.run(2 * time.Second)
			for range 20 {
				w.incident()
				w.run(time.Duration(w.random.Int64N(int64(4 * time.Second))))
			}
			w.calm()
			w.check()
		})
	}
}
