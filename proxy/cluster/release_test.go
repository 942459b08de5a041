package cluster

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"switchyard/proxy/order"
)

// knows makes the hubs that start next know other rules than this release does.
func (w *world) knows(least, most uint8) {
	w.release = func(c *membership) { c.rules = order.Range{Least: least, Most: most} }
}

// Hubs are brought to a later release one after the other, and the tenant continues. The highest rules
// that all members know are in force. A release that knows no common ones can enter when the last hub
// of the old one has left, and its hub and the others say why.
func TestRollingUpgrade(t *testing.T) {
	inWorld(t, func(w *world) {
		old := w.hubs(3)
		r := old[2].peer()
		talks := func(n *node, rules uint8) {
			t.Helper()
			time.Sleep(2 * time.Second)
			p := n.peer()
			p.say(message(others, "hello"))
			r.expect(message(others, "hello"))
			p.conn.Close()
			for _, n := range w.nodes {
				if s := n.member.Status(); !n.closed && s.State == Together && s.Rules != rules {
					t.Errorf("hub %d has rules %d in force, want %d", n.log.hub, s.Rules, rules)
				}
			}
		}
		replace := func(n *node) *node {
			n.tenant.Drain(context.Background(), 0)
			n.close()
			n = w.hub(n.log.hub)
			n.expect(Together)
			return n
		}
		w.knows(1, 2)
		one := replace(old[0])
		talks(one, 1)
		two := replace(old[1])
		talks(two, 1)

		w.knows(2, 3)
		last := w.start(4)
		time.Sleep(12 * time.Second)
		last.expect(Entering)
		if err := last.member.Ready(); err == nil || err.Error() != "this hub cannot enter the cluster: its release does not work together with that of another hub" {
			t.Errorf("a hub that cannot enter is ready: %v", err)
		}
		if !last.lines.Has("level=WARN", "this hub cannot enter the cluster", "hub=3", "rules=1-1", "own_rules=2-3") {
			t.Errorf("hub 4 has logged\n%s", last.lines)
		}
		if !one.lines.Has("level=WARN", "a hub cannot enter the cluster", "hub=4", "rules=2-3") {
			t.Errorf("hub 1 has logged\n%s", one.lines)
		}
		talks(one, 1)

		r = two.peer()
		old[2].tenant.Drain(context.Background(), 0)
		old[2].close()
		<-last.entered
		last.expect(Together)
		talks(last, 2)
		w.sameTables()
	})
}

// later returns what says records in a format that no hub of this release knows.
func (w *world) later(hub uint16) (says func(order.Kind)) {
	conn, number := w.bus.Conn(), uint64(0)
	w.Cleanup(conn.Close)
	return func(kind order.Kind) {
		number++
		b := (&order.Record{Kind: kind, Origin: order.Origin{Hub: hub, Incarnation: 1}, Number: number}).Append(nil)
		b[0] = order.Format + 1
		conn.Append(append(b, "what no hub of this release knows"...))
		synctest.Wait()
	}
}

// A hub whose records this release cannot read does not disturb the members, which say why it does
// not enter. A hub that finds only such hubs says why it does not enter, begins no tenant beside
// theirs, and enters when they have ended.
func TestUnreadableFormat(t *testing.T) {
	inWorld(t, func(w *world) {
		says := w.later(9)
		a := w.hub(1)
		p, q := a.peer(), a.peer()
		says(order.Enter)
		for range 5 {
			says(order.Beat)
			time.Sleep(time.Second)
		}
		p.say(message(others, "hello"))
		q.expect(message(others, "hello"))
		a.expect(Together)
		if s := a.member.Status(); s.Ignored["malformed"] != 6 || !a.lines.Has("level=WARN", "a hub cannot enter the cluster", "hub=9", "formats=2-2") {
			t.Errorf("ignored %v, logged\n%s", s.Ignored, a.lines)
		}
		a.tenant.Drain(context.Background(), 0)
		a.close()

		b := w.start(2)
		for range 12 {
			says(order.Beat)
			time.Sleep(time.Second)
		}
		b.expect(Entering)
		if b.member.Ready() == nil || !b.lines.Has("level=WARN", "this hub cannot enter the cluster", "hub=9", "formats=2-2", "own_formats=1-1") {
			t.Errorf("ready: %v, logged\n%s", b.member.Ready(), b.lines)
		}
		for range 12 {
			says(order.Beat)
			time.Sleep(time.Second)
		}
		if b.expect(Alone); b.member.Ready() == nil {
			t.Error("a hub that is alone beside others is ready")
		}
		time.Sleep(20 * time.Second)
		if b.expect(Together); b.member.Ready() != nil {
			t.Errorf("not ready: %v", b.member.Ready())
		}
	})
}

// A hub starts with the number of one of a later release, which runs: it fails, and begins no tenant beside
// that. If it is the one that runs, it continues.
func TestNumberOfALaterRelease(t *testing.T) {
	inWorld(t, func(w *world) {
		speaks := func(says func(order.Kind)) {
			for range 10 {
				says(order.Beat)
				time.Sleep(500 * time.Millisecond)
			}
		}
		later := w.later(1)
		later(order.Enter)
		a := w.start(1)
		speaks(later)
		if err := a.error(); err == nil || err.Error() != `cluster.hub = 1 is the number of a hub that runs already ("unknown"); give each hub a number of its own` {
			t.Errorf("the hub that starts fails with %v", err)
		}
		a.expect(Entering)
		a.kill()
		time.Sleep(20 * time.Second)

		b := w.hub(2)
		later = w.later(2)
		later(order.Enter)
		speaks(later)
		if b.expect(Together); b.error() != nil {
			t.Errorf("the hub that runs fails with %v", b.error())
		}
	})
}
