package proxy

import (
	"bytes"
	"context"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"switchyard/pdu"
	"switchyard/proxy/hub"
	"switchyard/proxy/tenant"
)

const full = 2 << 20 // what the logs of these tests may take

func fullLimits(breach tenant.Breach) Limits {
	l := testLimits()
	l.LogBytes, l.LagSoft, l.Quota.OnBreach = full, 0, breach
	return l
}

// tooFull is the most that the logs may take: readers that hold a batch at the moment at
// which the logs become full still add it.
const tooFull = full + full/2

var large = message(others, 1, string(make([]byte, 60_000)))

// say sends p that many times, or until the connection ends, and counts.
func say(conn net.Conn, p []byte, times int) *atomic.Int64 {
	n := new(atomic.Int64)
	go func() {
		for range times {
			if _, err := conn.Write(p); err != nil {
				return
			}
			n.Add(1)
		}
	}()
	return n
}

func (y bubble) expectMemory(what string, least, most uint64) {
	y.Helper()
	synctest.Wait()
	if got := y.Hub().Memory(); got < least || got > most {
		y.Errorf("%s: the logs take %d bytes, want %d to %d", what, got, least, most)
	}
}

// Senders wait while a peer that takes nothing holds all of the log. When it is closed
// for holding more than its share, they continue at once.
func TestLogFull(t *testing.T) {
	inBubble(t, fullLimits(tenant.Slow), func(y bubble) {
		a := y.enter()
		y.enter()
		y.idle()
		sent := say(a, large, 1000)
		y.expectMemory("stalled", full, tooFull)
		before := sent.Load()
		y.expectCounts("slowed", func(c hub.Counts) bool { return c.Slowed[hub.LogFull] == 1 && c.SlowedTime[hub.LogFull] == 0 })
		time.Sleep(10 * time.Second)
		y.expectMemory("stalled for 10 s", full, tooFull)
		if got := sent.Load(); got > before+2 { // edits that are trimmed are a little room
			y.Errorf("%d PDUs were read though there was no room", got-before)
		}
		time.Sleep(1999 * time.Millisecond)
		if got := sent.Load(); got < before+900 {
			y.Errorf("%d PDUs were read when there was room again", got-before)
		}
		a.Close()
		expectReason(y, "slow-consumer")
		y.expectCounts("what was pending for it", func(c hub.Counts) bool {
			waited := c.SlowedTime[hub.LogFull]
			return c.Discarded[hub.SlowConsumer] > 0 && len(c.Dropped) == 0 && waited >= 10*time.Second && waited <= 12*time.Second
		})
		y.expectMemory("when all is read", 0, full/2)
	})
}

// Senders continue as soon as the peers that lagged have caught up, before the next tick.
func TestRoomIsNoticed(t *testing.T) {
	inBubble(t, fullLimits(tenant.Slow), func(y bubble) {
		a, b, stalled := y.enter(), y.enter(), y.idle()
		ours, theirs := say(a, large, 1000), say(b, large, 1000)
		y.expectMemory("stalled", full, tooFull)
		before := ours.Load() + theirs.Load()
		if waited := took(func() {
			go io.CopyN(io.Discard, stalled, full)
			synctest.Wait()
		}); waited > 0 || ours.Load()+theirs.Load() < before+10 {
			y.Errorf("%d PDUs were read %v after there was room", ours.Load()+theirs.Load()-before, waited)
		}
	})
}

// A little room is noticed as well, at the next tick.
func TestALittleRoomIsNoticed(t *testing.T) {
	l := fullLimits(tenant.Slow)
	l.LogBytes = 4 * full
	inBubble(t, l, func(y bubble) {
		a, stalled := y.enter(), y.idle()
		sent := say(a, large, 1000)
		y.expectMemory("stalled", 4*full, 4*full+full/2)
		before := sent.Load()
		go io.CopyN(io.Discard, stalled, full/4)
		y.expectMemory("a little room", 4*full-full/2+1, 4*full)
		if got := sent.Load(); got != before {
			y.Errorf("%d PDUs more were read: the test shows nothing", got-before)
		}
		time.Sleep(1001 * time.Millisecond)
		if got := sent.Load(); got == before {
			y.Error("no PDU more was read though there was room")
		}
	})
}

// A peer that reads only after it has sent everything may fill the log itself, so that
// it is not read from and waits for ever. It is closed; if all peers do that, all are.
func TestNobodyWaitsForEver(t *testing.T) {
	t.Parallel()
	for name, limits := range map[string]func(l *Limits){
		"share":                func(l *Limits) { l.WriteTimeout = 0 },
		"write timeout":        func(l *Limits) { l.LagSoftTime = time.Hour },
		"soft limit":           func(l *Limits) { l.LagSoft, l.WriteTimeout = 1<<20, 0 },
		"soft limit too large": func(l *Limits) { l.LagSoft, l.WriteTimeout = 8<<20, 0 },
	} {
		t.Run(name, func(t *testing.T) {
			l := fullLimits(tenant.Slow)
			limits(&l)
			inBubble(t, l, func(y bubble) {
				for range 10 {
					say(y.idle(), large, 1000)
				}
				y.expectMemory("all stalled", full, tooFull)
				time.Sleep(time.Minute)
				y.expectCounts("all are closed", func(c hub.Counts) bool { return c.Sessions == 0 })
				y.expectMemory("when all have gone", 0, full/2)
				a, received := y.enter(), y.idle()
				a.Write(large)
				if _, err := io.ReadFull(received, make([]byte, len(large))); err != nil {
					y.Error(err)
				}
			})
		})
	}
}

// Many peers that each lag a little fill the memory with their edits. If none of them
// reads, some are closed.
func TestManyThatLagALittle(t *testing.T) {
	l := fullLimits(tenant.Slow)
	l.LagSoft, l.WriteTimeout = 8<<20, 0
	inBubble(t, l, func(y bubble) {
		asked := pdu.Append(nil, pdu.SID_BUDDY_LIST, request, 1, []byte("\x08\x01"))
		const peers = 40
		for range peers {
			say(y.idle(), bytes.Repeat(asked, 100), 1000)
		}
		y.expectMemory("all stalled", full, 2*full) // all were at it when it became full
		edits := y.Hub().Memory() - 2*(256<<10)
		for _, s := range *y.sessions.Load() {
			if lag := s.seat.Lag(); lag > l.LagSoft {
				y.Errorf("a peer is %d bytes behind, and %d are all edits: the soft limit would do", lag, edits)
			}
		}
		time.Sleep(time.Minute)
		y.expectCounts("some are closed", func(c hub.Counts) bool { return c.Sessions < peers && c.Discarded[hub.SlowConsumer] > 0 })
	})
}

// With on_breach drop, PDUs for which there is no room are dropped, and their sender
// waits only dropPause after each batch that was dropped whole.
func TestLogFullDrops(t *testing.T) {
	inBubble(t, fullLimits(tenant.Drop), func(y bubble) {
		a, stalled := y.enter(), y.idle()
		if waited := took(func() {
			for range 100 {
				a.Write(large)
			}
			synctest.Wait()
		}); waited > 100*dropPause {
			y.Errorf("waited %v", waited)
		}
		y.expectMemory("stalled", full, tooFull)
		c := y.Hub().Counts()
		kept := 100 - c.Dropped[hub.LogFull]
		if kept < full/60_000-5 || kept > tooFull/60_000 || c.Received != 100 {
			y.Errorf("%d of 100 were kept, there is room for %d: %+v", kept, full/60_000, c)
		}
		go io.Copy(io.Discard, stalled)
		synctest.Wait()
		a.Write(large)
		synctest.Wait()
		y.expectCounts("room again", func(c hub.Counts) bool {
			return c.Received == 101 && c.Dropped[hub.LogFull] == 100-kept && c.Delivered == kept+1 && len(c.Slowed) == 0
		})
		expectReason(y, "log-full")
	})
}

// While PDUs are dropped, a peer that holds too much of the log is closed as well.
func TestLogFullDropsAndCloses(t *testing.T) {
	l := fullLimits(tenant.Drop)
	l.WriteTimeout = 0
	inBubble(t, l, func(y bubble) {
		a := y.enter()
		y.idle()
		for range 150 {
			a.Write(large)
			time.Sleep(100 * time.Millisecond)
		}
		y.expectCounts("closed", func(c hub.Counts) bool { return c.Sessions == 1 && c.Discarded[hub.SlowConsumer] > 0 })
	})
}

// A reader that waits for room stops waiting when the limit is removed, or the session
// or the tenant stops.
func TestWaitingForRoomEndsEarly(t *testing.T) {
	for name, end := range map[string]func(y bubble){
		"limit lifted": func(y bubble) { y.SetLimits(testLimits()) },
		"limit raised": func(y bubble) {
			l := fullLimits(tenant.Slow)
			l.LogBytes = 2 * full
			y.SetLimits(l)
		},
		"dropped from now on": func(y bubble) { y.SetLimits(fullLimits(tenant.Drop)) },
		"close":               func(y bubble) { y.Close() },
		"drain": func(y bubble) {
			ctx, cancel := context.WithTimeout(context.Background(), quietTime)
			defer cancel()
			y.Drain(ctx, 0)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, fullLimits(tenant.Slow), func(y bubble) {
				a := y.enter()
				y.idle()
				sent := say(a, large, 50)
				y.expectMemory("stalled", full, tooFull)
				before, received := sent.Load(), y.Hub().Counts().Received
				waited := took(func() {
					end(y)
					synctest.Wait()
				})
				// What had been read is handed over in any case.
				if got := y.Hub().Counts().Received; waited > 2*quietTime || got == received {
					y.Errorf("after %v %d PDUs more were received, %d more read", waited, got-received, sent.Load()-before)
				}
				a.Close()
			})
		})
	}
}

// If no peer lags, no sender is paused, however much is sent.
func TestLogIsNotFullOfWhatIsRead(t *testing.T) {
	inBubble(t, fullLimits(tenant.Slow), func(y bubble) {
		a := y.enter()
		y.enter()
		for range 200 {
			a.Write(large)
			synctest.Wait()
		}
		y.expectMemory("all read", 0, full)
		y.expectCounts("never slowed", func(c hub.Counts) bool { return c.Received == 200 && c.Slowed[hub.LogFull] == 0 })
	})
}

// Senders continue when the peer that filled the log has gone, without waiting for the tick.
func TestRoomOfOneThatLeft(t *testing.T) {
	tenant, addr, _ := serve(t, patient(fullLimits(tenant.Slow)))
	a, stalled := dial(t, addr), dial(t, addr)
	tenant.stopTick()
	say(a, large, 1000)
	eventually(t, "the log is full", func() bool { return tenant.Hub().Counts().Slowed[hub.LogFull] == 1 })
	before := tenant.Hub().Counts().Received
	stalled.SetLinger(0)
	stalled.Close()
	eventually(t, "more is read", func() bool { return tenant.Hub().Counts().Received > before+100 })
}
