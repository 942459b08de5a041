package cluster

import (
	"testing"
	"testing/synctest"
	"time"
)

// What a hub appends adds up with what all have applied of it and what is under way, and the status
// says how long that takes and how far the hub is behind.
func TestStatusAddsUp(t *testing.T) {
	inWorld(t, func(w *world) {
		all := w.hubs(2)
		p := all[0].peer()
		before := all[0].fresh() // without the records by which the hub has entered
		for range 20 {
			p.say(message(others, "hello"))
		}
		synctest.Wait()
		one, two := all[0].fresh(), all[1].fresh()
		if one.Position != two.Position || one.TableSum != two.TableSum || len(one.Members) != 2 || len(two.Members) != 2 || one.Log.Behind != 0 {
			t.Errorf("not level: %+v and %+v", one, two)
		}
		appended, applied := one.Outbox.Appended-before.Outbox.Appended, one.Applied[1]-before.Applied[1]
		if applied == 0 || applied+uint64(one.UnderwayRecords) != appended {
			t.Errorf("applied %d, under way %d, appended %d", applied, one.UnderwayRecords, appended)
		}
		if trips := one.Outbox.Trips.Count - before.Outbox.Trips.Count; trips != applied || one.OldestAge != 0 {
			t.Errorf("%d round trips, want %d; the oldest under way since %v", trips, applied, one.OldestAge)
		}

		all[1].log.set(func() { all[1].log.stalled = true }) // it reads nothing
		for range 10 {
			p.say(message(others, "hello"))
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if two = all[1].fresh(); two.Log.Behind < 5 {
			t.Errorf("a hub that reads nothing is %d records behind", two.Log.Behind)
		}
		all[0].log.Cut()
		p.say(message(others, "hello"))
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if one = all[0].fresh(); one.OldestAge < time.Second || one.Outbox.Again == 0 {
			t.Errorf("without the bus: the oldest under way since %v, %d said again", one.OldestAge, one.Outbox.Again)
		}
		all[1].log.set(func() { all[1].log.stalled = false })
		all[0].log.Heal()
	})
}

// fresh returns the member's status as of now.
func (n *node) fresh() *Status {
	n.world.Helper()
	s, err := n.member.Fresh(n.world.Context())
	if err != nil {
		n.world.Fatal(err)
	}
	return s
}
