package meter

import (
	"fmt"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// TestComparisonsWithZero runs each comparison of a constant zero with an `and`, between
// whose parts a compiler sees, on the default engine, and holds that it answers as the
// interpreter does.
func TestComparisonsWithZero(t *testing.T) {
	for _, wide := range []bool{false, true} {
		number := byte(tI32)
		if wide {
			number = tI64
		}
		for cmp := range byte(10) {
			t.Run(fmt.Sprintf("i64 %v/%#x", wide, cmp), func(t *testing.T) {
				g := &guest{} // one of many functions is made faster than many of one
				for between, compare := range comparisons(wide, cmp) {
					for use, consume := range consumers {
						g.funcs = append(g.funcs, fn{export: between + "/" + use, sig: sig{[]byte{number}, []byte{tI32}},
							locals: []byte{number, number, tI32}, code: consume(compare)})
					}
				}
				agreeOnEngines(t, mustRewrite(t, g.assemble(), ample), []uint64{0, 1, 2, 3, 1 << 31, 1 << 63, 1<<64 - 1})
			})
		}
	}
}

// comparisons compares 0 with the parameter's `and` with -3. Locals 1 and 2 are of its type,
// 3 is an i32; local 2 is never set but by the code here.
func comparisons(wide bool, cmp byte) map[string][]byte {
	zero, mask, and, shl, equal := i32(0), i32(-3), op(opI32And), op(opI32Shl), byte(0x46)
	if wide {
		zero, mask, and, shl, equal = i64(0), i64(-3), op(opI64And), op(opI64Shl), 0x51
	}
	cmp += equal
	masked := code(get(0), mask, and)
	return map[string][]byte{
		"nothing":           code(zero, masked, op(cmp)),
		"exchanged":         code(masked, zero, op(cmp)),
		"tee":               code(zero, masked, with(opLocalTee, 1), op(cmp)),
		"local":             code(masked, set(1), zero, get(1), op(cmp)),
		"local of local":    code(masked, set(1), get(1), set(2), zero, get(2), op(cmp)),
		"zero in a local":   code(zero, set(1), get(1), masked, op(cmp)),
		"local never set":   code(get(2), masked, op(cmp)),
		"shift by zero":     code(zero, masked, zero, shl, op(cmp)),
		"shift by width":    code(zero, masked, code(mask, op(0x1a), widthOf(wide)), shl, op(cmp)),
		"shift by a local":  code(zero, masked, get(2), shl, op(cmp)),
		"set inside a loop": code(loop(masked, set(1)), zero, get(1), op(cmp)),
		"block":             code(zero, control(opBlock, typeOf(wide), masked), op(cmp)),
		"set after":         code(loop(get(1), set(2), masked, set(1)), zero, get(1), op(cmp)),
		"stored between":    code(masked, set(1), i32(1), set(3), zero, get(1), op(1), op(cmp)),
		"set between":       code(zero, masked, mask, set(1), op(cmp)),
		"dropped between":   code(zero, masked, mask, op(0x1a), op(cmp)),
		"condition set":     code(zero, masked, op(cmp), set(3), get(3)),
		"condition tee":     code(zero, masked, op(cmp), with(opLocalTee, 3)),
		"eqz":               code(zero, masked, op(cmp), op(0x45)),
		"eqz twice":         code(zero, masked, op(cmp), op(0x45), op(0x45)),
	}
}

func typeOf(wide bool) byte {
	if wide {
		return tI64
	}
	return tI32
}

func widthOf(wide bool) []byte {
	if wide {
		return i64(64)
	}
	return i32(32)
}

// consumers make 7 or 9 of a condition.
var consumers = map[string]func(condition []byte) []byte{
	"if": func(c []byte) []byte {
		return code(c, control(opIf, tI32, i32(7), op(opElse), i32(9)))
	},
	"br_if": func(c []byte) []byte {
		return control(opBlock, tI32, i32(7), c, brIf(0), op(0x1a), i32(9))
	},
	"br_if twice": func(c []byte) []byte {
		return control(opBlock, tI32, block(block(c, brIf(0), br(1)), i32(7), br(1)), i32(9))
	},
	"select": func(c []byte) []byte { return code(i32(7), i32(9), c, op(0x1b)) },
	"value":  func(c []byte) []byte { return code(c, i32(7), op(opI32Add)) },
}

// agreeOnEngines calls every exported function of a module for each argument, compiled and
// interpreted. It holds that both engines return the same and use the same fuel.
func agreeOnEngines(t *testing.T, module []byte, args []uint64) {
	t.Helper()
	compiled := instantiate(t, module)
	rt := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
	defer rt.Close(ctx)
	interpreted, err := rt.Instantiate(ctx, module)
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range compiled.ExportedFunctionDefinitions() {
		for _, arg := range args {
			if f.ParamTypes()[0] == api.ValueTypeI32 {
				arg = uint64(uint32(arg))
			}
			got, gotErr := compiled.ExportedFunction(name).Call(ctx, arg)
			want, wantErr := interpreted.ExportedFunction(name).Call(ctx, arg)
			if gotErr != nil || wantErr != nil {
				t.Fatalf("%s(%#x): %v; interpreted: %v", name, arg, gotErr, wantErr)
			}
			if api.DecodeI32(got[0]) != api.DecodeI32(want[0]) || fuelLeft(compiled) != fuelLeft(interpreted) {
				t.Errorf("%s(%#x) = %d, interpreted %d", name, arg, api.DecodeI32(got[0]), api.DecodeI32(want[0]))
			}
		}
	}
}
