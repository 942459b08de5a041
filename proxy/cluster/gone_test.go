package cluster

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"switchyard/pdu/pb"
	"switchyard/pdu/pdutest"
	"switchyard/proxy/order"
	"switchyard/proxy/order/ordertest"
)

// memberTimeout is the default of cluster.member_timeout.
const memberTimeout = 2500 * time.Millisecond

// However long the bus stands still, no hub declares another one gone that lives, although records
// arrive late when it continues.
func TestStandstillOfTheBus(t *testing.T) {
	inWorld(t, func(w *world) {
		w.settings = func(s *Settings) { s.MemberTimeout, s.AloneAfter = memberTimeout, 0 }
		random, ofBus := rand.New(rand.NewPCG(1, 2)), rand.New(rand.NewPCG(3, 4))
		late := func([]byte) (copies int, delay time.Duration) {
			return 1, time.Duration(ofBus.Int64N(int64(200 * time.Millisecond)))
		}
		w.bus.SetFate(late)
		for number := range uint16(3) {
			w.hub(number + 1)
			time.Sleep(time.Duration(random.Int64N(int64(time.Second))))
		}
		for d := 200 * time.Millisecond; d < 9*time.Second; d += max(200*time.Millisecond, d/4) {
			time.Sleep(5*time.Second + time.Duration(random.Int64N(int64(time.Second))))
			w.bus.SetFate(ordertest.Lost)
			time.Sleep(d)
			w.bus.SetFate(late)
		}
		time.Sleep(5 * time.Second)
		for _, n := range w.nodes {
			if s := n.member.Status(); s.Gone > 0 || s.Entered["gone"] > 0 || len(s.Members) != 3 {
				t.Errorf("hub %d counts %d hubs gone, has %d members and has entered %v", n.log.hub, s.Gone, len(s.Members), s.Entered)
			}
		}
	})
}

// A slowHub takes long to export and to read the state.
type slowHub struct{ Hub }

func (h slowHub) ExportOrdered(yield func([]byte) error) error {
	time.Sleep(4 * time.Second) // a hub that enters waits no longer than answerTime
	return h.Hub.ExportOrdered(yield)
}

func (h slowHub) ReadOrdered(next func() ([]byte, error)) (install func(), err error) {
	time.Sleep(12 * time.Second)
	return h.Hub.ReadOrdered(next)
}

// A hub that is busy with a large state for longer than MemberTimeout is not declared gone.
func TestLargeState(t *testing.T) {
	inWorld(t, func(w *world) {
		w.settings = func(s *Settings) { s.MemberTimeout, s.Hub = memberTimeout, slowHub{s.Hub} }
		all := w.hubs(3)
		for _, n := range all {
			n.expect(Together)
			if s := n.member.Status(); s.Gone > 0 || len(s.Entered) > 1 || len(s.Members) != 3 {
				t.Errorf("hub %d counts %d hubs gone, has %d members and has entered %v\n%s", n.log.hub, s.Gone, len(s.Members), s.Entered, n.lines)
			}
		}
	})
}

// A hub whose Enter is the first record after the bus has elected a leader does not begin the tenant
// again: the members had no chance to speak.
func TestEnterAfterElection(t *testing.T) {
	inWorld(t, func(w *world) {
		w.settings = func(s *Settings) { s.MemberTimeout = memberTimeout }
		a := w.hub(1)
		p := a.peer()
		p.say(online(1))
		w.bus.SetFate(ordertest.Lost)
		time.Sleep(8 * time.Second)
		w.bus.SetFate(func(record []byte) (copies int, delay time.Duration) {
			if r, _ := order.Parse(record); r.Hub == 1 {
				return 1, 500 * time.Millisecond
			}
			return 1, 0
		})
		a.log.set(func() { a.log.mute = true })
		time.AfterFunc(time.Second, func() { a.log.set(func() { a.log.mute = false }) })
		b := w.hub(2)
		time.Sleep(time.Second)
		if s := a.member.Status(); s.Entered["found"] > 0 {
			t.Errorf("the member has entered %v", s.Entered)
		}
		b.peer().online(true)
		w.bus.SetFate(nil)
		time.Sleep(3 * time.Second)
	})
}

// A hub is killed, and its msg_server comes to another one after 3 to 4 s and announces its users
// again. When they log out, they are offline at all hubs.
func TestPeersOfAKilledHub(t *testing.T) {
	for phase := range 4 {
		inWorld(t, func(w *world) {
			w.settings = func(s *Settings) { s.MemberTimeout = memberTimeout }
			all := w.hubs(3)
			p, q, r := all[0].peer(), all[1].peer(), all[2].peer()
			p.say(online(1, 2))
			q.online(true, true)
			time.Sleep(2*time.Second + time.Duration(phase)*200*time.Millisecond)
			p.say(message(others, "the hub was heard right before"))
			synctest.Wait()
			all[0].kill()
			time.Sleep(3 * time.Second)
			again := all[1].peer()
			again.say(online(1, 2))
			again.online(true, true)
			for user := range uint32(2) {
				again.say(pdutest.StatusUpdate(user+1, uint32(pb.UserStatType_USER_STATUS_OFFLINE), pb.ClientType_CLIENT_TYPE_WINDOWS))
			}
			for _, one := range []*peer{again, q, r} {
				one.online(false, false)
			}
			w.sameTables()
		})
	}
}
