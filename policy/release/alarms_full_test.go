//go:build full

package release_test

import (
	"testing"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/policy/policytest"
)

// Of 1,000 releases whose candidates drop and fail exactly as often as their budgets allow, by what
// the hub itself counts, at most five are rolled back, though each is looked at 100 times. At ten
// times as much, all are.
func TestAlarmsOfLoad(t *testing.T) {
	const releases, ticks, batch = 1000, 100, 200
	run := func(salt uint64, times uint32) (rolledBack bool, sum policy.Weights) {
		p := plan()
		p.Shadow, p.Budget.Faults = salt%2 == 0, 0.001
		var r *trial
		drops := inspects(chats, 10, func(byIDs policy.Verdict, _ []byte) (policy.Verdict, error) {
			switch n := r.random.Uint32N(1000); {
			case n < times: // of chats alone, which the budget is applied to by itself, too
				return abi.Drop, nil
			case n >= 1000-times:
				return 0, policytest.Trap("trapped")
			}
			return byIDs, nil
		})
		r = startTrial(t, p, common(), drops, 3, salt)
		defer r.close()
		user, vec := uint32(0), make([][]byte, 0, 64)
		for range ticks {
			var pdus []byte
			for range batch {
				user++
				pdus = pdu.Append(pdus, pdu.SID_MSG, chats, 0, []byte{1 << 3, byte(user % 128)})
			}
			r.peers[0].Send(t, pdus)
			for _, peer := range r.peers {
				peer.Discard(vec, r.hub.Head())
			}
			if r.tick(); r.machine.State.Over() {
				break
			}
		}
		_, sum = r.counts()
		return r.machine.State.Over(), sum
	}
	alarms, bad, all := 0, uint64(0), uint64(0)
	for i := range uint64(releases) {
		rolledBack, sum := run(i, 1)
		if rolledBack {
			alarms++
		}
		bad, all = bad+sum.Undelivered+sum.Faults, all+sum.PDUs
	}
	t.Logf("%d of %d releases are rolled back; %d of %d PDUs were bad", alarms, releases, bad, all)
	if rate := float64(bad) / float64(all); alarms > 5 || rate < 0.0019 || rate > 0.0021 {
		t.Errorf("%d of %d releases at their budgets are rolled back; a rate of %g, want 0.002", alarms, releases, rate)
	}
	for i := range uint64(100) {
		if rolledBack, sum := run(i, 10); !rolledBack || sum.Undelivered > 30 || sum.Faults > 30 {
			t.Errorf("at ten times the budget: rolled back %v, after %d undelivered and %d faults", rolledBack, sum.Undelivered, sum.Faults)
		}
	}
}
