package meter

import (
	"bytes"
	"context"
	"runtime/debug"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"switchyard/policy/wasm/binary"
)

var none = sig{}

// one exports a single function without parameters and results.
func one(code ...[]byte) *guest {
	return &guest{pages: 1, funcs: []fn{{code: bytes.Join(code, nil), locals: []byte{tI32}, export: "run"}}}
}

func withPages(n int, body []byte) *guest { g := one(body); g.pages = n; return g }

func make50k() []byte {
	locals := make([]byte, MaxFunctionLocals)
	for i := range locals {
		locals[i] = tI64
	}
	return locals
}

// stops calls a guest that has to come to an end.
func stops(t *testing.T, m api.Module, name string) error {
	t.Helper()
	defer backstop(t)()
	_, err := m.ExportedFunction(name).Call(ctx)
	return err
}

// backstop ends the test binary if metering does not end a guest. Its time is not part of
// what is tested. The garbage collector is off meanwhile, because it would wait for such a
// guest, and all goroutines would wait for the collector.
func backstop(t *testing.T) (stop func()) {
	percent := debug.SetGCPercent(-1)
	watchdog := time.AfterFunc(time.Minute, func() { panic(t.Name() + " was not stopped by its limits") })
	return func() {
		watchdog.Stop()
		debug.SetGCPercent(percent)
	}
}

// TestHostileStartFunctionStops holds that an endless start function stops, also if it is
// exported, as the export would refill the fuel.
func TestHostileStartFunctionStops(t *testing.T) {
	for _, export := range []string{"", "start"} {
		g := &guest{start: 1, funcs: []fn{{export: "run"}, {export: export, code: loop(br(0))}}}
		limits := Limits{Fuel: 1 << 40, LoadFuel: 1000, Depth: 1000}
		func() {
			defer backstop(t)()
			if _, err := newRuntime(t).Instantiate(ctx, mustRewrite(t, g.assemble(), limits)); err == nil {
				t.Fatal("an endless start function came to an end")
			}
		}()
	}
}

// TestExportedRecursionStops holds that a function that is exported and called by the module,
// too, gets its fuel and depth only once for each call from the host.
func TestExportedRecursionStops(t *testing.T) {
	expression := code(op(opRefFunc, 0), op(opEnd))
	for name, module := range map[string][]byte{
		"call":     (&guest{funcs: []fn{{export: "run", code: call(0)}}}).assemble(),
		"other":    (&guest{funcs: []fn{{export: "run", code: call(1)}, {export: "also", code: call(0)}}}).assemble(),
		"table":    (&guest{table: []uint32{0}, funcs: []fn{{export: "run", code: code(i32(0), op(opCallIndirect, 0, 0))}}}).assemble(),
		"ref.func": (&guest{tables: [][2]uint32{{1, 1}}, funcs: []fn{{export: "run", code: code(i32(0), op(opRefFunc, 0), op(0x26, 0), i32(0), op(opCallIndirect, 0, 0))}}}).assemble(),
		"expressions": sections(op(binary.SectionType, 1, 0x60, 0, 0), op(binary.SectionFunction, 1, 0), op(binary.SectionTable, 1, tFunc, 0, 1),
			append(op(binary.SectionExport, 1, 3), "run\x00\x00"...),
			code(op(binary.SectionElement, 1, 4, opI32Const, 0, opEnd, 1), expression),
			op(binary.SectionCode, 1, 7, 0, opI32Const, 0, opCallIndirect, 0, 0, opEnd)),
	} {
		t.Run(name, func(t *testing.T) {
			m := instantiate(t, mustRewrite(t, module, tight))
			if err := stops(t, m, "run"); err == nil || depthLeft(m) >= 0 {
				t.Errorf("err %v, depth left %d; want it to run out", err, depthLeft(m))
			}
		})
	}
}

// TestFuelIsForEachCall holds that a call begins with the whole budget, whatever
// the one before left.
func TestFuelIsForEachCall(t *testing.T) {
	g := &guest{funcs: []fn{
		{export: "run", code: loop(br(0))},
		{export: "few", sig: sig{params: []byte{tI32}}, code: loop(
			get(0), i32(1), op(opI32Sub), op(opLocalTee, 0), brIf(0))},
	}}
	m := instantiate(t, mustRewrite(t, g.assemble(), tight))
	for range 3 {
		if err := stops(t, m, "run"); err == nil || fuelLeft(m) >= 0 {
			t.Fatalf("err %v, fuel left %d; want it to run out", err, fuelLeft(m))
		}
		if _, err := m.ExportedFunction("few").Call(ctx, 90_000); err != nil {
			t.Fatalf("after that: %v", err)
		}
		if left := fuelLeft(m); left < 0 || left > 10_000 {
			t.Errorf("fuel left after 90,000 turns: %d of %d", left, tight.Fuel)
		}
	}
	m.ExportedGlobal(BudgetExport).(api.MutableGlobal).Set(80_000)
	if _, err := m.ExportedFunction("few").Call(ctx, 90_000); err == nil || fuelLeft(m) >= 0 {
		t.Errorf("with a smaller budget: err %v, fuel left %d", err, fuelLeft(m))
	}
}

// TestOwnTrap holds that a guest's own trap looks different from metering's.
func TestOwnTrap(t *testing.T) {
	m := instantiate(t, mustRewrite(t, one(op(opUnreachable)).assemble(), tight))
	if err := stops(t, m, "run"); err == nil || fuelLeft(m) < 0 || depthLeft(m) < 0 {
		t.Errorf("err %v, fuel %d, depth %d; want an error and neither negative", err, fuelLeft(m), depthLeft(m))
	}
}

// TestDepthIsGivenBack holds that every way out of a function gives back what
// its frame took: end, return, and branches of all kinds to the function itself.
func TestDepthIsGivenBack(t *testing.T) {
	ways := map[string][]byte{
		"end":             nil,
		"return":          op(opReturn),
		"return_in_block": block(block(op(opReturn))),
		"br":              block(loop(br(2))),
		"br_if":           block(i32(1), brIf(1)),
		"br_table":        block(i32(9), op(0x0e, 1, 0, 1)),
		"return_in_if":    code(i32(1), ifThen(op(opReturn))),
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			g := &guest{funcs: []fn{
				{export: "run", locals: []byte{tI32}, code: code(i32(20_000), set(0), loop(
					call(1), get(0), i32(1), op(opI32Sub), op(opLocalTee, 0), brIf(0)))},
				{code: code(call(2), way)},
				{},
			}}
			limits := Limits{Fuel: 1 << 30, LoadFuel: 1 << 30, Depth: 10}
			m := instantiate(t, mustRewrite(t, g.assemble(), limits))
			if err := stops(t, m, "run"); err != nil {
				t.Fatalf("20,000 calls one after the other: %v, depth left %d", err, depthLeft(m))
			}
			if got := depthLeft(m); got != 10 {
				t.Errorf("depth after the call is %d, want 10", got)
			}
		})
	}
}

// TestHostCallsCost holds that calls to the host are paid for, and that an
// import that is exported again goes through a wrapper as well.
func TestHostCallsCost(t *testing.T) {
	g := &guest{imports: []sig{none}, funcs: []fn{{export: "run", code: loop(call(0), br(0))}}}
	module := g.assemble()
	rt := newRuntime(t)
	calls := 0
	_, err := rt.NewHostModuleBuilder("host").NewFunctionBuilder().
		WithGoFunction(api.GoFunc(func(context.Context, []uint64) { calls++ }), nil, nil).
		Export("f0").Instantiate(ctx)
	if err != nil {
		t.Fatal(err)
	}
	m, err := rt.InstantiateWithConfig(ctx, mustRewrite(t, module, tight), wazero.NewModuleConfig())
	if err != nil {
		t.Fatal(err)
	}
	if err := stops(t, m, "run"); err == nil || fuelLeft(m) >= 0 {
		t.Errorf("err %v, fuel left %d; want it to run out", err, fuelLeft(m))
	}
	if most := int(tight.Fuel) * weightPerUnit / weightLeave; calls > most || calls == 0 {
		t.Errorf("%d calls to the host, want at most %d", calls, most)
	}
}
