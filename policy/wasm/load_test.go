package wasm

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"switchyard/policy/wasm/binary"
)

func TestLoadUnderADeadline(t *testing.T) {
	limits := DefaultLimits()
	limits.LoadTime = time.Nanosecond
	_, err := newEngine(t, limits, nil).Load(context.Background(), "tenant-a", guest(t, "sound"), nil)
	wantGate(t, err, GateSize, "more than 1ns of "+loadTimeOf)

	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = newEngine(t, DefaultLimits(), nil).Load(ctx, "tenant-a", guest(t, "sound"), nil)
	wantGate(t, err, GateSize, "given up")
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want it to wrap context.Canceled", err)
	}
}

// fakeClocks returns a clock for one load: the goroutine that loads reads the first
// function, the one that compiles the second.
func fakeClocks(loading, compiling func() time.Duration) clock {
	reads := make(chan func() time.Duration, 2)
	reads <- loading
	reads <- compiling
	return func() (read func() time.Duration, stop func()) { return <-reads, func() {} }
}

func always(d time.Duration) func() time.Duration { return func() time.Duration { return d } }

// The CPU times of both goroutines add up.
func TestLoadTimeAddsUp(t *testing.T) {
	for _, c := range []struct {
		loading, compiling time.Duration
		gate               Gate // "" if it loads
	}{
		{14 * time.Second, 15 * time.Second, ""},
		{15 * time.Second, 15 * time.Second, GateCompile},
		{0, 30 * time.Second, GateCompile},
		{30 * time.Second, 0, GateSize},
	} {
		e := newEngine(t, DefaultLimits(), nil)
		e.clock = fakeClocks(always(c.loading), always(c.compiling))
		p, err := e.Load(context.Background(), "tenant-a", guest(t, "sound"), nil)
		e.compiling.Wait()
		switch {
		case c.gate != "":
			wantGate(t, err, c.gate, "more than 30s of "+loadTimeOf)
		case err != nil:
			t.Errorf("%v, %v: %v", c.loading, c.compiling, err)
		default:
			p.Close()
		}
	}
}

// With a clock of elapsed time, the wait for the compiler does not count in addition to the
// compilation.
func TestLoadTimeCountsNothingTwice(t *testing.T) {
	var now atomic.Int64
	passed := func() time.Duration { return time.Duration(now.Load()) }
	compiles := func() time.Duration {
		now.Store(int64(20 * time.Second))
		return 20 * time.Second
	}
	e := newEngine(t, DefaultLimits(), nil)
	e.clock = fakeClocks(passed, compiles)
	p, err := e.Load(context.Background(), "tenant-a", guest(t, "sound"), nil)
	if err != nil {
		t.Fatal(err)
	}
	p.Close()
}

// A compiler that gets a part of the machine's CPU time may take accordingly longer, up to
// ceiling times the limit.
func TestCompilerOnABusyMachine(t *testing.T) {
	const never = time.Hour
	for name, c := range map[string]struct {
		share   time.Duration // one part of so many
		needs   time.Duration // of CPU time
		elapsed time.Duration // when await returns
		say     string        // text in the error, "" if there is none
	}{
		"idle":              {1, 29 * time.Second, 29 * time.Second, ""},
		"idle, hostile":     {1, never, 30 * time.Second, "more than 30s of " + loadTimeOf},
		"half":              {2, 29 * time.Second, 58 * time.Second, ""},
		"half, hostile":     {2, never, 60 * time.Second, "more than 30s of " + loadTimeOf},
		"a ninth":           {9, 29 * time.Second, 261 * time.Second, ""},
		"a ninth, hostile":  {9, never, 270 * time.Second, "more than 30s of " + loadTimeOf},
		"hardly any":        {1000, 29 * time.Second, 300 * time.Second, "did not end within 5m0s, in which it got 300ms of " + loadTimeOf},
		"not even a thread": {0, never, 300 * time.Second, "did not end within 5m0s, in which it got 0s of " + loadTimeOf},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), ceiling*DefaultLimits().LoadTime)
				defer cancel()
				l := &loader{engine: &Engine{limits: DefaultLimits()}, limit: DefaultLimits().LoadTime, longest: ceiling * DefaultLimits().LoadTime}
				clocks, made := make(chan func() time.Duration, 1), make(chan compilation)
				if c.share > 0 { // else the compiler has not even begun
					clocks <- func() time.Duration { return time.Since(began) / c.share }
					go func() {
						select {
						case <-time.After(c.needs * c.share):
							made <- compilation{took: c.needs}
						case <-ctx.Done():
						}
					}()
				}
				got, err := l.await(ctx, 0, clocks, made)
				if elapsed := time.Since(began); elapsed < c.elapsed || elapsed > c.elapsed+10*time.Millisecond {
					t.Errorf("returned after %v, want %v", elapsed, c.elapsed)
				}
				if c.say != "" && (err == nil || !strings.Contains(err.Error(), c.say)) || c.say == "" && (err != nil || got.took != c.needs) {
					t.Errorf("got %v, %v; want %q", got.took, err, c.say)
				}
				cancel()
			})
		})
	}
}

// The clock counts the CPU time of one thread, not the time in which it waits.
func TestThreadClock(t *testing.T) {
	began := time.Now()
	read, stop := threadClock()
	defer stop()
	waited := make(chan time.Duration)
	go func() {
		time.Sleep(20 * time.Millisecond)
		waited <- read() // from another thread
	}()
	if got := <-waited; loadTimeOf == "CPU time" && got > time.Since(began)-10*time.Millisecond {
		t.Errorf("%v of CPU time went by while the thread waited for 20ms", got)
	}
	for before := read(); read() < before+20*time.Millisecond; { // uses CPU time
	}
	if got, elapsed := read(), time.Since(began); got > elapsed {
		t.Errorf("%v of CPU time in %v", got, elapsed)
	}
}

// TestCompilerIsNotWaitedForLonger gives wazero's compiler a function of
// thousands of blocks, for which it takes time that grows with their square.
func TestCompilerIsNotWaitedForLonger(t *testing.T) {
	limits := DefaultLimits()
	limits.LoadTime = 2 * time.Second
	e := newEngine(t, limits, nil)
	if e.kind != Compiler {
		t.Skip("no compiler here: " + e.why)
	}
	reads := 0
	e.clock = func() (read func() time.Duration, stop func()) {
		if reads++; reads == 1 { // the loading goroutine's, so that the gates before this one take no time
			return always(0), func() {}
		}
		used, stop := threadClock()
		return func() time.Duration { return 100 * used() }, stop // 20 ms, in the real time that 2 s may take
	}
	_, err := e.Load(context.Background(), "tenant-a", manyBlocks(2000), nil)
	wantGate(t, err, GateCompile, "more than 2s of "+loadTimeOf, "largest function smaller")
	e.compiling.Wait() // the compiler that was given up ends
}

// manyBlocks returns a module with one function that is n blocks.
func manyBlocks(n int) []byte {
	block := []byte("\x02\x40\x41\x00\x0d\x00\x0b") // block (br_if 0 (i32.const 0)) end
	code := append(append([]byte{0}, bytes.Repeat(block, n)...), 0x0b)
	m := binary.AppendSection([]byte(binary.Preamble), binary.SectionType, []byte{1, binary.Func, 0, 0})
	m = binary.AppendSection(m, binary.SectionFunction, []byte{1, 0})
	return binary.AppendSection(m, binary.SectionCode, []byte{1}, binary.AppendSized(nil, code))
}

// TestRestartTime holds that the time of making an instance is known from the first one.
func TestRestartTime(t *testing.T) {
	e := newEngine(t, DefaultLimits(), nil)
	e.clock = func() (func() time.Duration, func()) { // each look at it takes a millisecond
		var looks atomic.Int64
		return func() time.Duration { return time.Duration(looks.Add(1)) * time.Millisecond }, func() {}
	}
	if got := load(t, e, "sound").RestartTime(); got != 2*time.Millisecond {
		t.Errorf("got %v, want a millisecond each for starting and for configuring", got)
	}
}
