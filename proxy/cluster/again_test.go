package cluster

import (
	"fmt"
	"testing"
	"time"

	"switchyard/pdu"
	"switchyard/proxy/order"
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
