package tenant

import (
	"math"
	"math/bits"
	"sync/atomic"
	"time"
)

// burst is for how long a bucket saves up unused units, in nanoseconds.
const burst = uint64(time.Second)

// A Bucket is a token bucket that may go into debt: peers whose PDUs are dropped have one
// for bytes out. Peers that are slowed down pay by TakeUpTo, which makes none. A Bucket
// starts full, with one second's worth of units. A use beyond what it has becomes a debt, which is paid off at the rate.
// So in any time t it lets through at most rate × (t + 1 s), and the last use before the
// debt. It is safe for concurrent use and takes no lock.
//
// The state is one number: paid, the time at which all use so far will be paid for. Each
// use moves it to the right, by n / rate:
//
//	        now          now + burst
//	─────────┼────────────────┼──────────────▶ time
//	 paid                                       full
//	               paid                         has rate × (now + burst - paid) units
//	                              paid          in debt until paid - burst
//
// Times are nanoseconds of any clock that does not go backwards or below 0.
type Bucket struct {
	rate uint64 // per second, fixed; 0 is unlimited
	// paid is the time at which all use so far will be paid for.
	paid atomic.Uint64
}

// Take uses n units, whether or not the bucket has them, and returns how long the bucket
// is in debt from now on: 0 if it is not.
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

// TakeUpTo uses as many of n units as the bucket has, and returns how many these are. It
// makes no debt.
func (b *Bucket) TakeUpTo(now int64, n uint64) (taken uint64) {
	if b.rate == 0 {
		return n
	}
	for {
		old := b.paid.Load()
		if taken = min(n, b.left(now, old)); taken == 0 {
			return 0
		}
		if b.paid.CompareAndSwap(old, plus(max(old, uint64(now)), b.cost(taken))) {
			return taken
		}
	}
}

// instalments is how many instalments a second's worth of units is paid in.
const instalments = 20

// Until returns for how long to wait before the next TakeUpTo, of n units.
func (b *Bucket) Until(now int64, n uint64) time.Duration {
	if b.rate == 0 || n == 0 {
		return 0
	}
	next := min(n, max(1, b.rate/instalments))
	return max(1, owed(now, plus(max(b.paid.Load(), uint64(now)), b.costUp(next))))
}

// TakeCapped is Take, but makes no debt of more than a second's worth, and drops the
// rest.
func (b *Bucket) TakeCapped(now int64, n uint64) {
	if b.rate == 0 {
		return
	}
	most := plus(uint64(now), 2*burst)
	for {
		old := b.paid.Load()
		paid := max(old, min(most, plus(max(old, uint64(now)), b.cost(n))))
		if paid == old || b.paid.CompareAndSwap(old, paid) {
			return
		}
	}
}

// Owes returns how long the bucket is in debt from now on.
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
	return b.left(now, b.paid.Load())
}

// left returns how many whole units there are, if all use so far is paid for at paid: rate × the time from
// then until the bucket is full.
func (b *Bucket) left(now int64, paid uint64) uint64 {
	full := plus(uint64(now), burst)
	paid = max(paid, uint64(now))
	if paid >= full {
		return 0
	}
	hi, lo := bits.Mul64(full-paid, b.rate)
	n, _ := bits.Div64(hi, lo, burst) // hi is below burst, because full-paid is at most burst
	return n
}

// cost returns how many nanoseconds it takes to pay for n units. It rounds down, by less
// than a nanosecond for each use.
func (b *Bucket) cost(n uint64) uint64 {
	cost, _ := b.divided(n)
	return cost
}

// costUp is cost, rounded up.
func (b *Bucket) costUp(n uint64) uint64 {
	cost, rest := b.divided(n)
	if rest > 0 {
		cost = plus(cost, 1)
	}
	return cost
}

// divided returns the cost of n units, and the rest of the division; the highest cost if it is higher.
func (b *Bucket) divided(n uint64) (cost, rest uint64) {
	hi, lo := bits.Mul64(n, uint64(time.Second))
	if hi >= b.rate {
		return math.MaxUint64, 0
	}
	return bits.Div64(hi, lo, b.rate)
}

// plus adds and saturates.
func plus(x, y uint64) uint64 {
	sum, carry := bits.Add64(x, y, 0)
	if carry != 0 {
		return math.MaxUint64
	}
	return sum
}

// owed returns for how long a bucket is in debt from now on, if all use so far is paid for at paid.
func owed(now int64, paid uint64) time.Duration {
	free := plus(uint64(now), burst)
	if paid <= free {
		return 0
	}
	return time.Duration(min(paid-free, math.MaxInt64))
}
