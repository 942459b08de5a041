package proxy

import (
	"context"
	"encoding/binary"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"switchyard/proxy/hub"
	"switchyard/proxy/hub/hubtest"
)

// FirstPDU limits the time to the first PDU. A peer that sends nothing at all is closed
// for the shorter of that and the idle timeout. Timeout limits the time of later PDUs.
func TestFirstPDU(t *testing.T) {
	m := message(others, 1, "0123456789")
	for name, c := range map[string]struct {
		first, timeout time.Duration
		atOnce, then   int // bytes of two PDUs, the latter one every two seconds
		ends           time.Duration
		reason         string
	}{
		"dribbles":                  {30 * time.Second, 30 * time.Second, 1, 20, 31 * time.Second, "no-pdu"},
		"dribbles, no idle timeout": {30 * time.Second, 0, 1, 20, 31 * time.Second, "no-pdu"},
		"sends nothing":             {30 * time.Second, 30 * time.Second, 0, 0, 31 * time.Second, "idle-timeout"},
		"sends nothing, sooner":     {10 * time.Second, 30 * time.Second, 0, 0, 11 * time.Second, "no-pdu"},
		"sends nothing, no timeout": {30 * time.Second, 0, 0, 0, 31 * time.Second, "no-pdu"},
		"just in time":              {30 * time.Second, 30 * time.Second, len(m) - 15, 15, 61 * time.Second, "idle-timeout"},
		"its second dribbles":       {10 * time.Second, 30 * time.Second, len(m) + 1, 20, 61 * time.Second, "pdu-timeout"},
		"no deadline":               {0, 30 * time.Second, 1, 20, 61 * time.Second, "pdu-timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			l := testLimits()
			l.FirstPDU, l.Timeout = c.first, c.timeout
			inBubble(t, l, func(y bubble) {
				a := y.enter()
				s := (*y.sessions.Load())[0]
				stream := slices.Concat(m, m)
				a.Write(stream[:c.atOnce])
				var dribbling sync.WaitGroup
				dribbling.Go(func() {
					for _, b := range stream[c.atOnce:][:c.then] {
						time.Sleep(2 * time.Second)
						a.Write([]byte{b})
					}
				})
				if got := took(func() { <-s.done }); got != c.ends {
					y.Errorf("ended after %v, want %v", got, c.ends)
				}
				expectReason(y, c.reason)
				a.Close()
				dribbling.Wait()
			})
		})
	}
}

// A connection that speaks another protocol is closed with that protocol's name,
// whatever the largest PDU is and however the bytes are split.
func TestForeignProtocols(t *testing.T) {
	t.Parallel()
	hello := append([]byte{22, 3, 1, 0, 0xf4, 1}, make([]byte, 240)...)
	for name, c := range map[string]struct {
		bytes  []byte
		reason hub.Reason
	}{
		"TLS":                      {hello, hub.TLSOnPlainPort},
		"TLS 1.0 in the record":    {append([]byte{22, 3, 0}, hello[3:]...), hub.TLSOnPlainPort},
		"TLS 1.3 in the record":    {append([]byte{22, 3, 4}, hello[3:]...), hub.TLSOnPlainPort},
		"TLS, 256 bytes":           {append([]byte{22, 3, 1, 1, 0, 1}, make([]byte, 255)...), hub.TLSOnPlainPort},
		"TLS, its first bytes":     {hello[:6], hub.TLSOnPlainPort},
		"PROXY 1":                  {[]byte("PROXY TCP4 192.0.2.1 192.0.2.2 1000 2000\r\n"), hub.ProxyHeader},
		"PROXY 1, unknown":         {[]byte("PROXY UNKNOWN\r\n"), hub.ProxyHeader},
		"PROXY 2":                  {[]byte("\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c............"), hub.ProxyHeader},
		"PROXY 2, its first bytes": {[]byte("\r\n\r\n\x00\r\nQUIT\n"), hub.ProxyHeader},
		"HTTP GET":                 {[]byte("GET / HTTP/1.1\r\nHost: example.org\r\n\r\n"), hub.HTTP},
		"HTTP POST":                {[]byte("POST /x HTTP/1.1\r\n\r\n"), hub.HTTP},
		"HTTP OPTIONS":             {[]byte("OPTIONS * HTTP/1.1\r\n\r\n"), hub.HTTP},
		"HTTP 2":                   {[]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), hub.HTTP},
		"HTTP, its first bytes":    {[]byte("GET "), hub.HTTP},
		"SSH":                      {[]byte("SSH-2.0-OpenSSH_9.6\r\n"), hub.BadLength},
		"GETaway":                  {[]byte("GETaway, and more than a header"), hub.BadLength},
		"all is 0":                 {make([]byte, 16), hub.BadLength},
	} {
		for _, maxPDU := range []int{1 << 20, 1 << 30} {
			for _, step := range []int{1, 5, 1000} {
				l := testLimits()
				l.MaxPDU = maxPDU
				inBubble(t, l, func(y bubble) {
					before, all := listen(y.Tenant)
					a := y.enter()
					s := (*y.sessions.Load())[1] // before it is gone
					go func() {
						for rest := c.bytes; len(rest) > 0; rest = rest[min(step, len(rest)):] {
							a.Write(rest[:min(step, len(rest))])
						}
					}()
					if got := took(func() { <-s.done }); got > lingerTime {
						t.Errorf("%s, %d bytes at once: closed after %v, want at once", name, step, got)
					}
					line := y.lines.String()
					if got := *s.reason.Load(); got != c.reason || !strings.Contains(line, "reason="+string(c.reason)) || !strings.Contains(line, "level=WARN") {
						t.Errorf("%s, %d bytes at once: closed for %s, want %s\n%s", name, step, got, c.reason, line)
					}
					if hint := strings.Contains(line, "hint="); hint == (c.reason == hub.BadLength) {
						t.Errorf("%s: the line has a hint: %v\n%s", name, hint, line)
					}
					a.Close()
					before.Close()
					if got := <-all; len(got) != 1 {
						t.Errorf("%s: another peer got %v", name, got)
					}
					y.expectCounts("nothing received", func(c hub.Counts) bool { return c.Received == 0 })
				})
			}
		}
	}
}

// Only the first bytes of a connection are sniffed: bodies and later PDUs may contain
// the same bytes. A first PDU that only resembles another protocol is accepted.
func TestForeignWordsInPDUs(t *testing.T) {
	l := testLimits()
	l.MaxPDU = 1 << 30
	inBubble(t, l, func(y bubble) {
		a, b := y.enter(), y.idle()
		first := message(others, 1, "GET / HTTP/1.1\r\n")
		a.Write(first)
		b.SetReadDeadline(time.Now().Add(time.Second))
		if _, err := io.ReadFull(b, make([]byte, len(first))); err != nil {
			y.Errorf("its body is HTTP: %v", err)
		}
		a.Write([]byte{22, 3, 1, 0, 0xf4, 1}) // the length of a long PDU
		time.Sleep(time.Second)
		c := y.enter()
		resembles := binary.BigEndian.AppendUint32(nil, 0x16030100)
		c.Write(append(resembles, make([]byte, 20)...)) // version 0
		d := y.enter()
		d.Write([]byte("\r\n\r\n\x00\x01\x00\x00 a PDU of 208 MiB"))
		time.Sleep(time.Second)
		y.expectCounts("all are still there", func(c hub.Counts) bool { return c.Sessions == 4 })
		b.Close()
	})
}

// A session that is ending gracefully is closed at once when the server is forced to
// stop.
func TestForcedWhileEnding(t *testing.T) {
	inBubble(t, testLimits(), func(y bubble) {
		a, stalled := y.enter(), y.idle()
		a.Write(message(others, 1, "never read"))
		synctest.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), 4*quietTime)
		defer cancel()
		if err := y.Drain(ctx, 0); err == nil {
			y.Error("the drain ended though a peer reads nothing")
		}
		if got := took(y.Close); got > 0 {
			y.Errorf("closed after %v, want at once", got)
		}
		y.expectCounts("what was pending", func(c hub.Counts) bool { return c.Discarded[hub.Forced] == 1 && c.Pending == 0 })
		stalled.Close()
	})
}

// A session that ends keeps writing for flushTime and no longer, whatever the write
// timeout is.
func TestWritingEndsWithTheSession(t *testing.T) {
	l := testLimits()
	l.WriteTimeout, l.Timeout = 0, 0
	inBubble(t, l, func(y bubble) {
		a, stalled := y.enter(), y.idle()
		a.Write(message(others, 1, "never read"))
		synctest.Wait()
		s := (*y.sessions.Load())[1]
		stalled.Write(message(goAway, 0, ""))
		if got := took(func() { <-s.done }); got != flushTime {
			y.Errorf("ended after %v, want %v", got, flushTime)
		}
		y.expectCounts("what was pending", func(c hub.Counts) bool { return c.Discarded[hub.ClosedBy] == 1 && c.Pending == 0 })
		stalled.Close()
	})
}

// A session that is ending gracefully is closed at once when it holds too much of the
// log.
func TestLaggingWhileEnding(t *testing.T) {
	l := testLimits()
	l.LagHard = 1 << 20
	inBubble(t, l, func(y bubble) {
		a, stalled := y.enter(), y.idle()
		a.Write(message(others, 1, "never read"))
		synctest.Wait()
		s := (*y.sessions.Load())[1]
		stalled.Write(make([]byte, 16)) // bad length: ends, with something to write
		synctest.Wait()
		if got := took(func() {
			for range 2 << 20 / len(large) {
				a.Write(large)
			}
			<-s.done
		}); got > 0 {
			y.Errorf("ended after %v, want at once", got)
		}
		y.expectCounts("what was pending", func(c hub.Counts) bool { return c.Discarded[hub.BadLength] == 1 })
		stalled.Close()
	})
}

// A connection that lingers holds no part of the log.
func TestLingeringKeepsNothing(t *testing.T) {
	tenant, addr, _ := serve(t, patient(testLimits()))
	a, ending := dial(t, addr), dial(t, addr)
	ending.say(message(goAway, 0, "")) // its sending side is closed, and it is read from
	ending.expectEnd()
	for range 3 << 20 / len(large) {
		a.say(large)
	}
	a.settle()
	if got := tenant.Hub().Memory(); got > 1<<20 {
		t.Errorf("the logs take %d bytes, though all is read", got)
	}
	hubtest.Conserved(t, tenant.Hub())
}
