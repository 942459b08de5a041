package proxy

import (
	"bytes"
	"context"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"switchyard/proxy/hub"
	"switchyard/proxy/tenant"
)

// What a drain discards is discarded for the true reason: because the peer took nothing for
// too long or broke the connection, not because of the drain.
func TestReasonOfWhatADrainDiscards(t *testing.T) {
	for want, stalled := range map[hub.Reason]func(net.Conn){
		hub.WriteTimeout: func(net.Conn) {},
		hub.PeerReset: func(c net.Conn) {
			time.Sleep(2 * quietTime) // by now its reader has stopped
			c.Close()
		},
	} {
		t.Run(string(want), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tenant, stop := pipeTenant(testLimits())
				defer stop()
				talker, talked := listen(tenant)
				conn, far := net.Pipe()
				join(tenant, far)
				defer conn.Close()
				talker.Write(message(others, 1, "that nobody takes"))
				synctest.Wait()
				go stalled(conn)
				if err := tenant.Drain(context.Background(), 0); err != nil {
					t.Errorf("Drain: %v", err)
				}
				<-talked
				c := tenant.Hub().Counts()
				if c.Due != 1 || c.Discarded[want] != 1 || c.Closed[want] != 1 || c.Closed[hub.Drained] != 1 {
					t.Errorf("got %+v, want one copy discarded for %s", c, want)
				}
			})
		})
	}
}

// Every PDU that a draining tenant accepts becomes due to every peer of it: no seat is given up
// while a reader may still hand something over.
func TestNoSeatLeavesADrainEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const peers, pause = 5, quietTime / 2
		tenant, stop := pipeTenant(testLimits())
		defer stop()
		talker, talked := listen(tenant)
		for range peers - 1 {
			_, received := listen(tenant)
			defer func() { <-received }()
		}
		var talking sync.WaitGroup
		talking.Go(func() { // longer than any reader continues
			for n := uint16(0); ; n++ {
				if _, err := talker.Write(message(others, n, "still talking")); err != nil {
					return
				}
				time.Sleep(pause)
			}
		})
		time.Sleep(pause)
		if err := tenant.Drain(context.Background(), 0); err != nil {
			t.Errorf("Drain: %v", err)
		}
		talker.Close()
		talking.Wait()
		<-talked
		c := tenant.Hub().Counts()
		var accepted uint64
		for _, n := range c.Actions {
			accepted += n
		}
		if accepted == 0 || c.Due != accepted*(peers-1) || c.Delivered != c.Due {
			t.Errorf("%d PDUs accepted, %d copies due and %d delivered to %d peers", accepted, c.Due, c.Delivered, peers-1)
		}
	})
}

// A spread drain ends one session after the other. Until its turn, a session is served.
func TestSpreadDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant, stop := pipeTenant(testLimits())
		defer stop()
		first, firstGot := listen(tenant)
		second, secondGot := listen(tenant)
		third, thirdGot := listen(tenant)
		drained := make(chan error)
		go func() { drained <- tenant.Drain(context.Background(), 30*time.Second) }()
		time.Sleep(9 * time.Second)
		third.Write(message(others, 1, "after the end of the first"))
		time.Sleep(10 * time.Second)
		third.Write(message(others, 2, "after the end of the second"))
		for i, got := range [][]arrival{<-firstGot, <-secondGot, <-thirdGot} {
			others := 0
			for _, a := range got {
				if a.what == "other" {
					others++
				}
			}
			end := got[len(got)-1].at
			if from := time.Duration(10*i) * time.Second; end < from || end > from+time.Second || others != []int{0, 1, 0}[i] {
				t.Errorf("session %d got %v, want the end at %v", i+1, got, from)
			}
		}
		if err := <-drained; err != nil {
			t.Errorf("Drain: %v", err)
		}
		for _, c := range []net.Conn{first, second, third} {
			c.Close()
		}
		if c := tenant.Hub().Counts(); c.Closed[hub.Drained] != 3 || c.Due != c.Delivered || c.Received != 2 {
			t.Errorf("got %+v, want three sessions drained and everything delivered", c)
		}
	})
}

// A spread drain returns as soon as it is given up, and is not longer than its sessions.
func TestSpreadDrainEndsEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant, stop := pipeTenant(testLimits())
		defer stop()
		for range 2 {
			conn, _ := listen(tenant)
			defer conn.Close()
		}
		start := time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := tenant.Drain(ctx, time.Hour); err == nil || time.Since(start) != 5*time.Second {
			t.Errorf("Drain: %v after %v, want an error after 5s", err, time.Since(start))
		}
	})
}

// A session that waits for its quota ends in its turn as well, and everything that it sent is
// handled.
func TestSpreadDrainOfThrottledSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const peers, said = 3, 50
		tenant, stop := pipeTenant(quota(tenant.Quota{Peer: tenant.Rates{PDUsIn: 1}}))
		defer stop()
		var all [peers]<-chan []arrival
		for i := range all {
			var conn net.Conn
			conn, all[i] = listen(tenant)
			defer conn.Close()
			conn.Write(bytes.Repeat(message(others, 1, "more than its quota"), said))
		}
		if err := tenant.Drain(context.Background(), 30*time.Second); err != nil {
			t.Errorf("Drain: %v", err)
		}
		for i := range all {
			got := <-all[i]
			if end, from := got[len(got)-1].at, time.Duration(10*i)*time.Second; end < from || end > from+2*stopTime {
				t.Errorf("session %d ended after %v, want %v", i+1, end, from)
			}
		}
		if c := tenant.Hub().Counts(); c.Received != peers*said || c.Closed[hub.Drained] != peers || c.Due != c.Delivered {
			t.Errorf("got %+v, want all PDUs handled and delivered", c)
		}
	})
}
