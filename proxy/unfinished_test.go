package proxy

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"switchyard/policy/policytest"
	"switchyard/proxy/hub"
	"switchyard/proxy/tenant"
)

// dribble sends p, so many bytes each second, until the connection ends.
func dribble(conn net.Conn, p []byte, each int) {
	for len(p) > 0 {
		n, err := conn.Write(p[:min(each, len(p))])
		if err != nil {
			return
		}
		p = p[n:]
		time.Sleep(time.Second)
	}
}

// A PDU that makes progress may take longer than the idle timeout. One that makes less
// than it must ends the session, after the time that its bytes have earned.
func TestProgressOfAPDU(t *testing.T) {
	body := string(make([]byte, 6<<20))
	for name, c := range map[string]struct {
		each int // bytes in a second
		ends time.Duration
	}{
		"as fast as it must": {leastProgress, 0},
		"too slow":           {20_000, 87 * time.Second},
		"a byte":             {1, 61 * time.Second},
	} {
		l := testLimits()
		l.MaxPDU = 8 << 20
		inBubble(t, l, func(y bubble) {
			a := y.enter()
			s := (*y.sessions.Load())[0]
			a.Write(message(others, 1, "whole"))
			var dribbling sync.WaitGroup
			defer dribbling.Wait()
			dribbling.Go(func() { dribble(a, message(others, 1, body), c.each) })
			if c.ends == 0 {
				time.Sleep(100 * time.Second)
				y.expectCounts(name, func(c hub.Counts) bool { return c.Received == 2 && c.Sessions == 1 })
				a.Close()
				return
			}
			if got := took(func() { <-s.done }); got != c.ends {
				t.Errorf("%s: ended after %v, want %v", name, got, c.ends)
			}
			expectReason(y, "pdu-timeout")
		})
	}
}

// What the hub has not read is not held against a peer that is in the middle of a PDU.
func TestUnreadPDUIsNotLate(t *testing.T) {
	inBubble(t, testLimits(), func(y bubble) {
		k := arrivedAgo(0)
		k.input.Store(true)
		a, s := y.enterWith(k)
		dribble(a, message(others, 1, strings.Repeat("a", 80)), 1)
		y.expectCounts("while there is input", func(c hub.Counts) bool { return c.Received == 1 && c.Sessions == 1 })
		k.input.Store(false)
		var dribbling sync.WaitGroup
		dribbling.Go(func() { dribble(a, message(others, 1, strings.Repeat("a", 80)), 1) })
		<-s.done
		dribbling.Wait()
		expectReason(y, "pdu-timeout")
	})
}

// A pause for a quota is not part of a PDU's time.
func TestPauseWithinAPDU(t *testing.T) {
	l := quota(tenant.Quota{Peer: tenant.Rates{PDUsIn: 1}})
	l.Timeout = 30 * time.Second
	inBubble(t, l, func(y bubble) {
		a := y.enter()
		m := message(others, 1, "")
		go a.Write([]byte(strings.Repeat(string(m), 100) + string(m[:10]))) // some 100 s, and a part
		time.Sleep(110 * time.Second)
		a.Write(m[10:])
		time.Sleep(2 * time.Second)
		y.expectCounts("all PDUs", func(c hub.Counts) bool { return c.Received == 101 && c.Sessions == 1 })
		a.Close()
	})
}

// A whole PDU that waits because of a quota does not count as unfinished, so it makes no peer
// be closed.
func TestWholePDUsAreNotUnfinished(t *testing.T) {
	inBubble(t, quota(tenant.Quota{Peer: tenant.Rates{BytesIn: 1000}}), func(y bubble) {
		a := y.enter()
		a.Write(part(1 << 20)) // more than a second may bring
		a.Write(part(1 << 20))
		synctest.Wait()
		if s := (*y.sessions.Load())[0]; !s.input.paused.Load() {
			t.Error("the second PDU does not wait")
		}
		if m := y.inputs.total; m.size < 1<<20 || m.unfinished != 0 {
			t.Errorf("got %+v, want a size of a MiB, and nothing unfinished", m)
		}
		a.Close()
	})
}

// part returns the first n bytes of a PDU of a MiB.
func part(n int) []byte { return message(others, 1, string(make([]byte, 1<<20-16)))[:n] }

// Above the limit, the peers are closed whose unfinished PDUs cost most: neither one whose
// larger PDU is on its way, nor one with small PDUs.
func TestInputFull(t *testing.T) {
	l := testLimits()
	l.Timeout = time.Hour
	inBubble(t, l, func(y bubble) {
		y.inputs.limitTo(2 << 20)
		small, large := y.enter(), y.enter()
		usual := message(others, 1, string(make([]byte, 3500)))
		small.Write(usual[:3000])
		for range 40 {
			y.enter().Write(part(100_000)) // in buffers of 128 KiB
		}
		synctest.Wait()
		closed := func() uint64 { return y.Hub().Counts().Closed[hub.InputFull] }
		if got := y.inputs.now(); got > 2<<20 || closed() != 24 {
			t.Errorf("%d bytes are held, %d sessions closed; want 2 MiB and 24", got, closed())
		}
		time.Sleep(10 * time.Second)
		large.Write(part(1 << 20))
		small.Write(usual[3000:])
		synctest.Wait()
		y.expectCounts("good peers stay", func(c hub.Counts) bool { return c.Received == 2 && closed() > 24 })
		time.Sleep(time.Second)
		if n := strings.Count(y.lines.String(), `msg="session closed"`); n == 0 || n > 20 {
			t.Errorf("%d lines about %d sessions", n, closed())
		}
		for _, s := range *y.sessions.Load() {
			s.conn.Close()
		}
		synctest.Wait()
		if got := y.inputs.now(); got != 0 || len(y.inputs.of) > 0 {
			t.Errorf("%d bytes are held by nobody", got)
		}
	})
}

// A peer that is slow with a small PDU is not closed because of large ones that stall, even if
// those have begun with speed.
func TestInputFullSparesSlowPeers(t *testing.T) {
	l := testLimits()
	l.Timeout = time.Hour
	inBubble(t, l, func(y bubble) {
		y.inputs.limitTo(2 << 20)
		slow := y.enter()
		m := message(others, 1, string(make([]byte, 5000)))
		slow.Write(m[:4800])
		time.Sleep(5 * time.Second)
		for range 8 {
			y.enter().Write(part(500_000)) // in buffers of 512 KiB
			time.Sleep(200 * time.Millisecond)
		}
		slow.Write(m[4800:])
		synctest.Wait()
		y.expectCounts("the slow peer stays", func(c hub.Counts) bool { return c.Received == 1 && c.Closed[hub.InputFull] > 0 })
	})
}

// All tenants share the memory of the process. The tenant that holds most pays.
func TestInputFullOfAProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := NewInputs()
		var tenants []*Tenant
		active := policytest.Active(testRules())
		defer active.Close()
		for range 6 {
			l := testLimits()
			l.Input = shared
			tenant := NewTenant("t", active, l, slog.New(slog.DiscardHandler))
			defer tenant.Close()
			tenant.inputs.limitTo(1 << 20)
			tenants = append(tenants, tenant)
		}
		for i, tenant := range tenants {
			for range 8 - i { // of 128 KiB
				conn, far := net.Pipe()
				join(tenant, far)
				go io.Copy(io.Discard, conn)
				conn.Write(part(100_000))
			}
		}
		synctest.Wait()
		if got := shared.total.unfinished; got > processInput<<20 || got < processInput<<20-128<<10 {
			t.Errorf("%d bytes are held, want nearly %d", got, processInput<<20)
		}
		for i, tenant := range tenants {
			if got := tenant.hub.Counts().Closed[hub.InputFull]; (got > 0) != (i == 0) {
				t.Errorf("tenant %d lost %d sessions", i, got)
			}
		}
	})
}

// now returns how many bytes are held.
func (i *inputs) now() int64 {
	i.process.mu.Lock()
	defer i.process.mu.Unlock()
	return i.total.size
}

// unfinished returns how many sessions hold a part of a PDU.
func (i *inputs) unfinished() (n int) {
	i.process.mu.Lock()
	defer i.process.mu.Unlock()
	for s := range i.of {
		if s.input.unfinished.since.Load() != 0 {
			n++
		}
	}
	return n
}

// limitTo sets the limit of a tenant that serves already.
func (i *inputs) limitTo(bytes int64) {
	i.process.mu.Lock()
	defer i.process.mu.Unlock()
	i.limit = bytes
}

// Sockets in the loop and TLS connections hold no more than the limit, neither while PDUs
// are unfinished nor afterwards, and nothing when they have ended.
func TestInputMemoryOfSockets(t *testing.T) {
	const limit = 1 << 20
	tenant, addr, _ := serve(t, patient(testLimits()))
	tenant.inputs.limitTo(limit)
	whole := message(others, 1, string(make([]byte, 120_000)))
	dials := map[string]func() net.Conn{
		"plain": func() net.Conn { return dial(t, addr).TCPConn },
		"TLS":   func() net.Conn { return dialTLS(t, tenant) },
	}
	for name, dialOne := range dials {
		var conns []net.Conn
		for range 20 {
			conn := dialOne()
			go io.Copy(io.Discard, conn)
			conns = append(conns, conn)
			received := tenant.hub.Counts().Received
			conn.Write(whole[:100_000])
			eventually(t, name+": the part is held", func() bool { return tenant.inputs.unfinished() > 0 })
			conn.Write(whole[100_000:])
			eventually(t, name+": the PDU", func() bool { return tenant.hub.Counts().Received > received })
		}
		if kept := tenant.inputs.now(); kept > limit {
			t.Errorf("%s: %d bytes are kept of whole PDUs", name, kept)
		}
		closed := tenant.hub.Counts().Closed[hub.InputFull]
		for _, conn := range conns {
			conn.Write(whole[:100_000])
		}
		eventually(t, name+": some are closed", func() bool { return tenant.hub.Counts().Closed[hub.InputFull] > closed })
		if got := tenant.inputs.now(); got > limit+limit/2 { // the half is kept of whole PDUs
			t.Errorf("%s: %d bytes are held", name, got)
		}
		for _, conn := range conns {
			if secured, ok := conn.(*tls.Conn); ok {
				conn = secured.NetConn()
			}
			conn.Close()
		}
		eventually(t, name+": nothing is held", func() bool { return tenant.inputs.now() == 0 })
	}
}

// A session whose peer has closed within a PDU holds no part of it while what is due is
// still written.
func TestLeavingSessionHoldsNoInput(t *testing.T) {
	tenant, addr, _ := serve(t, patient(testLimits()))
	a, stalled := dial(t, addr), dial(t, addr)
	stalled.say(part(100_000))
	eventually(t, "the part is held", func() bool { return tenant.inputs.unfinished() == 1 })
	for range 6 << 20 / len(large) { // more than sockets hold
		a.say(large)
	}
	a.settle()
	s := (*tenant.sessions.Load())[1]
	stalled.CloseWrite()
	eventually(t, "nothing is held", func() bool { return tenant.inputs.unfinished() == 0 })
	select {
	case <-s.done:
		t.Error("the session has ended already")
	default:
	}
	stalled.Close()
}

// A session holds no part of a PDU when it has ended.
func TestEndingSessionHoldsNoInput(t *testing.T) {
	inBubble(t, testLimits(), func(y bubble) {
		a, stalled := y.enter(), y.idle()
		a.Write(message(others, 1, "never read"))
		stalled.Write(part(100_000))
		synctest.Wait()
		if got := y.inputs.now(); got == 0 {
			t.Error("the part is not counted")
		}
		ctx, cancel := context.WithTimeout(context.Background(), 2*stopTime)
		defer cancel()
		y.Drain(ctx, 0)
		y.Close()
		if got := y.inputs.now(); got != 0 {
			t.Errorf("%d bytes are held", got)
		}
		stalled.Close()
	})
}
