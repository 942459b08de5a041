package tenant

// A Quota is what the peers of a tenant may use. It is compared by ==.
type Quota struct {
	OnBreach Breach
	Tenant   Rates // of all peers together
	Peer     Rates // of each
}

// Any reports whether the quota limits anything.
func (q Quota) Any() bool { return q.Tenant != Rates{} || q.Peer != Rates{} }

// A Breach is what becomes of a peer that uses more than it may.
type Breach uint8

const (
	Slow Breach = iota // it is not read from until what it used too much is paid for
	Drop               // its PDUs are dropped until then
)

// Rates are per second; 0 is unlimited.
type Rates struct {
	PDUsIn   uint64
	BytesIn  uint64
	BytesOut uint64 // counted after fan-out: n bytes that go to k peers are k*n
}

// A Measure is what a rate is about.
type Measure uint8

const (
	PDUsIn Measure = iota
	BytesIn
	BytesOut
	measures
)

// A Use is an amount of each measure.
type Use [measures]uint64

// buckets are one for each measure.
type buckets [measures]Bucket

func newBuckets(r Rates) *buckets {
	b := new(buckets)
	for m, rate := range [...]uint64{PDUsIn: r.PDUsIn, BytesIn: r.BytesIn, BytesOut: r.BytesOut} {
		b[m].rate = rate
	}
	return b
}
