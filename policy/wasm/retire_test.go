package wasm

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"testing"
)

// TestReloadsLeaveMemoryFlat loads and closes policies over and over.
func TestReloadsLeaveMemoryFlat(t *testing.T) {
	e := newEngine(t, DefaultLimits(), nil)
	// Each turn loads a module that was never seen before, a refused one, and one
	// that leaves instances behind in several slots and a fault.
	turn := func(i int) {
		module := append(guest(t, "sound"), custom(fmt.Sprint("turn ", i))...)
		if i%5 != 0 { // comparing the engines takes most of a turn's time
			e.agreed.add(sumOf(module, nil))
		}
		p, err := e.Load(context.Background(), "p", module, nil)
		if err != nil {
			t.Fatal(err)
		}
		first, err := p.claim(0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Inspect(body, question([]byte{1})); err != nil {
			t.Fatal(err)
		}
		first.release(nil)
		if _, err := p.Inspect(header, question(nil)); err != nil {
			t.Fatal(err)
		}
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		for _, bad := range []string{"trap_start", "configure_refuses", "unknown_import"} {
			if _, err := e.Load(context.Background(), "p", guest(t, bad), nil); err == nil {
				t.Fatalf("%s loaded", bad)
			}
		}
	}
	for i := range 20 {
		turn(-i)
	}
	before, goroutines := footprint(t), runtime.NumGoroutine()
	for i := range reloads {
		turn(i + 1)
	}
	after := footprint(t)
	t.Logf("%d reloads: heap %d → %d bytes, address space %d → %d bytes, goroutines %d → %d", reloads,
		before.heap, after.heap, before.virtual, after.virtual, goroutines, runtime.NumGoroutine())
	wantFlat(t, before, after)
	if n := runtime.NumGoroutine(); n > goroutines {
		t.Errorf("%d goroutines, were %d", n, goroutines)
	}
}

// custom returns a custom section, which makes a module another one.
func custom(text string) []byte {
	return append([]byte{0, byte(len(text) + 2), 1, 'n'}, text...)
}

type size struct{ heap, virtual int64 }

// footprint returns the live heap, and the address space of the process where
// the system tells: guests' memory is mapped beside the heap, 16 MiB each.
func footprint(t *testing.T) size {
	t.Helper()
	for range 3 { // machine code is unmapped by a finalizer, which needs a cycle of its own
		runtime.GC()
		debug.FreeOSMemory()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	pages := int64(0)
	if statm, err := os.ReadFile("/proc/self/statm"); err == nil {
		if _, err := fmt.Sscan(string(statm), &pages); err != nil {
			t.Fatal(err)
		}
	}
	return size{int64(m.HeapAlloc), pages * int64(os.Getpagesize())}
}

func wantFlat(t *testing.T, before, after size) {
	t.Helper()
	if grown := after.heap - before.heap; grown > 1<<20 {
		t.Errorf("the heap grew by %d bytes", grown)
	}
	if grown := after.virtual - before.virtual; grown > 1<<30 {
		t.Errorf("the address space grew by %d bytes", grown)
	}
}

// TestFaultsLeaveMemoryFlat replaces the instances of one policy over and over.
func TestFaultsLeaveMemoryFlat(t *testing.T) {
	p := load(t, newEngine(t, DefaultLimits(), nil), "out_of_bounds")
	before := footprint(t)
	for range 500 {
		if _, err := p.Inspect(header, question(nil)); err == nil {
			t.Fatal("no fault")
		}
	}
	wantFlat(t, before, footprint(t))
}

// TestEqualModulesAreIndependent closes one of two policies that share machine
// code while the other continues.
func TestEqualModulesAreIndependent(t *testing.T) {
	e := newEngine(t, DefaultLimits(), nil)
	kept := load(t, e, "sound")
	for range 20 {
		p, err := e.Load(context.Background(), "p", guest(t, "sound"), nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		runtime.GC()
		if got, err := kept.Inspect(header, question(nil)); err != nil || got != toSession(77) {
			t.Fatalf("got %v, %v", got, err)
		}
	}
}
