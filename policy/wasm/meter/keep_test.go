package meter

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero/api"
)

// TestKept holds that what the host sees of a module stays: exports with their
// signatures, and nothing else than the counters on top.
func TestKept(t *testing.T) {
	original := generate(3)
	plain, metered := instantiate(t, original), instantiate(t, mustRewrite(t, original, ample))
	got, want := metered.ExportedFunctionDefinitions(), plain.ExportedFunctionDefinitions()
	if len(got) != len(want) {
		t.Fatalf("%d functions are exported, want %d", len(got), len(want))
	}
	for name, w := range want {
		g := got[name]
		if !bytes.Equal(g.ParamTypes(), w.ParamTypes()) || !bytes.Equal(g.ResultTypes(), w.ResultTypes()) {
			t.Errorf("%s has another signature", name)
		}
	}
	parsed, err := parse(original)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int64{FuelExport: 1<<40 - int64(parsed.instanceCost()), BudgetExport: 1 << 40, DepthExport: 1 << 16} {
		g, ok := metered.ExportedGlobal(name).(api.MutableGlobal)
		if !ok || int64(g.Get()) != want {
			t.Errorf("global %s is %v, want a mutable %d", name, g, want)
		}
	}
}

func TestDeterministic(t *testing.T) {
	for seed := range uint64(20) {
		module := generate(seed)
		before := slices.Clone(module)
		if a, b := mustRewrite(t, module, ample), mustRewrite(t, module, ample); !bytes.Equal(a, b) {
			t.Errorf("seed %d: two results", seed)
		}
		if !bytes.Equal(before, module) {
			t.Errorf("seed %d: the argument was changed", seed)
		}
	}
}

// TestNamesKept holds that traps name the guest's own functions.
func TestNamesKept(t *testing.T) {
	g := &guest{
		funcs:  []fn{{export: "run", code: call(1)}, {code: op(opUnreachable)}},
		custom: []byte("\x04name\x01\x0e\x02\x00\x05outer\x01\x04sink"),
	}
	m := instantiate(t, mustRewrite(t, g.assemble(), tight))
	_, err := m.ExportedFunction("run").Call(ctx)
	if err == nil || !strings.Contains(err.Error(), ".sink()\n\t.outer()") {
		t.Errorf("the trace is %v, want sink and outer", err)
	}
}

// TestReferenceToExport holds that code may still refer to a function that
// nothing but an export named.
func TestReferenceToExport(t *testing.T) {
	g := &guest{tables: [][2]uint32{{1, 1}}, funcs: []fn{
		{export: "run", sig: sig{results: []byte{tI32}}, code: code(
			i32(0), with(opRefFunc, 1), op(0x26, 0), i32(0), op(opCallIndirect, 0, 0))},
		{export: "seven", sig: sig{results: []byte{tI32}}, code: i32(7)},
	}}
	m := instantiate(t, mustRewrite(t, g.assemble(), tight))
	got, err := m.ExportedFunction("run").Call(ctx)
	if err != nil || got[0] != 7 {
		t.Errorf("got %v, %v; want 7", got, err)
	}
}

// TestWideNumbers holds that numbers in more bytes than they need mean what they
// did, and come out short, so that all decoders agree.
func TestWideNumbers(t *testing.T) {
	short := raw(i32(5), op(0x1a), get(0), op(0x1a), op(0x0c, 0, 0x28, 2, 0), bulkOp(9, 0))
	long := raw(op(opI32Const), wide(5, 5), op(0x1a), op(opLocalGet), wide(0, 5), op(0x1a),
		op(0x0c), wide(0, 3), op(0x28), wide(2, 2), wide(0, 4),
		op(opMisc), wide(9, 3), op(0))
	if got, want := mustRewrite(t, long, ample), mustRewrite(t, short, ample); !bytes.Equal(got, want) {
		t.Errorf("got\n% x, want\n% x", got, want)
	}
}

// TestTablesAreHeld holds that all tables of a guest together stay within the
// limit.
func TestTablesAreHeld(t *testing.T) {
	grow := func(table byte) []byte { // by one element until there is no room
		return code(op(opRefNull, tFunc), i32(1<<17), bulkOp(15, table))
	}
	g := &guest{tables: [][2]uint32{{1 << 19, 1 << 30}, {10, 1 << 30}}}
	for i := range byte(2) {
		g.funcs = append(g.funcs, fn{export: string('a' + rune(i)), sig: sig{results: []byte{tI32}}, code: grow(i)})
	}
	m := instantiate(t, mustRewrite(t, g.assemble(), Limits{Fuel: 1 << 40, LoadFuel: 1 << 40, Depth: 10}))
	elements := 1<<19 + 10
	for range 20 {
		for _, name := range []string{"a", "b"} {
			got, err := m.ExportedFunction(name).Call(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if api.DecodeI32(got[0]) >= 0 {
				elements += 1 << 17
			}
		}
	}
	if elements > MaxTableElements || elements == 1<<19+10 {
		t.Errorf("the tables grew to %d elements, want at most %d", elements, MaxTableElements)
	}
}

// TestEmpty holds that a module of nothing but its header passes.
func TestEmpty(t *testing.T) {
	m := instantiate(t, mustRewrite(t, sections(), ample))
	if fuelLeft(m) != 1<<40 {
		t.Errorf("fuel is %d", fuelLeft(m))
	}
}

// What Rewrite says of a module beside the result: its imports, and the constants of globals and code.
func TestImportsAndConstants(t *testing.T) {
	drop := op(0x1a)
	g := guest{imports: []sig{{}}, globals: []byte{tI32, tF64, tI64}, funcs: []fn{
		{code: code(i32(-1), drop, i64(0x0901), drop)},
		{code: block(i32(7), drop)},
	}}
	r, err := Rewrite(g.assemble(), ample)
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(r.Imports); got != `[function "host"."f0"]` {
		t.Errorf("imports %s", got)
	}
	if want := []int64{0, 0, -1, 0x0901, 7}; !slices.Equal(r.Constants, want) {
		t.Errorf("constants %v, want %v", r.Constants, want)
	}
}
