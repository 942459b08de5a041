package proxy

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/proxy/hub"
	"switchyard/proxy/hub/hubtest"
	"switchyard/proxy/tenant"
)

func (y bubble) expectCounts(what string, ok func(c hub.Counts) bool) {
	y.Helper()
	if c := y.Hub().Counts(); !ok(c) {
		y.Errorf("%s: %+v", what, c)
	}
}

// took returns how long f takes.
func took(f func()) time.Duration {
	start := time.Now()
	f()
	return time.Since(start)
}

// quota returns testLimits with a quota and without other reasons to close peers.
func quota(q tenant.Quota) Limits {
	l := testLimits()
	l.Quota, l.LagSoft = q, 0
	return l
}

// A peer at its quota is read from at its rate, after a second's worth at once. Other
// peers are not delayed.
func TestSlowedToTheRate(t *testing.T) {
	const length = pdu.HeaderLen + 84
	for name, c := range map[string]struct {
		peer tenant.Rates
		why  hub.Reason
	}{
		"pdus":      {tenant.Rates{PDUsIn: 10}, hub.OverQuotaPDUs},
		"bytes in":  {tenant.Rates{BytesIn: 10 * length}, hub.OverQuotaBytesIn},
		"bytes out": {tenant.Rates{BytesOut: 3 * 10 * length}, hub.OverQuotaBytesOut}, // to three others
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, quota(tenant.Quota{Peer: c.peer}), func(y bubble) {
				fast, other := y.enter(), y.enter()
				y.enter()
				y.enter()
				m := message(others, 1, string(make([]byte, 84)))
				got := took(func() {
					for range 30 { // the 12th waits for the debt of the 11th, and so on
						fast.Write(m)
					}
				})
				if want := 1900 * time.Millisecond; got != want {
					y.Errorf("30 PDUs took %v, want %v", got, want)
				}
				if got := took(func() { other.Write(m) }); got != 0 {
					y.Errorf("another peer waited %v", got)
				}
				time.Sleep(time.Second)
				y.expectCounts("slowed", func(c2 hub.Counts) bool {
					return c2.Received == 31 && len(c2.Dropped) == 0 && c2.Slowed[c.why] == 20 && c2.SlowedTime[c.why] == 2*time.Second && len(c2.Slowed) == 1
				})
			})
		})
	}
}

// The peers of a tenant share its quota.
func TestTenantQuotaIsShared(t *testing.T) {
	inBubble(t, quota(tenant.Quota{Tenant: tenant.Rates{PDUsIn: 10}}), func(y bubble) {
		a, b := y.enter(), y.enter()
		m := message(others, 1, "")
		got := took(func() {
			for range 15 {
				a.Write(m)
				b.Write(m)
			}
		})
		// Of each two, the second waits for the debt of both.
		if got < 1800*time.Millisecond || got > 2*time.Second {
			y.Errorf("30 PDUs took %v, want 2s for the 20 that are too many, but for the last", got)
		}
		time.Sleep(time.Second)
	})
}

// What one read brings is handed over at the rate as well.
func TestABatchArrivesAtTheRate(t *testing.T) {
	for name, q := range map[string]tenant.Quota{
		"of the peer":   {Peer: tenant.Rates{PDUsIn: 5}},
		"of the tenant": {Tenant: tenant.Rates{PDUsIn: 5}},
		"bytes out":     {Peer: tenant.Rates{BytesOut: 5 * pdu.HeaderLen}},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, quota(q), func(y bubble) {
				a := y.enter()
				y.enter()
				a.Write([]byte(strings.Repeat(string(message(others, 1, "")), 60)))
				time.Sleep(time.Millisecond)
				for second := range 10 {
					y.expectCounts(fmt.Sprintf("after %d s", second), func(c hub.Counts) bool {
						return c.Received >= uint64(5+5*second) && c.Received <= uint64(6+5*second) && c.Delivered >= c.Received
					})
					time.Sleep(time.Second)
				}
			})
		})
	}
}

// The first piece of a batch is as large as its copies to all peers allow. One PDU makes the debt.
func TestCopiesOfABatch(t *testing.T) {
	inBubble(t, quota(tenant.Quota{Peer: tenant.Rates{BytesOut: 20 * pdu.HeaderLen}}), func(y bubble) {
		a := y.enter()
		for range 10 {
			y.enter()
		}
		a.Write([]byte(strings.Repeat(string(message(others, 1, "")), 20)))
		time.Sleep(time.Millisecond)
		y.expectCounts("at once", func(c hub.Counts) bool { return c.Received == 3 && c.Delivered == 30 })
	})
}

// Peers that send much and are gone leave the tenant a second's debt at most, and a peer
// that keeps its own rate takes nothing from the tenant's.
func TestOthersDoNotPay(t *testing.T) {
	for name, q := range map[string]tenant.Quota{
		"pdus":      {Tenant: tenant.Rates{PDUsIn: 20}},
		"bytes in":  {Tenant: tenant.Rates{BytesIn: 20 * pdu.HeaderLen}},
		"bytes out": {Tenant: tenant.Rates{BytesOut: 20 * pdu.HeaderLen}},
		"own rate":  {Tenant: tenant.Rates{PDUsIn: 200}, Peer: tenant.Rates{PDUsIn: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, quota(q), func(y bubble) {
				good := y.enter()
				for range 20 {
					kernel := arrivedAgo(0)
					conn, s := y.enterWith(kernel)
					conn.Write([]byte(strings.Repeat(string(message(others, 1, "")), 200)))
					synctest.Wait()
					defer func() { kernel.broken.Store(true); <-s.done }()
					if name != "own rate" {
						s.Close(hub.PeerReset)
						<-s.done
					}
				}
				time.Sleep(time.Second)
				if got := took(func() { good.Write(message(others, 1, "")); good.Write(message(others, 1, "")) }); got > time.Second {
					y.Errorf("a peer that has sent nothing yet waits %v", got)
				}
			})
		})
	}
}

// A peer that is gone ends in its pause.
func TestResetInAPause(t *testing.T) {
	inBubble(t, quota(tenant.Quota{Peer: tenant.Rates{PDUsIn: 1}}), func(y bubble) {
		kernel := arrivedAgo(0)
		conn, s := y.enterWith(kernel)
		time.Sleep(tickInterval / 2) // so that no tick comes in the instant between two pauses
		conn.Write([]byte(strings.Repeat(string(message(others, 1, "")), 200)))
		time.Sleep(5250 * time.Millisecond)
		kernel.broken.Store(true)
		if got := took(func() { <-s.done }); got > tickInterval {
			y.Errorf("ended after %v, want by the next tick", got)
		}
		expectReason(y, "peer-reset")
		y.expectCounts("what it had sent", func(c hub.Counts) bool { return c.Received == 200 && c.Dropped[hub.SessionEnded] >= 193 })
	})
}

// A pause does not count as the peer's silence, which begins again afterwards. Heartbeats
// continue.
func TestAPauseIsNotIdle(t *testing.T) {
	inBubble(t, quota(tenant.Quota{Peer: tenant.Rates{PDUsIn: 1}}), func(y bubble) {
		a, all := listen(y.Tenant)
		start := time.Now()
		a.Write([]byte(strings.Repeat(string(message(others, 1, "")), 101)))
		got := <-all
		heartbeats := 0
		for _, arrival := range got {
			if arrival.what == "heartbeat" {
				heartbeats++
			}
		}
		// A tick in the instant in which a PDU is handled may find something due to the peer, and
		// leaves the heartbeat to the next tick. The session may end in the instant of the last one.
		if end := time.Since(start); end != 131*time.Second || heartbeats < 131/7-1 || heartbeats > 131/6 {
			y.Errorf("%d heartbeats, closed after %v; want one every 6s or 7s, and the end 31s after a pause of 100s", heartbeats, end)
		}
		expectReason(y, "idle-timeout")
	})
}

func expectReason(y bubble, reason string) {
	y.Helper()
	synctest.Wait()
	if !strings.Contains(y.lines.String(), "reason="+reason) {
		y.Errorf("the log does not say reason=%s:\n%s", reason, y.lines)
	}
}

// indebted connects a peer with a debt of 200 PDUs, which is not read from. The PDUs fit
// into its first read.
func (y bubble) indebted() net.Conn {
	conn := y.enter()
	conn.Write([]byte(strings.Repeat(string(message(others, 1, "")), 201)))
	synctest.Wait()
	return conn
}

// A pause ends when the limit is lifted, or the session or the tenant stops. What has been
// read is then subject to the new limit.
func TestPausesEndEarly(t *testing.T) {
	rates := tenant.Rates{PDUsIn: 1}
	lifted := func(l Limits) func(y bubble) { return func(y bubble) { y.SetLimits(l) } }
	for name, c := range map[string]struct {
		end   func(y bubble)
		after time.Duration
	}{
		"quota lifted":        {lifted(quota(tenant.Quota{})), 0},
		"another rate":        {lifted(quota(tenant.Quota{Peer: tenant.Rates{PDUsIn: 2}})), 98500 * time.Millisecond},
		"only of all":         {lifted(quota(tenant.Quota{Tenant: rates})), 199 * time.Second},
		"dropped from now on": {lifted(quota(tenant.Quota{Peer: rates, OnBreach: tenant.Drop})), dropPause},
		"another measure":     {lifted(quota(tenant.Quota{Peer: tenant.Rates{BytesIn: 1 << 20}})), 0},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, quota(tenant.Quota{Peer: rates}), func(y bubble) {
				a := y.indebted()
				if got := took(func() {
					c.end(y)
					a.Write(message(others, 1, "")[:1]) // is read
				}); got != c.after {
					y.Errorf("read after %v, want %v", got, c.after)
				}
			})
		})
	}
	t.Run("close", func(t *testing.T) {
		inBubble(t, quota(tenant.Quota{Peer: rates}), func(y bubble) {
			y.indebted()
			if got := took(y.Close); got != 0 {
				y.Errorf("closed after %v, want at once", got)
			}
		})
	})
	t.Run("closed for another reason", func(t *testing.T) {
		inBubble(t, quota(tenant.Quota{Peer: rates}), func(y bubble) {
			y.indebted()
			s := (*y.sessions.Load())[0]
			if got := took(func() { s.Close(hub.SlowConsumer); <-s.done }); got != 0 {
				y.Errorf("ended after %v, want at once", got)
			}
		})
	})
	t.Run("drain", func(t *testing.T) {
		inBubble(t, quota(tenant.Quota{Peer: rates}), func(y bubble) {
			a := y.indebted()
			got := took(func() {
				go a.Write(message(others, 2, "sent before the stop"))
				if err := y.Drain(context.Background(), 0); err != nil {
					y.Errorf("Drain: %v", err)
				}
			})
			if got > 2*quietTime {
				y.Errorf("drained in %v, want about %v", got, quietTime)
			}
			y.expectCounts("what was sent before the stop", func(c hub.Counts) bool { return c.Received == 202 })
		})
	})
}

// Setting the same limits again, or changing other ones, keeps a debt.
func TestDebtStays(t *testing.T) {
	one, many := tenant.Rates{PDUsIn: 1}, tenant.Rates{PDUsIn: 1 << 40}
	for name, q := range map[string][2]tenant.Quota{
		"of the peer":   {{Peer: one}, {Peer: one, Tenant: many}},
		"of the tenant": {{Tenant: one}, {Tenant: one, Peer: many}},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, quota(q[0]), func(y bubble) {
				a := y.indebted()
				got := took(func() {
					for range 10 {
						time.Sleep(10 * time.Second)
						l := quota(q[1])
						l.Heartbeat = time.Minute
						y.SetLimits(l)
					}
					a.Write(message(others, 1, "")[:1])
				})
				if want := 200 * time.Second; got != want {
					y.Errorf("read after %v, want %v", got, want)
				}
			})
		})
	}
}

// The end of a peer that is not read from is noticed after the pause.
func TestGoneInAPause(t *testing.T) {
	inBubble(t, quota(tenant.Quota{Peer: tenant.Rates{PDUsIn: 10}}), func(y bubble) {
		a := y.indebted()
		a.Close()
		time.Sleep(19 * time.Second)
		y.expectCounts("in the pause", func(c hub.Counts) bool { return c.Sessions == 1 })
		time.Sleep(time.Second)
		y.expectCounts("afterwards", func(c hub.Counts) bool { return c.Sessions == 0 })
	})
}

// A tenant without limits has no throttle.
func TestNoThrottleWithoutLimits(t *testing.T) {
	l := testLimits()
	if g := newThrottle(&l, nil); g != nil {
		t.Errorf("got %+v", g)
	}
	l.LogBytes = 1
	if g := newThrottle(&l, nil); g == nil || g.logBytes != hub.MinMemory {
		t.Errorf("got %+v, want the least memory that logs can have", g)
	}
}

// A pause reaches the peer: TCP takes no more from it than the buffers hold. Other peers
// are not affected, and nothing is lost.
func TestAPausePushesBack(t *testing.T) {
	t.Parallel()
	l := patient(quota(tenant.Quota{Peer: tenant.Rates{BytesIn: 1 << 20}}))
	y, addr, _ := serve(t, l)
	fast, other := dial(t, addr), dial(t, addr)
	const times = 64 << 20 / 60_016
	fast.SetWriteDeadline(time.Now().Add(time.Second / 2))
	begun, part := 0, len(large) // PDUs, and bytes of the last one
	for ; part == len(large) && begun < times; begun++ {
		part, _ = fast.Write(large)
	}
	if part == len(large) {
		t.Error("the peer could send 64 MiB in half a second")
	}
	eventually(t, "the pause is counted", func() bool { return y.Hub().Counts().Slowed[hub.OverQuotaBytesIn] > 0 })
	own := message(everyone, 1, "another peer is read from")
	other.say(own)
	fast.expect(own)
	go io.Copy(io.Discard, other)
	l.Quota = tenant.Quota{}
	y.SetLimits(l)
	fast.say(large[part:])
	for range times - begun {
		fast.say(large)
	}
	eventually(t, "all has arrived", func() bool {
		c := y.Hub().Counts()
		return c.Actions[policy.BroadcastExceptSender] == times && c.Delivered == c.Due
	})
	hubtest.Conserved(t, y.Hub())
}
