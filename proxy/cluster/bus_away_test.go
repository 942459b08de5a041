package cluster

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"switchyard/proxy/order"
	"switchyard/proxy/order/ordertest"
)

// The users of a hub that is killed are offline for the others after MemberTimeout, and nobody is
// told.
func TestKilledHubIsGone(t *testing.T) {
	inWorld(t, func(w *world) {
		all := w.hubs(3)
		p, q, r := all[0].peer(), all[1].peer(), all[2].peer()
		p.say(online(1))
		q.say(online(2))
		synctest.Wait()
		all[0].kill()
		time.Sleep(4 * time.Second)
		r.online(true, true)
		time.Sleep(3 * time.Second)
		r.online(false, true)
		q.online(false, true)
		for _, n := range all[1:] {
			if s := n.member.Status(); s.Gone != 1 || len(s.Members) != 2 {
				t.Errorf("hub %d counts %d hubs gone and has %d members", n.log.hub, s.Gone, len(s.Members))
			}
		}
		w.sameTables()
	})
}

// A hub that is cut off for longer than MemberTimeout enters again, and nothing that its peers said
// meanwhile is lost or doubled.
func TestCutOff(t *testing.T) {
	inWorld(t, func(w *world) {
		all := w.hubs(3)
		p, q, r := all[0].peer(), all[1].peer(), all[2].peer()
		p.say(online(1))
		q.say(online(2))
		all[0].log.Cut()
		p.say(message(others, "cut off"))
		q.say(message(others, "hello"))
		p.expect()
		r.expect(message(others, "hello"))
		time.Sleep(8 * time.Second)
		r.online(false, true)
		q.say(message(others, "after it was gone"))
		r.expect(message(others, "after it was gone"))
		all[0].log.Heal()
		time.Sleep(2 * time.Second)
		p.expect(message(others, "hello"), message(others, "after it was gone"))
		r.expect(message(others, "cut off"))
		all[0].expect(Together)
		for _, one := range []*peer{p, q, r} {
			one.online(true, true)
		}
		if n := all[0].member.Status().Entered["gone"]; n != 1 {
			t.Errorf("it has entered again %d times", n)
		}
		w.sameTables()
	})
}

// While the bus elects, all hubs wait: none is declared gone, and what was said arrives once.
func TestElection(t *testing.T) {
	inWorld(t, func(w *world) {
		all := w.hubs(3)
		p, q := all[0].peer(), all[1].peer()
		w.bus.SetFate(ordertest.Lost)
		for i := range 20 {
			p.say(message(others, fmt.Sprint(i)))
			time.Sleep(400 * time.Millisecond)
		}
		all[0].expect(Waiting)
		if all[0].tenant.Ready() == nil {
			t.Error("a hub that waits is ready")
		}
		w.bus.SetFate(nil)
		time.Sleep(5 * time.Second)
		var want [][]byte
		for i := range 20 {
			want = append(want, message(others, fmt.Sprint(i)))
		}
		q.expect(want...)
		for _, n := range all {
			n.expect(Together)
			if s := n.member.Status(); s.Gone > 0 || len(s.Members) != 3 {
				t.Errorf("hub %d counts %d gone, has %d members", n.log.hub, s.Gone, len(s.Members))
			}
		}
	})
}

// Without the bus a hub continues with its own peers, and comes back.
func TestAloneAndBack(t *testing.T) {
	inWorld(t, func(w *world) {
		all := w.hubs(2)
		p, p2, q := all[0].peer(), all[0].peer(), all[1].peer()
		p.say(online(1))
		q.say(online(2))
		synctest.Wait()
		all[0].log.Cut()
		all[1].log.Cut()
		p.say(message(others, "under way"))
		time.Sleep(25 * time.Second)
		all[0].expect(Alone)
		if err := all[0].tenant.Ready(); err != nil {
			t.Errorf("a hub that is alone is not ready: %v", err)
		}
		p2.expect(message(others, "under way"))
		p.say(message(others, "alone"), online(3))
		p2.expect(message(others, "alone"))
		p2.online(true, false, true)
		q.online(false, true, false)
		for _, n := range all {
			n.log.Heal()
		}
		time.Sleep(15 * time.Second)
		for _, n := range all {
			n.expect(Together)
		}
		q.take()
		p.say(message(others, "together"))
		q.expect(message(others, "together"))
		q.online(true, true, true)
		p2.online(true, true, true)
		if s := all[0].member.Status(); s.Alone != 1 || s.Entered["alone"] != 1 {
			t.Errorf("alone %d times, entered %v", s.Alone, s.Entered)
		}
		w.sameTables()
	})
}

// A hub that starts without the bus serves its peers alone.
func TestStartWithoutTheBus(t *testing.T) {
	inWorld(t, func(w *world) {
		w.bus.SetFate(ordertest.Lost)
		a := w.start(1)
		start := time.Now()
		<-a.entered
		if took := time.Since(start); took < 20*time.Second || took > 21*time.Second {
			t.Errorf("waited %v", took)
		}
		p, q := a.peer(), a.peer()
		p.say(message(others, "hello"))
		q.expect(message(others, "hello"))
		w.bus.SetFate(nil)
		time.Sleep(10 * time.Second)
		a.expect(Together)
		p.say(message(others, "again"))
		q.expect(message(others, "again"))
	})
}

// If somebody deletes the log, or all servers that had it in memory start again, all hubs enter
// again, and their peers stay.
func TestLogIsDeleted(t *testing.T) {
	for name, restart := range map[string]func(*ordertest.Bus){"deleted": (*ordertest.Bus).Recreate, "lost its content": (*ordertest.Bus).Empty} {
		t.Run(name, func(t *testing.T) { testLogIsGone(t, restart) })
	}
}

func testLogIsGone(t *testing.T, restart func(*ordertest.Bus)) {
	inWorld(t, func(w *world) {
		all := w.hubs(3)
		p, q := all[0].peer(), all[1].peer()
		p.say(online(1))
		q.say(online(2))
		synctest.Wait()
		time.Sleep(time.Minute)
		w.bus.SetFate(ordertest.Lost)
		time.Sleep(25 * time.Second)
		w.bus.SetFate(nil) // so that the tenant begins again at a high number
		time.Sleep(15 * time.Second)
		restart(w.bus)
		time.Sleep(12 * time.Second)
		for _, n := range all {
			n.expect(Together)
			if s := n.member.Status(); s.FellOut[order.OtherLog] != 1 {
				t.Errorf("hub %d fell out %v", n.log.hub, s.FellOut)
			}
		}
		p.say(message(others, "hello"))
		q.expect(message(others, "hello"))
		q.online(true, true)
		w.sameTables()
	})
}

// A hub that reads so slowly that the log has discarded what comes next enters again. What its peers
// said counts once.
func TestFallsBehind(t *testing.T) {
	inWorld(t, func(w *world) {
		all := w.hubs(2)
		p, q, q2 := all[0].peer(), all[1].peer(), all[1].peer()
		p.say(online(1))
		q.say(online(2))
		synctest.Wait()
		all[1].log.set(func() { all[1].log.stalled = true })
		q.say(message(others, "once"))
		q.say(online(3))
		for i := range 20 {
			p.say(message(others, fmt.Sprint(i)))
		}
		synctest.Wait()
		w.bus.Discard()
		all[1].log.set(func() { all[1].log.stalled = false })
		time.Sleep(3 * time.Second)
		all[1].expect(Together)
		if got := q2.take(); countOf(got, message(others, "once")) != 1 {
			t.Errorf("a peer of the same hub got it %d times", countOf(got, message(others, "once")))
		}
		if got := p.take(); countOf(got, message(others, "once")) != 1 {
			t.Errorf("a peer of the other hub got it %d times", countOf(got, message(others, "once")))
		}
		p.online(true, true, true)
		q.online(true, true, true)
		w.sameTables()
	})
}

// Whatever the bus loses or doubles, all peers get everything once, in one order.
func TestLossyBus(t *testing.T) {
	inWorld(t, func(w *world) {
		w.settings = func(s *Settings) { s.AloneAfter = 0 } // a hub that loses that much may be silent for long
		all := w.hubs(3)
		var peers []*peer
		for _, n := range all {
			peers = append(peers, n.peer())
		}
		random := rand.New(rand.NewPCG(1, 2))
		w.bus.SetFate(func([]byte) (copies int, delay time.Duration) {
			return []int{0, 1, 1, 1, 2}[random.IntN(5)], time.Duration(random.IntN(20)) * time.Millisecond
		})
		for i := range 200 {
			for j, p := range peers {
				p.say(message(everyone, fmt.Sprintf("%d from %d", i, j)))
			}
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(30 * time.Second)
		w.bus.SetFate(nil)
		time.Sleep(time.Minute)
		first := peers[0].take()
		for i, p := range peers {
			got := first
			if i > 0 {
				got = p.take()
			}
			if string(got) != string(first) {
				t.Errorf("peer %d got other bytes than peer 0; its hub entered %v, that of peer 0 %v", i, all[i].member.Status().Entered, all[0].member.Status().Entered)
			}
		}
		for i := range 200 {
			for j := range peers {
				if n := countOf(first, message(everyone, fmt.Sprintf("%d from %d", i, j))); n != 1 {
					t.Errorf("%d from %d came %d times", i, j, n)
				}
			}
		}
	})
}

// A bus that takes nothing, so that whoever appends is blocked, is like none.
func TestBusTakesNothing(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.hub(1)
		p, q := a.peer(), a.peer()
		a.log.set(func() { a.log.blocked = true })
		time.Sleep(25 * time.Second)
		a.expect(Alone)
		p.say(message(others, "alone"))
		q.expect(message(others, "alone"))
		a.log.set(func() { a.log.blocked = false })
		time.Sleep(15 * time.Second)
		a.expect(Together)
	})
}
