package cluster

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"switchyard/proxy/order"
)

// Operators are told once that the bus is away, and why, and once that it is back.
func TestBusAwayIsLogged(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.hub(1)
		a.log.Cut()
		time.Sleep(3 * time.Second)
		if !a.lines.Has("level=WARN", "the bus does not answer", "the bus is not reached") || a.lines.Has("answers again") {
			t.Errorf("logged\n%s", a.lines)
		}
		a.log.Heal()
		time.Sleep(3 * time.Second)
		for _, line := range []string{"the bus does not answer", "the bus answers again"} {
			if n := strings.Count(a.lines.String(), line); n != 1 {
				t.Errorf("%q was logged %d times, want 1\n%s", line, n, a.lines)
			}
		}
	})
}

// A hub of a release that does not fit is named by the members that do not let it in, once for each
// process, and by itself.
func TestDisagreementIsLogged(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.hub(1)
		other := w.bus.Conn()
		defer other.Close()
		later := order.Facts{Formats: order.Range{Least: 2, Most: 3}, Rules: order.Range{Least: rules, Most: rules}, Process: 77, Name: "later"}
		for incarnation := range uint32(3) {
			enter := order.Record{Kind: order.Enter, Origin: order.Origin{Hub: 9, Incarnation: incarnation}, Number: 1, After: a.member.Status().Position, Facts: later}
			other.Append(enter.Append(nil))
			synctest.Wait()
		}
		if n := strings.Count(a.lines.String(), "a hub cannot enter"); n != 1 || !a.lines.Has("bring all hubs to one release", "hub=9", "name=later", "formats=2-3") {
			t.Errorf("logged %d times, want 1\n%s", n, a.lines)
		}
		a.close()
		b := w.start(2) // finds the later hub only
		for i := range 15 {
			beat := order.Record{Kind: order.Beat, Origin: order.Origin{Hub: 9, Incarnation: 3}, Number: uint64(i + 2), Facts: later}
			other.Append(beat.Append(nil))
			time.Sleep(time.Second)
		}
		if n := strings.Count(b.lines.String(), "this hub cannot enter"); n != 1 || !b.lines.Has("bring all hubs to one release", "hub=9", "formats=2-3", "own_formats=1-1") {
			t.Errorf("logged %d times, want 1\n%s", n, b.lines)
		}
	})
}
