package meter

import "testing"

// TestFuelCoversCode runs code whose instructions can be counted by hand, and
// holds that fuel pays for them, and not for many times as many.
func TestFuelCoversCode(t *testing.T) {
	const turns = 1000
	work := code(get(0), i32(3), op(opI32Add), set(0)) // 4
	for name, tc := range map[string]struct {
		code []byte
		runs int // instructions in one turn
	}{
		"straight":           {repeat(100, work), 400},
		"small blocks":       {repeat(100, block(get(2), brIf(0), op(1))), 400},
		"small ifs taken":    {repeat(100, code(i32(1), ifThen(work))), 600},
		"small ifs passed":   {repeat(100, code(get(2), ifThen(op(1, 1)))), 200},
		"small else":         {repeat(100, code(get(2), control(opIf, blockEmpty, op(1), op(opElse), work))), 600},
		"large ifs taken":    {repeat(10, code(i32(1), ifThen(repeat(20, work)))), 820},
		"large ifs passed":   {repeat(10, code(get(2), ifThen(repeat(20, work)))), 20},
		"large else":         {repeat(10, code(i32(1), control(opIf, blockEmpty, op(1), op(opElse), repeat(50, work)))), 30},
		"branch over much":   {code(block(i32(1), brIf(0), repeat(100, work)), work), 8},
		"after a loop":       {code(loop(op(1)), repeat(100, work)), 402},
		"between loops":      {repeat(20, code(loop(op(1)), repeat(10, work))), 840},
		"inner loop":         {code(i32(50), set(3), loop(work, get(3), i32(1), op(opI32Sub), op(opLocalTee, 3), brIf(0))), 450},
		"divisions":          {repeat(100, code(i32(7), i32(3), op(0x6e), op(0x1a))), 700},
		"table of branches":  {repeat(50, block(block(block(i32(1), op(0x0e, 2, 0, 1, 2)), work), work)), 450},
		"many values passed": {repeat(10, code(call(1), repeat(100, op(0x1a)))), 3000},
	} {
		t.Run(name, func(t *testing.T) {
			hundred := make([]byte, 100)
			for i := range hundred {
				hundred[i] = tI32
			}
			g := &guest{funcs: []fn{
				{export: "run", locals: []byte{tI32, tI32, tI32, tI32}, code: code(i32(turns), set(1),
					loop(tc.code, get(1), i32(1), op(opI32Sub), op(opLocalTee, 1), brIf(0)))},
				{sig: sig{results: hundred}, code: repeat(100, i32(1))},
			}}
			m := instantiate(t, mustRewrite(t, g.assemble(), ample))
			if err := stops(t, m, "run"); err != nil {
				t.Fatal(err)
			}
			used := int(ample.Fuel) - int(fuelLeft(m))
			least := turns * tc.runs / weightPerUnit
			if most := 4*least + 4*turns; used < least || used > most {
				t.Errorf("%d instructions took %d units, want %d to %d", turns*tc.runs, used, least, most)
			}
		})
	}
}

// TestSettledLocals counts what the setting of locals adds at the ends of blocks
// and at the heads of loops, against the same code without setting any.
func TestSettledLocals(t *testing.T) {
	setAll := code(i32(0), set(0), i32(0), set(1), i32(0), set(2), i32(0), set(1))
	for name, tc := range map[string]struct {
		code   func(set []byte) []byte
		values int // the end of the function included
		weight int
	}{
		"function":      {func(s []byte) []byte { return s }, 3, 3},
		"block":         {func(s []byte) []byte { return block(s) }, 3 + 3, 6},
		"before, too":   {func(s []byte) []byte { return code(s, block(s)) }, 3 + 3, 6},
		"nested blocks": {func(s []byte) []byte { return block(block(block(s))) }, 4 * 3, 12},
		"outside again": {func(s []byte) []byte { return block(s, block(s, block(s)), s) }, 4 * 3, 12},
		"siblings":      {func(s []byte) []byte { return block(block(s), block(s)) }, 4 * 3, 12},
		"if and else":   {func(s []byte) []byte { return code(i32(1), control(opIf, blockEmpty, s, op(opElse), s)) }, 6, 6},
		"loop":          {func(s []byte) []byte { return loop(s) }, 6, 9},
		"loop in block": {func(s []byte) []byte { return block(loop(s)) }, 9, 12},
	} {
		t.Run(name, func(t *testing.T) {
			values, weight := count(t, tc.code(setAll))
			without, withoutWeight := count(t, tc.code(repeat(4, code(i32(0), op(0x1a)))))
			if got := values - without; got != tc.values {
				t.Errorf("setting locals adds %d values, want %d", got, tc.values)
			}
			if got := weight - withoutWeight; got != tc.weight {
				t.Errorf("setting locals adds a weight of %d, want %d", got, tc.weight)
			}
		})
	}
}

// count returns the values and the weight of a function's code.
func count(t *testing.T, instructions []byte) (values, weight int) {
	t.Helper()
	g := &guest{funcs: []fn{{locals: []byte{tI32, tI32, tI32}, code: instructions}}}
	m, err := parse(g.assemble())
	if err != nil {
		t.Fatal(err)
	}
	b := body{m: m, r: m.bodies[0], sig: m.types[0]}
	b.readLocals()
	if b.readCode(); b.r.Err != nil {
		t.Fatal(b.r.Err)
	}
	for _, k := range b.marks {
		weight += int(k.weight)
	}
	return int(b.values), weight
}
