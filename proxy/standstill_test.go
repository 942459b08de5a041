package proxy

import (
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"switchyard/proxy/hub"
)

// A fakeKernel says what the test wants.
type fakeKernel struct {
	last          atomic.Int64 // when something last arrived, see clock
	input, broken atomic.Bool
}

// arrivedAgo returns a kernel for which something last arrived that long ago.
func arrivedAgo(d time.Duration) *fakeKernel {
	k := new(fakeKernel)
	k.last.Store(clock() - int64(d))
	return k
}

func (*fakeKernel) knows() bool { return true }
func (k *fakeKernel) silence() (time.Duration, bool) {
	return time.Duration(clock() - k.last.Load()), true
}
func (k *fakeKernel) unread() bool             { return k.input.Load() }
func (k *fakeKernel) reset() bool              { return k.broken.Load() }
func (*fakeKernel) progress() (progress, bool) { return progress{}, false }

// enterWith connects a peer about whose connection the kernel says what the test wants.
func (y bubble) enterWith(k kernel) (net.Conn, *session) {
	conn, far := net.Pipe()
	s := newSession(y.Tenant, far, func(bool) {})
	s.kernel = k
	if err := y.Tenant.enter(s); err != nil {
		y.Fatal(err)
	}
	go io.Copy(io.Discard, conn)
	return conn, s
}

// What has arrived in time and was not read is not held against the peer.
func TestUnreadIsNotSilence(t *testing.T) {
	l := testLimits()
	l.FirstPDU = 10 * time.Second
	inBubble(t, l, func(y bubble) {
		arrives := arrivedAgo(0)
		arrives.input.Store(true)
		_, s := y.enterWith(arrives)
		start := time.Now()
		time.Sleep(500 * time.Millisecond) // so that no tick comes at the same time
		for range 20 {                     // 100 s
			time.Sleep(5 * time.Second)
			arrives.last.Store(clock())
		}
		arrives.input.Store(false) // its first PDU is not complete
		if <-s.done; time.Since(start) != 101*time.Second || *s.reason.Load() != hub.NoPDU {
			y.Errorf("ended after %v for %s, want 101s, no-pdu", time.Since(start), *s.reason.Load())
		}
	})
	l.FirstPDU = 0
	inBubble(t, l, func(y bubble) {
		arrives := arrivedAgo(-25 * time.Second)
		_, s := y.enterWith(arrives)
		start := time.Now()
		if <-s.done; time.Since(start) != 56*time.Second || *s.reason.Load() != hub.IdleTimeout {
			y.Errorf("ended after %v for %s, want 30 s after the last arrival", time.Since(start), *s.reason.Load())
		}
	})
}

// If the hub stood still for longer than the timeout, a connection whose peer was silent
// for that long ends before what it holds is handled. One whose peer sent something in
// time stays.
func TestStandstill(t *testing.T) {
	inBubble(t, testLimits(), func(y bubble) {
		dead, live := arrivedAgo(31*time.Second), arrivedAgo(29*time.Second)
		oldConn, old := y.enterWith(dead)
		conn, s := y.enterWith(live)
		hourAgo := clock() - int64(time.Hour)
		for _, s := range []*session{old, s} {
			s.input.lastRead.Store(hourAgo)
		}
		conn.Write(message(others, 1, "in time"))
		oldConn.Write(message(others, 2, "too late"))
		if <-old.done; *old.reason.Load() != hub.IdleTimeout {
			y.Errorf("ended for %s, want idle-timeout", *old.reason.Load())
		}
		synctest.Wait() // until the other one is handled
		y.expectCounts("only what came in time", func(c hub.Counts) bool { return c.Received == 1 && c.Sessions == 1 })
	})
}

// Where the kernel says nothing, a tick that is late closes no session for its silence.
func TestALateTickClosesNothing(t *testing.T) {
	l := testLimits()
	l.LagSoft, l.LagSoftTime, l.WriteTimeout = 1000, 10*time.Second, time.Hour
	inBubble(t, l, func(y bubble) {
		conn := y.idle()
		s := (*y.sessions.Load())[0]
		speaker := y.enter()
		speaker.Write(message(others, 1, string(make([]byte, 2000))))
		time.Sleep(2500 * time.Millisecond)
		y.stopTick()
		synctest.Wait()
		lagged := s.lagsSince
		if lagged.IsZero() {
			y.Fatal("the peer does not lag")
		}
		s.input.lastRead.Store(clock() - int64(time.Hour))
		y.lastTick.Store(clock() - int64(time.Minute))
		y.tickOnce(time.Now())
		if why := s.reason.Load(); why != nil {
			y.Errorf("closed for %s by the late tick", *why)
		}
		if got := s.lagsSince.Sub(lagged); got != 59*time.Second {
			y.Errorf("the lag counts from %v later, want 59s, for which nothing was written", got)
		}
		y.tickOnce(time.Now())
		if <-s.done; *s.reason.Load() != hub.IdleTimeout {
			y.Errorf("closed for %s, want idle-timeout by the next tick", *s.reason.Load())
		}
		conn.Close()
	})
}

// While the hub stands still, the time in which a peer must take something does not run.
func TestWriteTimeoutAfterAStandstill(t *testing.T) {
	l := testLimits()
	l.Timeout, l.LagSoft = 0, 0
	for name, stands := range map[string]bool{"it stands still": true, "it does not": false} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, l, func(y bubble) {
				stalled, far := net.Pipe()
				defer stalled.Close()
				join(y.Tenant, far)
				s := (*y.sessions.Load())[0]
				y.enter().Write(message(others, 1, "that nobody takes"))
				start, want := time.Now(), l.WriteTimeout
				time.Sleep(5500 * time.Millisecond)
				if stands {
					want *= 2
					y.lastTick.Store(clock() - int64(time.Minute))
				}
				if <-s.done; time.Since(start) != want || *s.reason.Load() != hub.WriteTimeout {
					y.Errorf("ended after %v for %s, want %v, write-timeout", time.Since(start), *s.reason.Load(), want)
				}
			})
		})
	}
}

// The same holds for the time in which a session that ends writes what is due.
func TestLastWritesAfterAStandstill(t *testing.T) {
	for name, stands := range map[string]bool{"it stands still": true, "it does not": false} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, testLimits(), func(y bubble) {
				ending, far := net.Pipe()
				defer ending.Close()
				join(y.Tenant, far)
				s := (*y.sessions.Load())[0]
				y.enter().Write(message(others, 1, "that nobody takes"))
				synctest.Wait()
				start, want := time.Now(), flushTime
				ending.Write(make([]byte, 16)) // no PDU, which ends the session
				time.Sleep(1500 * time.Millisecond)
				if stands {
					want *= 2
					y.lastTick.Store(clock() - int64(time.Minute))
				}
				if <-s.done; time.Since(start) != want {
					y.Errorf("ended after %v for %s, want %v", time.Since(start), *s.reason.Load(), want)
				}
			})
		})
	}
}

// The same holds for the time in which a tenant that stops reads on. It is given once more,
// however often the hub stands still.
func TestDrainAfterAStandstill(t *testing.T) {
	for name, test := range map[string]struct {
		standstills int
		restAfter   time.Duration // the rest of a PDU; 0 if it never comes
		took        time.Duration
		received    uint64
	}{
		"none":            {0, 0, stopTime, 0},
		"one":             {1, 0, 2 * stopTime, 0},
		"one, and a rest": {1, stopTime * 3 / 2, stopTime*3/2 + quietTime, 1},
		"many":            {4, 0, 2 * stopTime, 0},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, testLimits(), func(y bubble) {
				talker, m := y.enter(), message(others, 1, "in two halves")
				talker.Write(m[:20])
				time.Sleep(500 * time.Millisecond) // so that no tick comes at the same time
				var meanwhile sync.WaitGroup
				defer meanwhile.Wait()
				meanwhile.Go(func() {
					for range test.standstills {
						y.lastTick.Store(clock() - int64(time.Minute))
						time.Sleep(stopTime)
					}
				})
				if test.restAfter > 0 {
					meanwhile.Go(func() {
						time.Sleep(test.restAfter)
						talker.Write(m[20:])
					})
				}
				var err error
				if d := took(func() { err = y.Drain(context.Background(), 0) }); err != nil || d != test.took {
					t.Errorf("took %v (%v), want %v", d, err, test.took)
				}
				y.expectCounts("after the drain", func(c hub.Counts) bool { return c.Received == test.received })
			})
		})
	}
}
