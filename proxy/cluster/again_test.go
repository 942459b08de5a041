package cluster

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"switchyard/pdu"
	"switchyard/proxy/order"
	"switchyard/proxy/order/ordertest"
)

// What is under way when a member enters again, and counts before its Enter, reaches everybody once.
func TestEnterAgainUnderTraffic(t *testing.T) {
	inWorld(t, func(w *world) {
		all := w.hubs(3)
		p, q, r := all[0].peer(), all[2].peer(), all[2].peer()
		all[2].tenant.Ordered(func() {
			all[2].tenant.Hub().Apply(&order.Record{Kind: order.Batch, Origin: order.Origin{Hub: 1}, Session: 1<<40 + 1,
				Runs: []order.Run{{Verdict: rulesOfWorld[pdu.CID_OTHER_ONLINE_USER_INFO], PDUs: 1, Bytes: online(2)}}})
		})
		w.bus.SetFate(func([]byte) (copies int, delay time.Duration) { return 1, 55 * time.Millisecond })
		var want [][]byte
		for i := 0; i < 1000 && all[2].member.Status().Entered["table"] == 0; i++ {
			want = append(want, message(others, fmt.Sprint(i)))
			q.say(want[i])
			time.Sleep(10 * time.Millisecond)
		}
		w.bus.SetFate(nil)
		time.Sleep(20 * time.Second)
		if s := all[2].member.Status(); s.Entered["table"] != 1 {
			t.Errorf("entered %v", s.Entered)
		}
		p.expect(want...)
		r.expect(want...)
		w.sameTables()
	})
}

// Records that somebody else says in a hub's name do not keep the hub from being heard for long,
// although all hubs count them in the place of its own.
func TestForgedRecords(t *testing.T) {
	type forging = func(own order.Member) []order.Record
	session := uint64(1<<40 + 1)
	for _, c := range []struct {
		name  string
		forge forging
		again uint64 // how often the hub enters again
	}{
		{"a part that is broken", func(own order.Member) []order.Record {
			return []order.Record{{Kind: order.Part, Number: own.Next, Left: 1<<32 - 1, Piece: []byte("x")}}
		}, 0},
		{"ahead", func(own order.Member) []order.Record {
			return []order.Record{{Kind: order.Left, Number: own.Next + 2, Session: session}}
		}, 0},
		{"repeated", func(own order.Member) []order.Record {
			return []order.Record{{Kind: order.Left, Number: own.Next - 1, Session: session}}
		}, 0},
		{"other", func(own order.Member) []order.Record {
			return []order.Record{{Kind: order.Left, Number: own.Next, Session: 1<<40 + 99}}
		}, 1},
		{"not said yet", func(own order.Member) (all []order.Record) {
			for n := range uint64(5) {
				all = append(all, order.Record{Kind: order.Left, Number: own.Next + n, Session: 1<<40 + 99})
			}
			return all
		}, 1},
		{"a part", func(own order.Member) []order.Record {
			return []order.Record{{Kind: order.Part, Number: own.Next, Left: 100, Piece: []byte("x")}}
		}, 1},
		{"another incarnation", func(own order.Member) []order.Record {
			facts := own.Facts
			return []order.Record{{Kind: order.Enter, Origin: order.Origin{Hub: 1, Incarnation: own.Incarnation + 1}, Number: 1, Facts: facts}}
		}, 1},
	} {
		t.Run(c.name, func(t *testing.T) { testForged(t, c.forge, c.again) })
	}
}

func testForged(t *testing.T, forge func(order.Member) []order.Record, again uint64) {
	inWorld(t, func(w *world) {
		w.settings = func(s *Settings) { s.AloneAfter = 0 }
		all := w.hubs(2)
		a, b := all[0], all[1]
		p, o, q := a.peer(), a.peer(), b.peer()
		p.say(online(1))
		q.online(true)
		time.Sleep(2*time.Second + tickTime/2) // no beat is due
		synctest.Wait()
		forger := w.bus.Conn()
		defer forger.Close()
		s, err := a.member.Fresh(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		w.bus.SetFate(ordertest.Lost)
		p.say(message(others, "under way"))
		synctest.Wait()
		w.bus.SetFate(nil)
		for _, r := range forge(s.Members[0]) {
			if r.Origin == (order.Origin{}) {
				r.Origin = s.Origin
			}
			r.After = s.Position
			forger.Append(r.Append(nil))
		}
		time.Sleep(10 * time.Second)
		a.expect(Together)
		b.expect(Together)
		if s := a.member.Status(); s.Entered["ignored"] != again {
			t.Errorf("entered %v, ignored %v, want %d for what was ignored", s.Entered, s.Ignored, again)
		}
		o.expect(message(others, "under way"))
		q.take() // which may lack it
		p.say(message(others, "hello"))
		q.expect(message(others, "hello"))
		o.expect(message(others, "hello"))
		o.online(true)
		q.online(true)
		if n := a.tenant.Hub().UnderwayBytes(); n > 0 {
			t.Errorf("%d bytes are left under way", n)
		}
		w.sameTables()
	})
}
