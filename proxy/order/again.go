package order

import "time"

// When is what was said said again? A timer that says everything again multiplies the load exactly
// when the log is slow, until nothing gets through. So:
//
//  1. A record of ours is read with a number above the next one: one was lost, and all behind it were
//     ignored. Everything under way is said again, once: later copies of what was under way then
//     prove nothing new, but a record that was first appended since does.
//  2. Nothing of ours is read for a second although something is under way: the first record is said
//     again, alone (a probe); the wait doubles up to 4 s. When it comes back, earlier copies of those
//     behind it may do so, too. If none does for a moment, rule 1 applies.
//  3. The bus is reached again, or another hub is heard after a pause: a probe at once.
//
// After a loss at most a quarter of what was under way may be under way. The limit grows by half of
// what comes back, so that a log that loses much is not given much to lose.

const (
	probeAfter  = time.Second
	probeMost   = 4 * time.Second
	settleAfter = 100 * time.Millisecond
)

// An again decides when an Outbox says things again.
type again struct {
	room      int       // bytes that may be under way
	recover   uint64    // the number behind what was under way at the last loss
	heard     time.Time // when any record was read last
	quietFrom time.Time // since when nothing of ours has been read
	wait      time.Duration
	now       bool // a probe is due at once

	probed   uint64    // the number of the last probe
	settleTo uint64    // the number behind what was under way at that probe
	settleAt time.Time // when what is below settleTo is taken for lost; zero until the probe comes back
}

func newAgain(window int) again { return again{room: window, wait: probeAfter} }

// begin says that something is under way from now on.
func (a *again) begin(now time.Time) { a.quietFrom = now }

func (a *again) probes(now time.Time) bool { return a.now || !now.Before(a.quietFrom.Add(a.wait)) }

func (a *again) probeNow() { a.now, a.wait = true, probeAfter }

// probe says that number, the first one, is said again alone. Those below end are under way.
func (a *again) probe(now time.Time, number, end uint64) {
	if !a.now {
		a.wait = min(2*a.wait, probeMost)
	}
	a.now, a.quietFrom = false, now
	a.probed, a.settleTo, a.settleAt = number, end, time.Time{}
}

// progress says that the record with this number has come back, of n bytes.
func (a *again) progress(now time.Time, number uint64, n, window int) {
	a.wait = probeAfter
	a.room = min(window, a.room+(n+1)/2)
	switch {
	case number+1 >= a.settleTo:
		a.settleAt = time.Time{}
	case number == a.probed || !a.settleAt.IsZero():
		a.settleAt = now.Add(settleAfter)
	}
}

func (a *again) settled(now time.Time) bool { return !a.settleAt.IsZero() && !now.Before(a.settleAt) }

// lost says that all records below end, of so many bytes, are to be said again.
func (a *again) lost(end uint64, bytes int) {
	a.recover, a.room = end, max(bytes/4, 1)
	a.settleAt = time.Time{}
}

// wake returns when a probe is due, or what is below settleTo is to be taken for lost.
func (a *again) wake() time.Time {
	at := a.quietFrom.Add(a.wait)
	if !a.settleAt.IsZero() && a.settleAt.Before(at) {
		at = a.settleAt
	}
	return at
}
