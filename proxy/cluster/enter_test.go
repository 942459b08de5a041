package cluster

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"switchyard/proxy/order"
	"switchyard/proxy/order/ordertest"
)

// Two fresh hubs that enter at once end with one state, whichever of them begins it.
func TestTwoEnterAtOnce(t *testing.T) {
	inWorld(t, func(w *world) {
		w.bus.SetFate(ordertest.Lost)
		a, b, c := w.start(2), w.start(1), w.start(3)
		synctest.Wait()
		w.bus.SetFate(nil)
		for _, n := range []*node{a, b, c} {
			<-n.entered
			n.expect(Together)
		}
		p, q := a.peer(), c.peer()
		p.say(message(others, "hello"))
		q.expect(message(others, "hello"))
	})
}

// Hubs that want to enter wait for those that are there. If these are gone and did not say so, and
// all others wait for each other, one of them begins again.
func TestEnterAfterACrashOfAll(t *testing.T) {
	inWorld(t, func(w *world) {
		for _, n := range w.hubs(3) {
			n.kill()
		}
		start := time.Now()
		a, b := w.start(2), w.start(1)
		for _, n := range []*node{a, b} {
			<-n.entered
			n.expect(Together)
		}
		if took := time.Since(start); took > 20*time.Second {
			t.Errorf("took %v", took)
		}
		p, q := a.peer(), b.peer()
		p.say(message(others, "hello"))
		q.expect(message(others, "hello"))
	})
}

// The state has every user, and what was said while it was on its way is applied after it.
func TestEnterWhileOthersTalk(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.hub(1)
		p := a.peer()
		many := make([]uint32, 100_000)
		for i := range many {
			many[i] = uint32(i + 1000)
		}
		p.say(online(many...), online(1, 2))
		a.log.set(func() { a.log.mute = true })
		b := w.start(2)
		synctest.Wait()
		p.say(online(3))
		time.Sleep(answerTime / 2)
		a.log.set(func() { a.log.mute = false })
		<-b.entered
		q := b.peer()
		q.online(true, true, true, false)
		p.online(true, true, true, false)
		w.sameTables()
	})
}

// If the donor dies before the state has been sent, another one sends it.
func TestDonorDies(t *testing.T) {
	inWorld(t, func(w *world) {
		all := w.hubs(2)
		q := all[1].peer()
		q.say(online(1))
		all[0].log.set(func() { all[0].log.mute = true })
		c := w.start(3)
		synctest.Wait()
		all[0].kill()
		<-c.entered
		c.expect(Together)
		c.peer().online(true)
	})
}

// A donor that lives and sends nothing does not keep a hub out for ever: it continues alone.
func TestDonorIsSilent(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.hub(1)
		a.log.set(func() { a.log.mute = true })
		b := w.start(2)
		if err := b.tenant.Ready(); err == nil || !strings.HasPrefix(err.Error(), "this hub is entering the cluster") {
			t.Errorf("a hub that has not entered is ready, or says no proper reason: %v", err)
		}
		<-b.entered
		b.expect(Alone)
		a.log.set(func() { a.log.mute = false })
		time.Sleep(10 * time.Second)
		b.expect(Together)
	})
}

// A hub that can use no state asks for one every few seconds, and continues alone meanwhile. What it would
// say as a member is not kept for each try.
func TestStateIsRefused(t *testing.T) {
	inWorld(t, func(w *world) {
		all := w.hubs(2)
		a, b := all[0], all[1]
		p, q := a.peer(), b.peer()
		p.say(online(1))
		q.say(online(2))
		a.log.set(func() { a.log.cuts, a.log.states = true, 0 })
		b.log.FallOut(order.Overtaken)
		for range 18 {
			time.Sleep(time.Second)
			if s := b.member.Status(); s.UnderwayRecords > 3 { // Enter, and a beat for each second that it waits
				t.Fatalf("%d records of a hub that waits for the state are under way", s.UnderwayRecords)
			}
		}
		a.log.set(func() {
			if a.log.states == 0 || a.log.states > 5 {
				t.Errorf("the donor has sent %d states, want one every %v", a.log.states, answerTime)
			}
		})
		time.Sleep(10 * time.Second)
		b.expect(Alone)
		q.online(false, true)
		a.log.set(func() { a.log.cuts = false })
		time.Sleep(2 * answerTime)
		b.expect(Together)
		q.online(true, true)
		w.sameTables()
	})
}

// A hub with the number of another one that lives cannot take part, and names the other one.
func TestNumberTaken(t *testing.T) {
	inWorld(t, func(w *world) {
		a, c := w.hub(1), w.hub(2)
		b := w.start(1)
		time.Sleep(10 * time.Second)
		var taken *TakenError
		if err := b.error(); !errors.As(err, &taken) || taken.Name != "host-1" || taken.Number != 1 {
			t.Errorf("error %v", err)
		}
		b.close()
		if err := a.error(); err != nil {
			t.Errorf("the first hub ends as well: %v", err)
		}
		a.expect(Together)
		c.expect(Together)
	})
}

// A hub remains after another process with its number has ended, also when it has to enter again: the
// Enter of that process then precedes its own.
func TestNumberIsFreeAgain(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.hub(1)
		w.hub(2)
		b := w.start(1)
		time.Sleep(10 * time.Second)
		if b.error() == nil {
			t.Error("the second hub 1 takes part")
		}
		b.close()
		w.bus.SetFate(ordertest.Lost)
		time.Sleep(30 * time.Second)
		a.expect(Alone)
		w.bus.SetFate(nil)
		time.Sleep(10 * time.Second)
		a.expect(Together)
		if err := a.error(); err != nil {
			t.Errorf("the first hub ends: %v", err)
		}
	})
}

// A hub that is killed and started again at once has its number back, once the others know that its
// former process is gone.
func TestRestartAfterAKill(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b := w.hub(1), w.hub(2)
		p := a.peer()
		p.say(online(1))
		q := b.peer()
		q.online(true)
		a.kill()
		start := time.Now()
		a = w.start(1)
		<-a.entered
		a.expect(Together)
		if took := time.Since(start); took > 12*time.Second {
			t.Errorf("took %v", took)
		}
		if err := a.error(); err != nil {
			t.Error(err)
		}
		q.online(false)
		w.sameTables()
	})
}

// The same without any other hub: the newcomer does not begin the tenant again, as the other one may
// live.
func TestNumberTakenOfTheOnlyHub(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.hub(1)
		a.peer().say(online(1))
		b := w.start(1)
		time.Sleep(10 * time.Second)
		var taken *TakenError
		if err := b.error(); !errors.As(err, &taken) {
			t.Errorf("error %v", err)
		}
		b.close()
		a.expect(Together)
		if s := a.member.Status(); a.error() != nil || s.Entered["found"] > 0 {
			t.Errorf("error %v, entered %v", a.error(), s.Entered)
		}
	})
}

// A hub that is killed while it is the only one has its number back soon.
func TestRestartOfTheOnlyHub(t *testing.T) {
	inWorld(t, func(w *world) {
		w.hub(1).kill()
		start := time.Now()
		w.hub(1).expect(Together)
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

// Chunks of two donors are not put together: the first donor continues, and the other one is refused.
func TestStateOfTwoDonors(t *testing.T) {
	s := settingsOf(new(fakeHub))
	c := newMembership(s, newOutgoing(1, s.Window, s.Queue, s.Room))
	c.audible = func(f func()) { f() }
	c.phase = asking
	now := time.Now()
	for i, from := range []uint16{2, 3, 2} {
		chunk := order.StateChunk{From: order.Origin{Hub: from}, For: c.origin, Chunk: []byte{byte(i)}}
		if taken := c.receive(now, chunk); taken != (from == 2) {
			t.Errorf("chunk %d, of hub %d: taken is %v", i, from, taken)
		}
	}
	if len(c.chunks) != 2 {
		t.Errorf("%d chunks are kept, want 2", len(c.chunks))
	}
}

// A hub remembers which silent members it has declared gone, and no others.
func TestDeclaredGoneAreForgotten(t *testing.T) {
	inWorld(t, func(w *world) {
		all := w.hubs(2)
		all[1].kill()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if s := all[0].member.Status(); s.Gone != 1 {
			t.Errorf("%d hubs were declared gone, want 1", s.Gone)
		}
		if n := len(all[0].member.membership.declared); n != 0 {
			t.Errorf("%d hubs that are gone are remembered", n)
		}
	})
}
