package cluster

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"switchyard/pdu"
	"switchyard/pdu/pdutest"
	"switchyard/proxy/order"
	"switchyard/proxy/order/ordertest"
)

// The log is lost, and one hub after the other notices. What the peers of each say meanwhile reaches
// all others, once and in order.
func TestNothingIsLostWithTheLog(t *testing.T) {
	for name, lose := range map[string]func(*ordertest.Bus){"deleted": (*ordertest.Bus).Recreate, "empty": (*ordertest.Bus).Empty} {
		t.Run(name, func(t *testing.T) { testLostUnderTraffic(t, lose) })
	}
}

func testLostUnderTraffic(t *testing.T, lose func(*ordertest.Bus)) {
	inWorld(t, func(w *world) {
		all := w.hubs(3)
		var talkers, listeners []*peer
		for _, n := range all {
			talkers, listeners = append(talkers, n.peer()), append(listeners, n.peer())
		}
		time.Sleep(time.Second)
		said := 0
		talk := func(d time.Duration) {
			for range d / (50 * time.Millisecond) {
				for i, p := range talkers {
					p.say(message(others, fmt.Sprint(i, " ", said)))
				}
				said++
				time.Sleep(50 * time.Millisecond)
			}
		}
		talk(time.Second)
		for i, n := range all[1:] {
			n.log.set(func() { n.log.stalled = true })
			time.AfterFunc(time.Duration(i+1)*time.Second, func() { n.log.set(func() { n.log.stalled = false }) })
		}
		w.bus.SetFate(func(record []byte) (copies int, delay time.Duration) {
			if r, _ := order.Parse(record); r.Kind == order.Enter {
				delay = 50 * time.Millisecond // so that a hub that begins the tenant again could say much before
			}
			return 1, delay
		})
		lose(w.bus)
		talk(8 * time.Second)
		time.Sleep(2 * time.Second)
		for i, p := range listeners {
			next := make([]int, len(talkers))
			for _, one := range pdutest.Split(p.take()) {
				var who, number int
				fmt.Sscanf(string(one[pdu.HeaderLen:]), "%d %d", &who, &number)
				if number != next[who] {
					t.Fatalf("a peer of hub %d heard message %d of hub %d, want %d", i+1, number, who+1, next[who])
				}
				next[who]++
			}
			if slices.Min(next) != said {
				t.Errorf("a peer of hub %d heard %d messages of each hub, want %d", i+1, next, said)
			}
		}
		for _, n := range all {
			if n.expect(Together); n.member.Status().Entered["fell-out"] != 1 {
				t.Errorf("entered %v", n.member.Status().Entered)
			}
		}
		w.sameTables()
		if n := w.joinedFirst(); n != len(talkers)+len(listeners) {
			t.Errorf("%d sessions have joined before somebody speaks, want all", n)
		}
	})
}

// joinedFirst returns how many sessions have joined before the first batch that counts.
func (w *world) joinedFirst() int {
	entered, joined := make(map[order.Origin]bool), make(map[uint64]bool)
	for _, e := range w.bus.Entries() {
		switch r, _ := order.Parse(e.Record); {
		case r.Kind == order.Enter:
			entered[r.Origin] = true
		case r.Kind == order.Joined:
			joined[r.Session] = true
		case r.Kind == order.Batch && entered[r.Origin]:
			return len(joined)
		}
	}
	return len(joined)
}

// A hub that was a member of a lost log and does not come back holds up the others for a while only. Until
// then they cannot move to other processes.
func TestLostLogAndHub(t *testing.T) {
	inWorld(t, func(w *world) {
		w.settings = func(s *Settings) { s.AloneAfter = 0 }
		all := w.hubs(3)
		p, q := all[0].peer(), all[1].peer()
		all[2].kill()
		w.bus.Recreate()
		p.say(message(others, "hello"))
		time.Sleep(time.Second)
		for _, n := range all[:2] {
			for n.member.Status().State != Together {
				time.Sleep(tickTime)
			}
			if err := n.member.Movable(); err == nil || !strings.Contains(err.Error(), "waits for others") {
				t.Errorf("hub %d can move: %v", n.log.hub, err)
			}
		}
		time.Sleep(30 * time.Second)
		q.expect(message(others, "hello"))
		if err := all[0].member.Movable(); err != nil {
			t.Error(err)
		}
	})
}
