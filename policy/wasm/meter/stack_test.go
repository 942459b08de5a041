package meter

import (
	"runtime"
	"testing"
)

// TestStackIsBounded lets functions recurse whose frames are as large as code
// can make them, and measures what the native stack took: at most 1 KiB for a
// unit of depth, where growing by doubling, with all copies, makes that four.
func TestStackIsBounded(t *testing.T) {
	const depth = 2000
	load := code(get(0), op(opVector, 0, 0, 0)) // a v128 that cannot be made again
	use := op(opVector, 0x53, opGlobalSet, 0)   // v128.any_true into a global
	many := make([]byte, MaxArity)
	for i := range many {
		many[i] = tV128
	}
	param := sig{params: []byte{tI32}}
	frames := map[string][]fn{
		"small":  {{sig: param, code: code(get(0), call(0))}},
		"values": {{sig: param, code: code(repeat(5000, load), get(0), call(0), repeat(5000, use))}},
		"locals": {{sig: param, locals: many, code: code(eachLocal(func(i int) []byte { return code(load, set(i)) }),
			get(0), call(0), eachLocal(func(i int) []byte { return code(get(i), use) }))}},
		"results": {
			{sig: param, code: code(get(0), call(1), repeat(MaxArity, op(0x1a)))},
			{sig: sig{param.params, many}, code: code(get(0), call(0), get(0), call(1))},
		},
		"loops": {{sig: param, locals: many[:100], code: code(
			repeat(100, op(opLoop, blockEmpty)),
			eachLocal(func(i int) []byte { return code(get(i%100+1), load, op(opVector, 0x4e), set(i%100+1)) }),
			get(0), call(0),
			repeat(100, code(eachLocal(func(i int) []byte {
				if i > 100 {
					return nil
				}
				return code(get(i), use)
			}), get(0), brIf(0), op(opEnd))))}},
	}
	if !allFrames {
		delete(frames, "loops")
	}
	for name, funcs := range frames {
		t.Run(name, func(t *testing.T) {
			funcs[0].export = "run"
			g := &guest{pages: 1, globals: []byte{tI32}, funcs: funcs}
			m := instantiate(t, mustRewrite(t, g.assemble(), Limits{Fuel: 1 << 40, LoadFuel: 1 << 40, Depth: depth}))
			run := m.ExportedFunction("run")
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := run.Call(ctx, 0)
			runtime.ReadMemStats(&after)
			if err == nil || depthLeft(m) >= 0 {
				t.Fatalf("err %v, depth left %d; want it to be negative", err, depthLeft(m))
			}
			took := after.TotalAlloc - before.TotalAlloc
			t.Logf("%d KiB allocated for %d units", took>>10, depth)
			if took > 4*depth<<10 {
				t.Errorf("allocated %d KiB, want at most %d", took>>10, 4*depth)
			}
		})
	}
}

func eachLocal(f func(i int) []byte) (out []byte) {
	for i := 1; i <= MaxArity; i++ {
		out = append(out, f(i)...)
	}
	return out
}
