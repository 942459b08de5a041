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

// A Bill is what a peer has still to pay for: to its own buckets, and to those of all peers.
type Bill struct{ own, all Use }

// NewBill returns the bill for u.
func NewBill(u Use) Bill { return Bill{u, u} }

// Pay pays as much of the bill as the buckets have. It returns for how long to wait before
// the next instalment, and which measure is waited for; 0 says that all is paid.
//
// A peer pays to its own buckets first. So one that exceeds its own rates takes nothing
// from the others meanwhile.
func (m *PeerMeter) Pay(now int64, b *Bill) (wait time.Duration, what Measure) {
	if wait, what = m.own.pay(now, &b.own); wait > 0 {
		return wait, what
	}
	return m.all.pay(now, &b.all)
}

// pay takes from u what the buckets have, and returns for how long to wait for the next instalment of the
// slowest one.
func (b *buckets) pay(now int64, u *Use) (wait time.Duration, what Measure) {
	for i := range b {
		u[i] -= b[i].TakeUpTo(now, u[i])
		if w := b[i].Until(now, u[i]); w > wait {
			wait, what = w, Measure(i)
		}
	}
	return wait, what
}

// Default leaves what is unpaid of the bill to all peers, but no more than a second's worth.
func (m *PeerMeter) Default(now int64, b *Bill) {
	for i := range m.all {
		m.all[i].TakeCapped(now, b.all[i])
	}
}

// pieces is how many pieces a second's worth is handed over in at most, so that high rates
// do not cost a wait for each PDU.
const pieces = 100

// Piece returns how many bytes of batch, which is whole PDUs, to hand over at once: the
// PDUs that are within the quota now, or a hundredth of a second's worth if that is more,
// and at least one PDU. fanOut is to how many peers a PDU may go.
func (m *PeerMeter) Piece(now int64, batch []byte, fanOut int) (n int) {
	left := Use{math.MaxUint64, math.MaxUint64, math.MaxUint64}
	for _, b := range [...]*buckets{m.own, m.all} {
		for i := range b {
			left[i] = min(left[i], max(b[i].Left(now), b[i].rate/pieces))
		}
	}
	left[BytesIn] = min(left[BytesIn], left[BytesOut]/uint64(max(1, fanOut)))
	for pdus := uint64(0); n < len(batch); pdus++ {
		next := n + int(pdu.ParseHeader(batch[n:]).Length)
		if n > 0 && (pdus >= left[PDUsIn] || uint64(next) > left[BytesIn]) {
			break
		}
		n = next
	}
	return n
}

// Room returns how many bytes to read at most, so that little more is read than is within
// the quota.
func (m *PeerMeter) Room(now int64) uint64 {
	room := uint64(math.MaxUint64)
	for _, b := range [...]*buckets{m.own, m.all} {
		room = min(room, b[BytesIn].Left(now))
		if pdus := b[PDUsIn].Left(now); pdus < math.MaxUint64/pdu.HeaderLen {
			room = min(room, pdus*pdu.HeaderLen)
		}
	}
	return room
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
