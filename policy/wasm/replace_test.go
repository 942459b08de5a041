package wasm

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"switchyard/policy/wasm/meter"
)

// A grower asks the guest "growing", whose memory grows by as many pages as it is asked for.
type grower struct {
	t *testing.T
	p *Policy
}

// newGrower loads the guest. Making an instance takes that much CPU time.
func newGrower(t *testing.T, took time.Duration) grower {
	e := newEngine(t, DefaultLimits(), nil)
	e.clock = elapsed
	p := load(t, e, "growing")
	p.clock = func() (func() time.Duration, func()) { return func() time.Duration { return took }, func() {} }
	return grower{t, p}
}

// batch asks several questions in a row, and returns the pages after the last.
func (g grower) batch(questions, pages int) (after uint32) {
	g.t.Helper()
	r, err := g.p.Reserve(0)
	if err != nil {
		g.t.Fatal(err)
	}
	defer r.Release()
	for range questions {
		q := question(nil)
		q.Session = uint64(pages)
		v, err := r.Inspect(header, q)
		if err != nil {
			g.t.Fatal(err)
		}
		after = v.Argument()
	}
	return after
}

// wait waits until no instance is being made.
func (g grower) wait() { g.p.replacements.running.Wait() }

func (g grower) instances() (idles int) {
	for i := range g.p.slots {
		if g.p.slots[i].state.Load() == idle {
			idles++
		}
	}
	return idles
}

// TestGrownInstanceIsReplaced asks a guest that takes a page for each decision, and fails
// when it has taken all.
func TestGrownInstanceIsReplaced(t *testing.T) {
	g := newGrower(t, 0)
	most := uint32(0)
	for range 200 {
		most = max(most, g.batch(10, 1))
		g.wait()
	}
	if most != meter.FarPages {
		t.Errorf("instances grew to %d pages, want them to be replaced at %d", most, meter.FarPages)
	}
	if n := g.instances(); n != 2 {
		t.Errorf("%d instances, want one in use and one ready", n)
	}
}

// TestReplacedMemoryIsCleared holds that an instance finds nothing that the one before it wrote.
func TestReplacedMemoryIsCleared(t *testing.T) {
	g := newGrower(t, 0)
	fresh, err := g.p.instantiate(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer fresh.close()
	want, _ := fresh.memory.Read(0, fresh.memory.Size())
	g.batch(20, 1)
	g.wait() // until the policy has a spare, so that the goroutine can replace the instance of slot 0
	old := g.p.slots[0].in
	g.batch(42, 1)
	written, _ := old.memory.Read(0, old.memory.Size())
	if len(written) != (meter.FarPages-1)<<16 {
		t.Fatalf("the instance has %d bytes, want it a page below its mark", len(written))
	}
	for i := range written {
		written[i] = 0xff
	}
	g.batch(1, 1)
	g.wait()
	in := g.p.slots[0].in
	got, _ := in.memory.Read(0, in.memory.Size())
	if in == old || &got[0] != &written[0] {
		t.Fatal("the instance was not replaced by one with its memory")
	}
	if !bytes.Equal(got, want) {
		t.Error("the next instance does not begin with the memory of a fresh one")
	}
	if _, ok := in.memory.Grow(meter.FarPages); !ok {
		t.Fatal("the next instance cannot grow")
	}
	grown, _ := in.memory.Read(uint32(len(want)), meter.FarPages<<16)
	if len(bytes.Trim(grown, "\x00")) > 0 {
		t.Error("the memory by which the next instance grows is not zero")
	}
}

// TestReplacedOffTheDataPath holds that the next batch finds an instance.
func TestReplacedOffTheDataPath(t *testing.T) {
	g := newGrower(t, 0)
	g.batch(1, 0)
	g.wait()
	if n := g.instances(); n != 1 {
		t.Fatalf("%d instances of a guest that does not grow, want 1", n)
	}
	g.batch(20, 1)
	g.wait()
	if n := g.instances(); n != 2 {
		t.Fatalf("%d instances of a guest that grows, want 2", n)
	}
	held := make(chan struct{})
	made := g.p.clock
	g.p.clock = func() (func() time.Duration, func()) {
		<-held
		return made()
	}
	defer g.wait()
	defer close(held)
	g.batch(43, 1) // the last question brings the instance to its mark, and held stops its replacement
	if after := g.batch(1, 1); after != 2 {
		t.Errorf("the next batch met an instance of %d pages, want a fresh one", after)
	}
}

// TestNoneIsReady holds that a batch makes an instance if there is no other.
func TestNoneIsReady(t *testing.T) {
	g := newGrower(t, 0)
	for i := range g.p.slots[1:] {
		g.p.slots[i+1].state.Store(busy) // other goroutines have them
	}
	g.batch(63, 1)
	if after := g.batch(1, 1); after != 2 {
		t.Errorf("the next batch met an instance of %d pages, want a fresh one", after)
	}
}

// TestReplacedWithinABatch holds that no decision of a long batch meets an instance that has grown
// beyond its mark.
func TestReplacedWithinABatch(t *testing.T) {
	g := newGrower(t, 0)
	if after := g.batch(63+40, 1); after != 1+40 {
		t.Errorf("%d pages after 103 questions, want 41 of a second instance", after)
	}
}

// TestReplacingRests holds that instances which are slow to make are not made all the time.
func TestReplacingRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGrower(t, time.Hour)
		g.batch(20, 1)
		g.wait() // a spare took an hour, so two hours pay for it
		if after := g.batch(50, 1); after != 71 {
			t.Fatalf("%d pages, want 71", after)
		}
		time.Sleep(2*time.Hour - advance - 1)
		if after := g.batch(1, 1); after != 72 {
			t.Errorf("%d pages, want the same instance, as two hours have not passed", after)
		}
		time.Sleep(time.Nanosecond)
		g.batch(1, 0)
		g.wait()
		if after := g.batch(1, 1); after != 2 {
			t.Errorf("%d pages, want a fresh instance after two hours", after)
		}
	})
}

// TestLargeFromTheStart holds that an instance is kept which needs much memory for its first
// decisions, as another would need it too.
func TestLargeFromTheStart(t *testing.T) {
	g := newGrower(t, 0)
	g.batch(1, 100)
	for range 100 {
		g.batch(1, 0)
		g.wait()
	}
	if after := g.batch(1, 1); after != 102 {
		t.Errorf("%d pages, want the same instance", after)
	}
	g.batch(90, 1) // the memory grows to three quarters of 256 pages
	g.wait()
	if after := g.batch(1, 1); after != 2 {
		t.Errorf("%d pages, want a fresh instance", after)
	}
}

// TestCloseWaits closes a policy while an instance is made.
func TestCloseWaits(t *testing.T) {
	g := newGrower(t, 0)
	g.batch(70, 1)
}

func TestMarks(t *testing.T) {
	in := &instance{limits: DefaultLimits()}
	in.memory = load(t, newEngine(t, DefaultLimits(), nil), "growing").slots[0].in.memory
	for _, c := range []struct{ limit, size, want uint32 }{
		{256, 1, 64}, {256, 63, 64}, {256, 64, 192}, {256, 191, 192}, {256, 192, 0},
		{64, 1, 48}, {64, 48, 0}, {1, 1, 0}, {2, 1, 2}, {16384, 70, 12288},
	} {
		in.limits.MemoryPages = c.limit
		want := c.want << 16
		if want == 0 {
			want = 1<<32 - 1
		}
		if got := in.markAbove(c.size << 16); got != want {
			t.Errorf("%d of %d pages: the mark is at %d bytes, want %d", c.size, c.limit, got, want)
		}
	}
}
