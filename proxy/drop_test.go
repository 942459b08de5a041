package proxy

import (
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"switchyard/pdu"
	"switchyard/proxy/hub"
	"switchyard/proxy/tenant"
)

// PDUs beyond the quota are dropped, counted and noted, and no peer waits.
func TestDropped(t *testing.T) {
	const length = pdu.HeaderLen + 4
	for name, c := range map[string]struct {
		q    tenant.Quota
		why  hub.Reason
		pass uint64 // of 100 at once, and then of one every 10 ms for 10 s
		then uint64
	}{
		"pdus":           {tenant.Quota{Peer: tenant.Rates{PDUsIn: 10}}, hub.OverQuotaPDUs, 10, 100},
		"pdus of all":    {tenant.Quota{Tenant: tenant.Rates{PDUsIn: 20}}, hub.OverQuotaPDUs, 20, 200},
		"bytes in":       {tenant.Quota{Peer: tenant.Rates{BytesIn: 10 * length}}, hub.OverQuotaBytesIn, 10, 100},
		"bytes out":      {tenant.Quota{Peer: tenant.Rates{BytesOut: 2 * 50 * length}}, hub.OverQuotaBytesOut, 100, 450},
		"bytes out, all": {tenant.Quota{Tenant: tenant.Rates{BytesOut: 2 * 50 * length}}, hub.OverQuotaBytesOut, 100, 450},
	} {
		c.q.OnBreach = tenant.Drop
		t.Run(name, func(t *testing.T) {
			inBubble(t, quota(c.q), func(y bubble) {
				a := y.enter()
				y.enter()
				y.enter()
				m := message(others, 1, "1234")
				dropped := func() uint64 {
					synctest.Wait()
					return y.Hub().Counts().Dropped[c.why]
				}
				a.Write([]byte(strings.Repeat(string(m), 100)))
				if got, want := dropped(), 100-c.pass; got != want {
					y.Errorf("%d of 100 at once dropped, want %d", got, want)
				}
				before := dropped()
				if got := took(func() {
					for range 1000 {
						time.Sleep(10 * time.Millisecond)
						a.Write(m)
					}
				}); got > 10*time.Second {
					y.Errorf("a peer waited: %v", got)
				}
				if got, want := 1000-(dropped()-before), c.then; got+2 < want || got > want+2 {
					y.Errorf("%d of 1000 in 10 s passed, want %d", got, want)
				}
				y.expectCounts("no sender is paused, and nothing is dropped for another reason", func(got hub.Counts) bool {
					return len(got.Slowed) == 0 && len(got.Dropped) == 1 && got.Received == 1100
				})
				lines := strings.Count(y.lines.String(), `msg="PDU dropped: `+string(c.why))
				if lines == 0 || lines > 5*11 || !strings.Contains(y.lines.String(), "reason="+string(c.why)) {
					y.Errorf("%d lines about what was dropped in 10 s, want some, and not one for each", lines)
				}
			})
		})
	}
}

// A PDU that is larger than a second's worth passes: once it is paid for, or if PDUs are
// dropped, when nothing is owed.
func TestLargePDUPasses(t *testing.T) {
	for _, breach := range []tenant.Breach{tenant.Slow, tenant.Drop} {
		l := quota(tenant.Quota{OnBreach: breach, Peer: tenant.Rates{BytesIn: 1000}})
		l.Timeout = 0
		inBubble(t, l, func(y bubble) {
			a, received := y.enter(), y.idle()
			large := message(others, 1, string(make([]byte, 50_000)))
			a.Write(large)
			if _, err := io.ReadFull(received, make([]byte, len(large))); err != nil {
				y.Error(err)
			}
			received.Close()
		})
	}
}
