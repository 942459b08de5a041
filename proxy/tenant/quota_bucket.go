package tenant

import (
	"math"
	"math/bits"
	"sync/atomic"
	"time"
)

// burst is for how long a bucket saves up what is not used, in nanoseconds.
const burst = uint64(time.Second)

// A Bucket measures use against a rate. It starts with one second's worth, and what
// is used beyond goes into debt, which time pays off at the rate: however it is
// used, what it lets through in any time t is at most the rate times t + 1 s, and
// the last use before the debt. It is safe for concurrent use and takes no lock.
//
// Times are nanoseconds of any clock that does not go backwards and begins at 0 or
// above.
type Bucket struct {
	rate uint64 // per second, fixed; 0 is unlimited
	// paid is when all that was used so far will be paid for. The bucket is full if
	// that is over, empty a second before, and in debt before that.
	paid atomic.Uint64
}

// NewBucket returns a full bucket of that many units per second; 0 is unlimited.
func NewBucket(rate uint64) *Bucket { return &Bucket{rate: rate} }

// Take uses n units, whether or not the bucket has them, and returns how long from
// now until they are paid for: 0 unless the bucket is in debt. A debt is never
// forgotten, however large.
func (b *Bucket) Take(now int64, n uint64) (wait time.Duration) {
	if b.rate == 0 {
		return 0
	}
	cost := b.cost(n)
	for {
		old := b.paid.Load()
		paid := plus(max(old, uint64(now)), cost)
		if paid == old || b.paid.CompareAndSwap(old, paid) {
			return owed(now, paid)
		}
	}
}

// Owes returns how long from now the bucket is in debt.
func (b *Bucket) Owes(now int64) time.Duration {
	if b.rate == 0 {
		return 0
	}
	return owed(now, b.paid.Load())
}

// Left returns how many whole units the bucket has.
func (b *Bucket) Left(now int64) uint64 {
	if b.rate == 0 {
		return math.MaxUint64
	}
	full := plus(uint64(now), burst)
	paid := max(b.paid.Load(), uint64(now))
	if paid >= full {
		return 0
	}
	hi, lo := bits.Mul64(full-paid, b.rate)
	n, _ := bits.Div64(hi, lo, burst) // hi is below burst, as full-paid is not above it
	return n
}

// cost returns how long, in nanoseconds, it takes to pay for n units: rounded down,
// so what that leaves out is less than a nanosecond in each use.
func (b *Bucket) cost(n uint64) uint64 {
	hi, lo := bits.Mul64(n, uint64(time.Second))
	if hi >= b.rate {
		return math.MaxUint64
	}
	cost, _ := bits.Div64(hi, lo, b.rate)
	return cost
}

// plus adds, and stays at the largest number.
func plus(x, y uint64) uint64 {
	sum, carry := bits.Add64(x, y, 0)
	if carry != 0 {
		return math.MaxUint64
	}
	return sum
}

func owed(now int64, paid uint64) time.Duration {
	free := plus(uint64(now), burst)
	if paid <= free {
		return 0
	}
	return time.Duration(min(paid-free, math.MaxInt64))
}
