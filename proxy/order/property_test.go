package order_test

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"switchyard/pdu"
	"switchyard/proxy/order"
	"switchyard/proxy/order/ordertest"
)

var trouble = ordertest.Trouble{Lose: 0.03, Double: 0.05, Delay: 0.03, Most: 300 * time.Millisecond}

// check compares what counted with what was said: of each process, all messages once and in order,
// or their beginning if the process was killed.
func (w *world) check() {
	w.Helper()
	positions := slices.Concat(slices.Collect(maps.Keys(w.counted)), slices.Collect(maps.Keys(w.forgotten)))
	slices.SortFunc(positions, func(a, b order.Position) int {
		return cmp.Or(cmp.Compare(a.Epoch, b.Epoch), cmp.Compare(a.Sequence, b.Sequence))
	})
	last := make(map[uint64]uint64)
	forgetful := make(map[uint64]bool)
	for _, at := range positions {
		if process := w.forgotten[at]; process != 0 {
			forgetful[process] = true
		}
		r := w.counted[at]
		if len(r.Runs) == 0 {
			continue
		}
		body := r.Runs[0].Bytes[pdu.HeaderLen:]
		process, message := binary.BigEndian.Uint64(body), binary.BigEndian.Uint64(body[8:])
		if message != last[process]+1 && !(forgetful[process] && message <= last[process]) {
			w.logHubs()
			w.Fatalf("at %v message %d of process %d counts after %d", at, message, process, last[process])
		}
		last[process] = message
		delete(forgetful, process)
	}
	for _, h := range w.hubs {
		if !h.over && last[h.process] != w.said[h.process] {
			w.Errorf("hub %d has said %d messages, %d count; it entered %q", h.number, w.said[h.process], last[h.process], h.whys)
		}
	}
}

// Whatever the log loses, doubles and delays, all hubs count the same, and all that was said, once
// and in order. What is appended stays below three times what counts.
func TestOneOrder(t *testing.T) { oneOrder(t, 0, 5) }

func oneOrder(t *testing.T, from, to uint64) {
	for seed := from; seed < to; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := newWorld(t, seed)
			w.log.Latency = time.Duration(w.random.Int64N(int64(50 * time.Millisecond)))
			w.log.Trouble, w.long, w.messages = trouble, seed%4 == 0, 1+int(seed%3)*3
			for n := range uint16(1 + w.random.UintN(5)) {
				w.start(n + 1)
			}
			w.run(10 * time.Second)
			appended, head := w.log.Appended, len(w.counted)
			w.calm()
			w.check()
			if w.founded != 1 {
				t.Errorf("the tenant began %d times", w.founded)
			}
			if !w.long && appended > 3*head {
				t.Errorf("%d appends for %d records that count", appended, head)
			}
			if head < 150 {
				t.Errorf("only %d records count", head)
			}
		})
	}
}

// A hub whose table has become another one notices, and enters again; the others do not.
func TestDamagedTable(t *testing.T) {
	for damaged := range 3 {
		w := newWorld(t, uint64(damaged))
		for n := range uint16(3) {
			w.start(n + 1)
		}
		w.run(5 * time.Second)
		entered := w.entered
		w.hubs[damaged].wrong = true
		w.run(10 * time.Second)
		for i, h := range w.hubs {
			if h.wrong {
				t.Errorf("hub %d has not noticed that its table is wrong", h.number)
			}
			if h.members.Mismatches() == 0 && i != damaged {
				t.Errorf("hub %d has not noticed that the tables differ", h.number)
			}
		}
		if w.entered != entered+1 {
			t.Errorf("%d hubs entered again, want 1", w.entered-entered)
		}
		w.calm()
		w.check()
	}
}
