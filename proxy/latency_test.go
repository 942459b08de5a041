package proxy

import (
	"io"
	"testing"
	"time"

	"switchyard/pdu"
)

// A receiver that takes nothing for a while has that in its latency.
func TestLatencyOfALaggingPeer(t *testing.T) {
	inBubble(t, testLimits(), func(y bubble) {
		sender, late := y.enter(), y.idle()
		for range 50 {
			sender.Write(pdu.Append(nil, pdu.SID_MSG, others, 0, []byte("x")))
			time.Sleep(2 * sampleEvery) // in which the next sample becomes due
		}
		time.Sleep(3 * time.Second)
		go io.Copy(io.Discard, late)
		time.Sleep(time.Second)
		c := y.Latency()
		if c.Count == 0 || c.Count > mostMarks || c.Buckets[len(c.Buckets)-4] != 0 || c.Buckets[len(c.Buckets)-3] != c.Count {
			t.Errorf("got %+v, want some samples of 2.5 s to 5 s, and no others", c)
		}
		for _, s := range *y.sessions.Load() {
			marks := &s.output.marks
			marks.mu.Lock()
			for _, m := range marks.all[:cap(marks.all)] {
				if m != (mark{}) {
					t.Errorf("a sample that is over keeps %+v", m)
				}
			}
			marks.mu.Unlock()
		}
	})
}

// What goes to nobody but its sender's own connection has no latency.
func TestLatencyWithoutReceivers(t *testing.T) {
	inBubble(t, testLimits(), func(y bubble) {
		sender := y.enter()
		for range 20 {
			sender.Write(pdu.Append(nil, pdu.SID_MSG, others, 0, []byte("x")))
			time.Sleep(2 * sampleEvery)
		}
		if c := y.Latency(); c.Count != 0 {
			t.Errorf("got %+v", c)
		}
		sender.Write(pdu.Append(nil, pdu.SID_BUDDY_LIST, everyone, 0, nil))
		time.Sleep(time.Second)
		if c := y.Latency(); c.Count != 1 || c.Sum != 0 {
			t.Errorf("got %+v, want one sample of no time", c)
		}
	})
}

// Plain sockets are read by the loop and written by the flusher.
func TestLatencyOfSockets(t *testing.T) {
	t.Parallel()
	tenant, addr, _ := serve(t, patient(testLimits()))
	a, b := dial(t, addr), dial(t, addr)
	go io.Copy(io.Discard, b)
	said := pdu.Append(nil, pdu.SID_MSG, others, 0, []byte("x"))
	for deadline := time.Now().Add(generous); tenant.Latency().Count < 5; time.Sleep(sampleEvery) {
		if time.Now().After(deadline) {
			t.Fatalf("got %+v", tenant.Latency())
		}
		a.say(said)
	}
	b.Close()
	a.Close()
	if c := tenant.Latency(); c.Sum <= 0 || c.Sum > time.Duration(c.Count)*generous {
		t.Errorf("got %+v", c)
	}
}
