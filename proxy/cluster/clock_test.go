package cluster

import (
	"testing"
	"time"

	"switchyard/proxy/order"
	"switchyard/proxy/order/ordertest"
)

// The clocks of the bus's servers differ by hours. When another one leads, and a hub enters right then,
// nobody takes the members for silent: none is declared gone, and the tenant does not begin again.
func TestClocksOfTheBus(t *testing.T) {
	inWorld(t, func(w *world) {
		w.settings = func(s *Settings) { s.MemberTimeout = memberTimeout }
		a, b := w.hub(1), w.hub(2)
		p, q := a.peer(), b.peer()
		p.say(online(1))
		for i, ahead := range []time.Duration{5 * time.Hour, -7 * time.Hour, 1000 * time.Hour} {
			time.Sleep(3 * time.Second)
			w.bus.SetFate(ordertest.Lost)
			time.Sleep(2 * time.Second)
			w.bus.SetClock(ahead)
			w.bus.SetFate(func(record []byte) (copies int, delay time.Duration) {
				if r, _ := order.Parse(record); r.Hub < 3 {
					delay = 100 * time.Millisecond // so that those who enter are the first
				}
				return 1, delay
			})
			n := w.hub(uint16(3 + i))
			n.peer().online(true)
			w.bus.SetFate(nil)
			time.Sleep(3 * time.Second)
			p.say(message(others, "hello"))
			q.expect(message(others, "hello"))
		}
		for _, n := range w.nodes {
			if s := n.member.Status(); s.Gone > 0 || len(s.Entered) > 1 || s.Entered["start"] != 1 || len(s.Members) != 5 {
				t.Errorf("hub %d counts %d hubs gone, has %d members and has entered %v", n.log.hub, s.Gone, len(s.Members), s.Entered)
			}
			n.expect(Together)
		}
		w.sameTables()
	})
}
