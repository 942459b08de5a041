package tenant

import (
	"math"
	"time"

	"switchyard/pdu"
)

// A Meter measures what the peers of one tenant use together.
type Meter struct {
	quota Quota
	all   *buckets
}

// NewMeter returns the meter for a quota. The use that the previous meter counted, which
// may be nil, still counts if the rates are the same.
func NewMeter(q Quota, before *Meter) *Meter {
	if before != nil && before.quota.Tenant == q.Tenant {
		return &Meter{q, before.all}
	}
	return &Meter{q, newBuckets(q.Tenant)}
}

// Quota returns what the meter measures against.
func (m *Meter) Quota() Quota { return m.quota }

// A PeerMeter measures what one peer uses, against its own rates and those of all
// peers of its tenant. One goroutine at a time may use it.
type PeerMeter struct {
	rates Rates
	own   *buckets
	all   *buckets
}

// Peer returns the meter of a peer. The use that the peer's previous meter counted, which
// may be nil, still counts if the rates are the same.
func (m *Meter) Peer(before *PeerMeter) *PeerMeter {
	if before != nil && before.rates == m.quota.Peer {
		return &PeerMeter{before.rates, before.own, m.all}
	}
	return &PeerMeter{m.quota.Peer, newBuckets(m.quota.Peer), m.all}
}

// Take charges u to the peer and to its tenant. It returns how long either of them is in
// debt from now on, and which measure takes that long.
func (m *PeerMeter) Take(now int64, u Use) (wait time.Duration, what Measure) {
	for _, b := range [...]*buckets{m.own, m.all} {
		for i := range b {
			if w := b[i].Take(now, u[i]); w > wait {
				wait, what = w, Measure(i)
			}
		}
	}
	return wait, what
}

// Owes returns how long the peer or its tenant is in debt from now on.
func (m *PeerMeter) Owes(now int64) (wait time.Duration) {
	for _, b := range [...]*buckets{m.own, m.all} {
		for i := range b {
			wait = max(wait, b[i].Owes(now))
		}
	}
	return wait
}

// Fit returns how many bytes of batch, which is whole PDUs, are within the quota now: the
// first PDUs of it. It charges their number and bytes, and nothing for the rest, which
// exceeds the measure what.
//
// A PDU fits if there are any units left, so that a PDU larger than a second's worth can
// pass at all. No PDU fits while there is a debt for bytes out, because those are known
// only after routing.
func (m *PeerMeter) Fit(now int64, batch []byte) (fit int, what Measure) {
	pdus, bytes := uint64(math.MaxUint64), uint64(math.MaxUint64)
	for _, b := range [...]*buckets{m.own, m.all} {
		if b[BytesOut].Owes(now) > 0 {
			return 0, BytesOut
		}
		pdus = min(pdus, b[PDUsIn].Left(now))
		bytes = min(bytes, b[BytesIn].Left(now))
	}
	var u Use
	for ; fit < len(batch); fit += int(pdu.ParseHeader(batch[fit:]).Length) {
		if u[PDUsIn] == pdus {
			what = PDUsIn
			break
		}
		if uint64(fit) >= bytes {
			what = BytesIn
			break
		}
		u[PDUsIn]++
	}
	u[BytesIn] = uint64(fit)
	m.Take(now, u)
	return fit, what
}

// PDUs returns how many PDUs batch has.
func PDUs(batch []byte) (n uint64) {
	for ; len(batch) > 0; batch = batch[pdu.ParseHeader(batch).Length:] {
		n++
	}
	return n
}
