package proxy

import (
	"log/slog"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/policy/policytest"
	"switchyard/proxy/hub"
	"switchyard/proxy/hub/hubtest"
	"switchyard/proxy/logtest"
)

// limitedRules are testRules with a rate limit for CID_MSG_DATA.
type limitedRules struct {
	policytest.Rules
	rate policy.Rate
}

func (l limitedRules) RateLimits() policy.RateLimits { return policy.RateLimits{{Peer: l.rate}} }

func limitedTo(rate policy.Rate) policy.Policy {
	r := testRules()
	r[pdu.CID_MSG_DATA] = policy.Verdict(abi.BroadcastExceptSender).WithLimit(1)
	return limitedRules{r, rate}
}

// What is beyond a rate limit is dropped, counted and logged with the limit; other commands pass.
func TestOverLimit(t *testing.T) {
	active := policytest.Active(limitedTo(policy.Rate{PDUs: 1, Period: policy.Minute, Burst: 5}))
	tenant, addr, lines := serveBy(t, patient(testLimits()), active)
	a, b := dial(t, addr), dial(t, addr)
	b.settle()
	var chats [][]byte
	for i := range 20 {
		chats = append(chats, message(pdu.CID_MSG_DATA, uint16(i), "hello"))
	}
	last := message(everyone, 99, "last")
	a.say(append(chats, last)...)
	b.expect(append(chats[:5:5], last)...)
	eventually(t, "15 PDUs are over the limit", func() bool { return tenant.Hub().Counts().Dropped[hub.OverLimit] == 15 })
	expectLine(t, lines, `msg="PDU dropped: over-limit"`)
	expectLine(t, lines, `limit="limit 1/min per peer burst 5, else drop"`)
}

// A limit lets more through once time has passed, also where a loop reads for all sessions.
func TestLimitRefills(t *testing.T) {
	tenant, addr, _ := serveBy(t, patient(testLimits()), policytest.Active(limitedTo(policy.Rate{PDUs: 1000, Period: policy.Second, Burst: 1})))
	a := dial(t, addr)
	eventually(t, "three PDUs pass", func() bool {
		a.say(message(pdu.CID_MSG_DATA, 1, "hello"))
		return tenant.Hub().Counts().Actions[policy.BroadcastExceptSender] >= 3
	})
}

// A limit lets PDUs through at its rate, by the time when they are read, and a reload with the same
// limit gives no new burst.
func TestLimitInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rate := policy.Rate{PDUs: 10, Period: policy.Second, Burst: 10}
		active := policytest.Active(limitedTo(rate))
		y := bubble{T: t, lines: new(logtest.Lines)}
		l := testLimits()
		l.LagSoft = 0
		y.Tenant = NewTenant("default", active, l, slog.New(slog.DiscardHandler))
		defer active.Close()
		defer hubtest.Conserved(t, y.Hub())
		defer y.Close()
		a, b := y.enter(), y.enter()
		passed := func(from net.Conn, n int) uint64 {
			before := y.Hub().Counts().Dropped[hub.OverLimit]
			for range n {
				from.Write(message(pdu.CID_MSG_DATA, 1, "hello"))
			}
			synctest.Wait()
			return uint64(n) - (y.Hub().Counts().Dropped[hub.OverLimit] - before)
		}
		for i, step := range []struct {
			from net.Conn
			wait time.Duration
			want uint64
		}{{a, 0, 10}, {b, 0, 10}, {a, 300 * time.Millisecond, 3}, {a, 0, 0}, {b, 10 * time.Second, 10}} {
			time.Sleep(step.wait)
			if got := passed(step.from, 25); got != step.want {
				y.Errorf("step %d: %d PDUs pass, want %d", i, got, step.want)
			}
		}
		active.Install(policytest.Generation(limitedTo(rate)))
		if got := passed(b, 25); got != 0 {
			y.Errorf("%d PDUs pass after a reload, want none", got)
		}
		active.Install(policytest.Generation(limitedTo(policy.Rate{PDUs: 7, Period: policy.Second, Burst: 7})))
		if got := passed(b, 25); got != 7 {
			y.Errorf("%d PDUs pass after a reload with another limit, want 7", got)
		}
	})
}
