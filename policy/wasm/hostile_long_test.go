//go:build full || race

package wasm

import (
	"runtime"
	"testing"
	"time"

	"switchyard/policy"
)

// TestHostileInspect calls each hostile guest, compiled and interpreted.
func TestHostileInspect(t *testing.T) {
	for _, kind := range []string{Compiler, Interpreter} {
		t.Run(kind, func(t *testing.T) {
			e := newEngine(t, DefaultLimits(), nil)
			if kind == Compiler && e.kind != Compiler {
				t.Skip("no compiler here: " + e.why)
			}
			e.use(kind)
			hostileInspect(t, e)
		})
	}
}

func hostileInspect(t *testing.T, e *Engine) {
	for _, c := range hostile {
		t.Run(c.name, func(t *testing.T) {
			p := load(t, e, c.name)
			for range 2 { // each time in a fresh instance
				began := time.Now()
				_, err := p.Inspect(c.byIDs, question(make([]byte, 20)))
				wantFault(t, err, c.kind, c.say)
				if took := time.Since(began); took > bound {
					t.Errorf("took %v, want at most %v", took, bound)
				}
				if len(err.Error()) > 2*errorBytes {
					t.Errorf("the error has %d bytes", len(err.Error()))
				}
				runtime.GC() // never returns if guest code still runs
				want := 0
				if c.kind == policy.FaultBody {
					want = 1 // nothing is wrong with the instance
				}
				if got := instances(p); got != want {
					t.Errorf("after the fault: got %d instances, want %d", got, want)
				}
			}
			if _, err := p.Classify(0, 0); err != nil {
				t.Errorf("classify after faults: %v", err)
			}
		})
	}
}

func TestTablesGrowToALimitOnly(t *testing.T) {
	p := load(t, newEngine(t, DefaultLimits(), nil), "table_grow")
	var size uint32
	for range 100 {
		got, err := p.Inspect(header, question(nil))
		if err != nil {
			t.Fatal(err)
		}
		size = got.Argument()
	}
	if size < 50_000 || size > 1<<20 {
		t.Errorf("a hundred times 50,000 more: the table has %d entries", size)
	}
}
