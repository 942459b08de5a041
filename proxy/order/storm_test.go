package order_test

import (
	"testing"
	"time"

	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/proxy/order"
	"switchyard/proxy/order/ordertest"
)

// While the log takes a tenth of what it did, as on a busy machine after a server was killed, saying
// things again must not be what keeps it busy. An outbox that said everything again whenever nothing
// had come back for 400 ms kept such a log from getting through for 53 s.
func TestNoStorm(t *testing.T) {
	log := ordertest.NewLog(1)
	log.Latency, log.Rate = 5*time.Millisecond, 800_000
	hubs := make([]*box, 3)
	read := order.Position{Epoch: 1}
	for i := range hubs {
		o := order.NewOutbox(uint16(i+1), 1, 1<<20, 4<<20)
		o.Resume()
		hubs[i] = &box{t, o, start}
	}
	said, drained := 0, time.Duration(0)
	for at := time.Duration(0); at < 60*time.Second; at += tick {
		now := start.Add(at)
		switch at {
		case 2 * time.Second:
			log.Rate /= 10
		case 2*time.Second + 300*time.Millisecond:
			log.Halted = true
		case 2*time.Second + 500*time.Millisecond:
			log.Halted = false
		case 7 * time.Second:
			log.Rate *= 10
		}
		log.Settle(now)
		for _, e := range log.Read(read) {
			read = e.Position
			r, err := order.Parse(e.Record)
			if err != nil {
				t.Fatal(err)
			}
			for i, h := range hubs {
				if int(r.Hub) == i+1 {
					h.Back(now, &r)
				} else {
					h.Heard(now)
				}
			}
		}
		under := 0
		for _, h := range hubs {
			if at < 10*time.Second && !h.Full() { // three hubs say 600 kB a second
				r := order.Record{Kind: order.Batch, Session: 1, Runs: []order.Run{{Verdict: policy.Verdict(abi.BroadcastAll), PDUs: 1, Bytes: pdus(1, 2000)}}}
				said += len(r.Append(nil))
				h.Say(&r)
			}
			for {
				record, ok := h.Next(now)
				if !ok {
					break
				}
				log.Append(now, record)
			}
			n, _, _ := h.Underway()
			under += n
		}
		if under > 0 {
			drained = at
		}
	}
	if log.Bytes >= 3*said {
		t.Errorf("%d bytes were appended for %d that were said", log.Bytes, said)
	}
	if drained > 30*time.Second {
		t.Errorf("some records are under way after %v", drained)
	}
}
