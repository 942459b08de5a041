package tenant

import (
	"math"
	"math/big"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"switchyard/pdu"
)

const second = int64(time.Second)

func TestBucket(t *testing.T) {
	type step struct {
		at   time.Duration
		take uint64
		wait time.Duration // until it is paid for
		left uint64        // afterwards
	}
	for name, c := range map[string]struct {
		rate  uint64
		steps []step
	}{
		"unlimited": {0, []step{{0, math.MaxUint64, 0, math.MaxUint64}, {0, math.MaxUint64, 0, math.MaxUint64}}},
		"a second's worth at once": {10, []step{
			{0, 10, 0, 0}, {100 * time.Millisecond, 0, 0, 1}, {time.Second, 0, 0, 10}, {time.Hour, 0, 0, 10}}},
		"debt": {10, []step{
			{0, 15, 500 * time.Millisecond, 0}, {300 * time.Millisecond, 0, 200 * time.Millisecond, 0},
			{500 * time.Millisecond, 0, 0, 0}, {1500 * time.Millisecond, 0, 0, 10}}},
		"debts add up": {10, []step{
			{0, 20, time.Second, 0}, {0, 20, 3 * time.Second, 0}, {time.Second, 0, 2 * time.Second, 0}}},
		"a third does not divide a second": {3, []step{
			{0, 1, 0, 2}, {0, 1, 0, 1}, {0, 1, 0, 0}, {0, 1, 333333332, 0}}},
		"one a second":         {1, []step{{0, 1, 0, 0}, {0, 1, time.Second, 0}}},
		"largest rate":         {math.MaxUint64, []step{{0, math.MaxUint64, 0, 0}, {0, math.MaxUint64, time.Second, 0}}},
		"more than time has":   {1, []step{{0, math.MaxUint64, math.MaxInt64, 0}, {time.Hour, math.MaxUint64, math.MaxInt64, 0}}},
		"the end of the clock": {1, []step{{math.MaxInt64, 3, 2 * time.Second, 0}}},
	} {
		t.Run(name, func(t *testing.T) {
			b := &Bucket{rate: c.rate}
			for i, s := range c.steps {
				if got := b.Take(int64(s.at), s.take); got != s.wait {
					t.Errorf("step %d: wait %v, want %v", i, got, s.wait)
				}
				if got := b.Owes(int64(s.at)); got != s.wait {
					t.Errorf("step %d: owes %v, want %v", i, got, s.wait)
				}
				if got := b.Left(int64(s.at)); got != s.left {
					t.Errorf("step %d: %d left, want %d", i, got, s.left)
				}
			}
		})
	}
}

// A peer that waits as long as Take says, or takes only what Left says, uses at most the
// rate plus one second's worth, and all of that if it has enough to send.
func TestBucketKeepsTheRate(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		rate := 1 + r.Uint64()>>r.IntN(64)
		b, now, used := &Bucket{rate: rate}, r.Int64N(1<<40), new(big.Int)
		start, last := now, uint64(0)
		for range 500 {
			last = r.Uint64N(rate/2 + 1)
			if r.IntN(3) == 0 {
				last = b.Left(now)
			}
			used.Add(used, new(big.Int).SetUint64(last))
			now += int64(b.Take(now, last))
		}
		most := new(big.Int).Mul(new(big.Int).SetUint64(rate), big.NewInt(now-start+second+500)) // each step rounds down
		if most.Div(most, big.NewInt(second)); used.Cmp(most) > 0 {
			t.Fatalf("rate %d: %v used in %v, want at most %v", rate, used, time.Duration(now-start), most)
		}
		least := new(big.Int).Mul(new(big.Int).SetUint64(rate), big.NewInt(now-start))
		if least.Div(least, big.NewInt(second)); used.Cmp(least) < 0 {
			t.Fatalf("rate %d: %v used in %v, want at least %v", rate, used, time.Duration(now-start), least)
		}
	}
}

// Concurrent uses are all charged.
func TestBucketIsShared(t *testing.T) {
	b := &Bucket{rate: 1000}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 1000 {
				b.Take(0, 3)
			}
		})
	}
	all.Wait()
	if got, want := b.Owes(0), 23*time.Second; got != want {
		t.Errorf("owes %v, want %v", got, want)
	}
}

func batch(lengths ...int) (b []byte) {
	for _, n := range lengths {
		b = pdu.Append(b, pdu.SID_MSG, pdu.CID_MSG_DATA, 0, make([]byte, n-pdu.HeaderLen))
	}
	return b
}

func TestFit(t *testing.T) {
	for name, c := range map[string]struct {
		q    Quota
		used Use // before
		pdus []int
		fit  int // PDUs
		what Measure
	}{
		"unlimited":                   {Quota{}, Use{}, []int{16, 1000, 16}, 3, 0},
		"pdus":                        {Quota{Peer: Rates{PDUsIn: 2}}, Use{}, []int{16, 16, 16}, 2, PDUsIn},
		"pdus of all":                 {Quota{Tenant: Rates{PDUsIn: 1}}, Use{}, []int{16, 16, 16}, 1, PDUsIn},
		"the lower of both":           {Quota{Peer: Rates{PDUsIn: 2}, Tenant: Rates{PDUsIn: 1}}, Use{}, []int{16, 16, 16}, 1, PDUsIn},
		"none left":                   {Quota{Peer: Rates{PDUsIn: 2}}, Use{PDUsIn: 2}, []int{16}, 0, PDUsIn},
		"exactly":                     {Quota{Peer: Rates{PDUsIn: 2, BytesIn: 32}}, Use{}, []int{16, 16}, 2, 0},
		"bytes":                       {Quota{Peer: Rates{BytesIn: 32}}, Use{}, []int{16, 16, 16}, 2, BytesIn},
		"the last one reaches beyond": {Quota{Peer: Rates{BytesIn: 33}}, Use{}, []int{16, 16, 1000, 16}, 3, BytesIn},
		"larger than a second brings": {Quota{Peer: Rates{BytesIn: 20}}, Use{}, []int{1000, 16}, 1, BytesIn},
		"in debt":                     {Quota{Peer: Rates{BytesIn: 20}}, Use{BytesIn: 1000}, []int{16}, 0, BytesIn},
		"out is paid for":             {Quota{Peer: Rates{BytesOut: 20}}, Use{BytesOut: 20}, []int{16, 16}, 2, 0},
		"out is owed":                 {Quota{Tenant: Rates{BytesOut: 20}}, Use{BytesOut: 21}, []int{16}, 0, BytesOut},
	} {
		t.Run(name, func(t *testing.T) {
			m := NewMeter(c.q, nil).Peer(nil)
			m.Take(0, c.used)
			b := batch(c.pdus...)
			fit, what := m.Fit(0, b)
			if want := len(batch(c.pdus[:c.fit]...)); fit != want || what != c.what {
				t.Errorf("%d bytes fit, too much of %d; want %d, %d", fit, what, want, c.what)
			}
			// What passed is charged for, and nothing else.
			charged := &Bucket{rate: c.q.Peer.BytesIn}
			charged.Take(0, c.used[BytesIn]+uint64(fit))
			if got, want := m.own[BytesIn].Owes(0), charged.Owes(0); got != want {
				t.Errorf("the peer owes %v, want %v", got, want)
			}
		})
	}
}

func TestMeterOfAllPeers(t *testing.T) {
	m := NewMeter(Quota{Tenant: Rates{BytesOut: 100}, Peer: Rates{PDUsIn: 1}}, nil)
	one, other := m.Peer(nil), m.Peer(nil)
	if wait, what := one.Take(0, Use{PDUsIn: 2, BytesIn: 1 << 40, BytesOut: 400}); wait != 3*time.Second || what != BytesOut {
		t.Errorf("wait %v for %d, want 3s for bytes out", wait, what)
	}
	if got, want := other.Owes(0), 3*time.Second; got != want {
		t.Errorf("the other peer waits %v for what all use, want %v", got, want)
	}
	if wait, what := other.Take(0, Use{PDUsIn: 5}); wait != 4*time.Second || what != PDUsIn {
		t.Errorf("wait %v for %d, want 4s for PDUs", wait, what)
	}
}

// A new quota starts with full buckets where its rates differ from the old one, and keeps
// the debts elsewhere.
func TestDebtStaysWithTheRates(t *testing.T) {
	for name, c := range map[string]struct {
		next Quota
		owes time.Duration
	}{
		"the same":        {Quota{Tenant: Rates{PDUsIn: 1}, Peer: Rates{PDUsIn: 2}}, 4 * time.Second},
		"another breach":  {Quota{Tenant: Rates{PDUsIn: 1}, Peer: Rates{PDUsIn: 2}, OnBreach: Drop}, 4 * time.Second},
		"of the tenant":   {Quota{Tenant: Rates{PDUsIn: 9}, Peer: Rates{PDUsIn: 2}}, 3 * time.Second / 2},
		"of the peer":     {Quota{Tenant: Rates{PDUsIn: 1}, Peer: Rates{PDUsIn: 9}}, 4 * time.Second},
		"of both":         {Quota{Tenant: Rates{PDUsIn: 9}, Peer: Rates{PDUsIn: 9}}, 0},
		"none":            {Quota{}, 0},
		"in another unit": {Quota{Tenant: Rates{BytesIn: 1}, Peer: Rates{BytesIn: 2}}, 0},
	} {
		before := NewMeter(Quota{Tenant: Rates{PDUsIn: 1}, Peer: Rates{PDUsIn: 2}}, nil)
		peer := before.Peer(nil)
		peer.Take(0, Use{PDUsIn: 5})
		if got := NewMeter(c.next, before).Peer(peer).Owes(0); got != c.owes {
			t.Errorf("%s: owes %v, want %v", name, got, c.owes)
		}
	}
}

func TestQuotaAny(t *testing.T) {
	if (Quota{OnBreach: Drop}).Any() || !(Quota{Tenant: Rates{BytesOut: 1}}).Any() || !(Quota{Peer: Rates{PDUsIn: 1}}).Any() {
		t.Error("a quota limits something exactly if it has a rate")
	}
}

func TestMeterAllocatesNothing(t *testing.T) {
	m := NewMeter(Quota{Tenant: Rates{1, 1, 1}, Peer: Rates{1, 1, 1}}, nil).Peer(nil)
	b, now := batch(16, 16, 16), int64(0)
	if got := testing.AllocsPerRun(100, func() {
		now += second
		m.Fit(now, b)
		m.Take(now, Use{PDUsIn: PDUs(b)})
	}); got != 0 {
		t.Errorf("%v allocations for a batch, want none", got)
	}
}

// Instalments make no debt and lose nothing: at any rate, what is paid for in a time is
// the rate, after the second's worth that the bucket had.
func TestInstalments(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 2))
		rate := 1 + r.Uint64()>>r.IntN(64)
		q := Quota{Peer: Rates{PDUsIn: rate}, Tenant: Rates{PDUsIn: rate}}
		m, now := NewMeter(q, nil).Peer(nil), r.Int64N(1<<40)
		start, used := now, new(big.Int)
		for range 50 {
			n := r.Uint64N(rate/2 + 2)
			bill := NewBill(Use{PDUsIn: n})
			for steps := 0; ; steps++ {
				wait, _ := m.Pay(now, &bill)
				if m.Owes(now) > 0 {
					t.Fatalf("rate %d: a debt", rate)
				}
				if wait == 0 {
					break
				}
				if steps > 2*instalments {
					t.Fatalf("rate %d: %d is not paid after %d instalments", rate, n, steps)
				}
				now += int64(wait)
			}
			used.Add(used, new(big.Int).SetUint64(n))
		}
		most := new(big.Int).Mul(new(big.Int).SetUint64(rate), big.NewInt(now-start+second+5000)) // each use rounds down
		if most.Div(most, big.NewInt(second)); used.Cmp(most) > 0 {
			t.Fatalf("rate %d: %v used in %v, want at most %v", rate, used, time.Duration(now-start), most)
		}
	}
}

// A peer that is over its own rate takes nothing from its tenant, and one that does not
// pay leaves a debt of a second's worth at most.
func TestWhoPays(t *testing.T) {
	meter := NewMeter(Quota{Peer: Rates{PDUsIn: 1}, Tenant: Rates{PDUsIn: 10}}, nil)
	one, other := meter.Peer(nil), meter.Peer(nil)
	bill := NewBill(Use{PDUsIn: 100})
	if wait, what := one.Pay(0, &bill); wait != time.Second || what != PDUsIn {
		t.Errorf("wait %v for %d, want 1s for PDUs", wait, what)
	}
	if left := meter.all[PDUsIn].Left(0); left != 10 {
		t.Errorf("the tenant has %d left, want all 10", left)
	}
	one.Default(0, &bill)
	if owes := other.Owes(0); owes != time.Second {
		t.Errorf("the others wait %v for what was not paid, want 1s", owes)
	}
}

func TestPiece(t *testing.T) {
	b := batch(16, 16, 1000, 16)
	for name, c := range map[string]struct {
		rates  Rates
		used   Use
		fanOut int
		want   int // PDUs
	}{
		"all":                     {Rates{PDUsIn: 4}, Use{}, 1, 4},
		"some":                    {Rates{PDUsIn: 3}, Use{}, 1, 3},
		"at least one":            {Rates{PDUsIn: 3}, Use{PDUsIn: 3}, 1, 1},
		"bytes":                   {Rates{BytesIn: 40}, Use{}, 1, 2},
		"a large one, not behind": {Rates{BytesIn: 900}, Use{}, 1, 2},
		"fan-out":                 {Rates{BytesOut: 320}, Use{}, 10, 2},
		"nobody else":             {Rates{BytesOut: 2000}, Use{}, 0, 4},
		"a hundredth":             {Rates{PDUsIn: 200}, Use{PDUsIn: 200}, 1, 2},
	} {
		m := NewMeter(Quota{Peer: c.rates}, nil).Peer(nil)
		m.Take(0, c.used)
		if got := int(PDUs(b[:m.Piece(0, b, c.fanOut)])); got != c.want {
			t.Errorf("%s: %d PDUs, want %d", name, got, c.want)
		}
	}
}

// What is read at once is bounded by each measure of what comes in, of the peer and of all.
func TestRoom(t *testing.T) {
	for name, c := range map[string]struct {
		q    Quota
		used Use
		want uint64
	}{
		"unlimited":          {Quota{Peer: Rates{BytesOut: 1}}, Use{BytesOut: 5}, math.MaxUint64},
		"bytes":              {Quota{Peer: Rates{BytesIn: 100}}, Use{BytesIn: 60}, 40},
		"bytes of all":       {Quota{Peer: Rates{BytesIn: 100}, Tenant: Rates{BytesIn: 70}}, Use{BytesIn: 60}, 10},
		"PDUs":               {Quota{Peer: Rates{PDUsIn: 10, BytesIn: 1000}}, Use{PDUsIn: 7}, 3 * pdu.HeaderLen},
		"PDUs of all":        {Quota{Tenant: Rates{PDUsIn: 10}}, Use{PDUsIn: 8}, 2 * pdu.HeaderLen},
		"more than a number": {Quota{Peer: Rates{PDUsIn: math.MaxUint64}}, Use{}, math.MaxUint64},
		"none":               {Quota{Peer: Rates{PDUsIn: 10}}, Use{PDUsIn: 10}, 0},
	} {
		m := NewMeter(c.q, nil).Peer(nil)
		m.Take(0, c.used)
		if got := m.Room(0); got != c.want {
			t.Errorf("%s: %d bytes, want %d", name, got, c.want)
		}
	}
}
