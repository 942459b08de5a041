package tenant

// A Quota limits what the peers of a tenant may use. Quotas are compared with ==.
type Quota struct {
	OnBreach Breach
	Tenant   Rates // of all peers together
	Peer     Rates // of each
}

// Any reports whether the quota limits anything.
func (q Quota) Any() bool { return q.Tenant != Rates{} || q.Peer != Rates{} }

// A Breach says what happens to a peer that exceeds its quota.
type Breach uint8

const (
	Slow Breach = iota // it is read from at the rate, and what was read waits until it is paid for
	Drop               // its PDUs are dropped until the excess is paid off
)

// Rates are per second; 0 is unlimited.
type Rates struct {
	PDUsIn   uint64
	BytesIn  uint64
	BytesOut uint64 // counted after fan-out: n bytes that go to k peers are k*n
}

// A Measure is what a rate limits.
type Measure uint8

const (
	PDUsIn Measure = iota
	BytesIn
	BytesOut
	measures
)

// A Use is an amount of each measure.
type Use [measures]uint64

// buckets has one Bucket for each measure.
type buckets [measures]Bucket

func newBuckets(r Rates) *buckets {
	b := new(buckets)
	for m, rate := range [...]uint64{PDUsIn: r.PDUsIn, BytesIn: r.BytesIn, BytesOut: r.BytesOut} {
		b[m].rate = rate
	}
	return b
}
