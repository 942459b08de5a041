package dialogue

import (
	"testing"
	"time"
)

func TestWatch(t *testing.T) {
	r := timers{5 * time.Second, 30 * time.Second, leastSlack}
	start := time.Now()
	at := func(seconds float64) time.Time { return start.Add(time.Duration(seconds * float64(time.Second))) }
	beats := func(seconds ...float64) (seen []arrival) {
		for _, s := range seconds {
			seen = append(seen, arrival{at(s), true})
		}
		return seen
	}
	for _, test := range []struct {
		name   string
		silent bool
		seen   []arrival
		closed float64 // 0: open until 36 s
		want   string
	}{
		{"as the original", false, beats(5, 11, 16, 22.1, 28, 33), 0, ""},
		{"silent", true, beats(5, 10, 15, 20, 25, 30), 30.9, ""},
		{"first too early", false, beats(4.5), 0, "heartbeat at 4.5s, only 4.5s after what was sent before it, want 5s"},
		{"first too late", false, beats(6.3), 0, "nothing was sent from 0s to 6.3s, want a heartbeat after 5s to 6.1s"},
		{"none", false, nil, 0, "nothing was sent from 0s to 36s"},
		{"too early after another PDU", false, []arrival{{at(3), false}, {at(5), true}}, 0, "heartbeat at 5s, only 2s after"},
		{"crossing another PDU", false, []arrival{{at(5), true}, {at(10), false}, {at(10.05), true}, {at(15), true}}, 0, "nothing was sent from 15s to 36s"},
		{"twice", false, beats(5, 5.05), 0, "heartbeat at 5.05s, only 50ms after"},
		{"behind another PDU", false, []arrival{{at(4), false}, {at(7), false}, {at(7.05), true}}, 0, "heartbeat at 7.05s, only 50ms after"},
		{"one left out", false, beats(5, 10, 20, 25, 30, 35), 0, "nothing was sent from 10s to 20s"},
		{"last left out", false, beats(5, 10, 15, 20, 25), 0, "nothing was sent from 25s to 36s"},
		{"none before the close", true, beats(5, 10, 15, 20), 30, "nothing was sent from 20s to 30s"},
		{"closed though sending", false, beats(5, 10), 12, "closed at 12s, though it was sending"},
		{"closed too early", true, beats(5, 10, 15, 20, 25), 29.5, "closed at 29.5s, want 30s to 31.1s"},
		{"closed too late", true, beats(5, 10, 15, 20, 25, 30), 32, "closed at 32s, want 30s to 31.1s"},
		{"never closed", true, beats(5, 10, 15, 20, 25, 30, 35), 0, "still open at 36s, want it closed at 30s"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := watch{silent: test.silent, opened: start, seen: test.seen, until: at(36)}
			if test.closed != 0 {
				w.closed = at(test.closed)
			}
			check(t, w.check(r), test.want)
		})
	}
}
