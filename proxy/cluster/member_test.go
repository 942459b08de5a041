package cluster

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"switchyard/pdu"
	"switchyard/pdu/pb"
	"switchyard/pdu/pdutest"
	"switchyard/policy/policytest"
	"switchyard/proxy"
	"switchyard/proxy/order"
	"switchyard/proxy/order/ordertest"
)

// A hub that finds nobody begins the tenant, at once.
func TestFirstHubFounds(t *testing.T) {
	inWorld(t, func(w *world) {
		start := time.Now()
		a := w.hub(1)
		if took := time.Since(start); took > 0 {
			t.Errorf("entering took %v", took)
		}
		a.expect(Together)
		p, q := a.peer(), a.peer()
		p.say(message(others, "hello"), message(everyone, "all"))
		p.expect(message(everyone, "all"))
		q.expect(message(others, "hello"), message(everyone, "all"))
	})
}

// Peers of several hubs reach each other as if they were connected to one.
func TestThreeHubsActAsOne(t *testing.T) {
	inWorld(t, func(w *world) {
		var peers []*peer
		for _, n := range w.hubs(3) {
			peers = append(peers, n.peer())
		}
		for i, p := range peers {
			p.say(online(uint32(i + 1)))
		}
		for _, p := range peers {
			p.online(true, true, true, false)
		}
		for i, p := range peers {
			p.say(message(others, "from "+string(rune('a'+i))), message(everyone, "all"))
			synctest.Wait()
		}
		peers[0].expect(message(everyone, "all"), message(others, "from b"), message(everyone, "all"), message(others, "from c"), message(everyone, "all"))
		peers[1].expect(message(others, "from a"), message(everyone, "all"), message(everyone, "all"), message(others, "from c"), message(everyone, "all"))
	})
}

// A hub that drains tells the others, so nobody waits for it.
func TestDrainTellsTheOthers(t *testing.T) {
	inWorld(t, func(w *world) {
		all := w.hubs(2)
		p, q := all[0].peer(), all[1].peer()
		p.say(online(1))
		q.online(true)
		p.say(message(others, "last words"))
		start := time.Now()
		if err := all[0].tenant.Drain(context.Background(), 0); err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("took %v", took)
		}
		q.expect(message(others, "last words"))
		q.online(false)
		all[1].expect(Together)
		if s := all[1].member.Status(); len(s.Members) != 1 {
			t.Errorf("%d members", len(s.Members))
		}
		all[0].close()
		a := w.hub(1)
		a.expect(Together)
	})
}

// A session that the hub closes at once does not wait for what its peer said: nothing can be written
// to the peer any more.
func TestClosedAtOnce(t *testing.T) {
	inWorld(t, func(w *world) {
		w.limits = func(l *proxy.Limits) { l.Timeout = 3 * time.Second }
		a := w.hub(1)
		p := a.peer()
		w.bus.SetFate(ordertest.Lost)
		p.say(message(others, "under way"))
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if n := len(a.tenant.Sessions()); n != 0 {
			t.Errorf("%d sessions are left of a silent peer", n)
		}
	})
}

// A tenant that is closed keeps no policy, although what the policy judged has not come back.
func TestCloseReleasesThePolicy(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.hub(1)
		judged := &policytest.Policy{OnClassify: rulesOfWorld.Classify}
		a.active.Install(policytest.Generation(judged))
		p := a.peer()
		w.bus.SetFate(ordertest.Lost)
		p.say(message(others, "under way"), pdutest.StatusRequest(1, 9, nil, 7))
		p.say(message(others, "too"))
		synctest.Wait()
		a.close()
		if n := judged.Closed.Load(); n != 1 {
			t.Errorf("the policy was closed %d times, want 1", n)
		}
	})
}

// A drain without the bus ends.
func TestDrainWithoutTheBus(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.hub(1)
		a.peer()
		w.bus.SetFate(ordertest.Lost)
		start := time.Now()
		if err := a.tenant.Drain(context.Background(), 0); err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took > 15*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

// What a peer said right before its end reaches everybody, itself included.
func TestLastWords(t *testing.T) {
	inWorld(t, func(w *world) {
		all := w.hubs(2)
		p, q := all[0].peer(), all[1].peer()
		p.say(message(everyone, "last"), message(goAway, ""), message(others, "too late"))
		q.expect(message(everyone, "last"))
		p.expect(message(everyone, "last"))
		synctest.Wait()
		p.mu.Lock()
		defer p.mu.Unlock()
		if !p.ended {
			t.Error("the connection is still open")
		}
	})
}

// If as much is under way as may be, peers wait, and continue when there is room.
func TestOrderFull(t *testing.T) {
	inWorld(t, func(w *world) {
		w.settings = func(s *Settings) { s.Window, s.Queue = 4<<10, 16<<10 }
		all := w.hubs(2)
		p, q := all[0].peer(), all[1].peer()
		w.bus.SetFate(ordertest.Lost)
		const n = 100
		go func() {
			for range n {
				p.say(message(others, string(make([]byte, 1000))))
			}
		}()
		time.Sleep(5 * time.Second)
		if bytes := all[0].tenant.Hub().UnderwayBytes(); bytes > 64<<10 {
			t.Errorf("%d bytes are under way", bytes)
		}
		if all[0].tenant.Hub().Counts().Slowed["order-full"] == 0 {
			t.Error("nobody was slowed")
		}
		w.bus.SetFate(nil)
		time.Sleep(10 * time.Second)
		if got := countOf(q.take(), message(others, string(make([]byte, 1000)))); got != n {
			t.Errorf("%d arrived, want %d", got, n)
		}
	})
}

// Questions that wait for what is under way take room, too, although no other hub is told of them.
func TestOrderFullOfQuestions(t *testing.T) {
	inWorld(t, func(w *world) {
		w.settings = func(s *Settings) { s.Window, s.Queue = 4<<10, 16<<10 }
		a := w.hub(1)
		p := a.peer()
		w.bus.SetFate(ordertest.Lost)
		p.say(message(others, "is under way"))
		const n = 500
		go func() {
			for range n {
				p.say(pdutest.StatusRequest(1, 9, nil, 7))
			}
		}()
		time.Sleep(5 * time.Second)
		if bytes := a.tenant.Hub().UnderwayBytes(); bytes > 64<<10 {
			t.Errorf("%d bytes are under way", bytes)
		}
		if a.tenant.Hub().Counts().Slowed["order-full"] == 0 {
			t.Error("nobody was slowed")
		}
		w.bus.SetFate(nil)
		time.Sleep(10 * time.Second)
		answer := pdutest.StatusResponse(1, 9, nil, pdutest.UserStat(7, pb.UserStatType_USER_STATUS_OFFLINE))
		if got := countOf(p.take(), answer); got != n {
			t.Errorf("%d questions were answered, want %d", got, n)
		}
	})
}

// If the table of a hub differs from that of the others, the hub enters again.
func TestTableDiffers(t *testing.T) {
	inWorld(t, func(w *world) {
		all := w.hubs(3)
		p := all[0].peer()
		p.say(online(1))
		r := all[2].peer()
		all[2].tenant.Ordered(func() {
			all[2].tenant.Hub().Apply(&order.Record{Kind: order.Batch, Origin: order.Origin{Hub: 1}, Session: 1<<40 + 1,
				Runs: []order.Run{{Verdict: rulesOfWorld[pdu.CID_OTHER_ONLINE_USER_INFO], PDUs: 1, Bytes: online(2)}}})
		})
		r.online(true, true)
		time.Sleep(15 * time.Second)
		r.online(true, false)
		if s := all[2].member.Status(); s.Entered["table"] != 1 || s.Mismatches == 0 {
			t.Errorf("entered %v, %d mismatches", s.Entered, s.Mismatches)
		}
		for _, n := range all {
			n.expect(Together)
		}
		w.sameTables()
	})
}

// A quota of bytes out counts what is due to the peers of this hub.
func TestQuotaOfBytesOut(t *testing.T) {
	inWorld(t, func(w *world) {
		w.limits = func(l *proxy.Limits) { l.Quota.Tenant.BytesOut = 10_000 }
		all := w.hubs(2)
		p, q, r := all[0].peer(), all[0].peer(), all[1].peer()
		time.Sleep(2 * time.Second)
		start := time.Now()
		const n = 60
		for range n {
			p.say(message(others, string(make([]byte, 984))))
			synctest.Wait()
		}
		if took := time.Since(start); took < 3*time.Second || took > 10*time.Second {
			t.Errorf("%d bytes took %v", n*1000, took)
		}
		time.Sleep(time.Second)
		for _, one := range []*peer{q, r} {
			if got := len(one.take()); got != n*1000 {
				t.Errorf("%d bytes arrived", got)
			}
		}
	})
}
