package meter

import "testing"

// TestFuelCoversCode runs code whose instructions can be counted by hand, and
// holds that fuel pays for them, and not for many times as many.
func TestFuelCoversCode(t *testing.T) {
	const turns = 1000
	work := code(get(0), i32(3), op(opI32Add), set(0)) // 4
	for name, tc := range map[string]struct {
		code []byte
		runs int // instructions in one turn; an if counts as two, a br_table as sixteen
	}{
		"straight":           {repeat(100, work), 400},
		"small blocks":       {repeat(100, block(get(2), brIf(0), op(1))), 400},
		"small ifs taken":    {repeat(100, code(i32(1), ifThen(work))), 600},
		"small ifs passed":   {repeat(100, code(get(2), ifThen(op(1, 1)))), 300},
		"small else":         {repeat(100, code(get(2), control(opIf, blockEmpty, op(1), op(opElse), work))), 600},
		"large ifs taken":    {repeat(10, code(i32(1), ifThen(repeat(20, work)))), 820},
		"large ifs passed":   {repeat(10, code(get(2), ifThen(repeat(20, work)))), 20},
		"large else":         {repeat(10, code(i32(1), control(opIf, blockEmpty, op(1), op(opElse), repeat(50, work)))), 30},
		"branch over much":   {code(block(i32(1), brIf(0), repeat(100, work)), work), 8},
		"after a loop":       {code(loop(op(1)), repeat(100, work)), 402},
		"between loops":      {repeat(20, code(loop(op(1)), repeat(10, work))), 840},
		"inner loop":         {code(i32(50), set(3), loop(work, get(3), i32(1), op(opI32Sub), op(opLocalTee, 3), brIf(0))), 450},
		"divisions":          {repeat(100, code(i32(7), i32(3), op(0x6e), op(0x1a))), 700},
		"table of branches":  {repeat(50, block(block(block(i32(1), op(0x0e, 2, 0, 1, 2)), work), work)), 1200},
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

// TestGrowingIsPaid holds that each page that memory grows by costs 1,024 units, which pay
// for the system's work of 16 pages of 4 KiB.
func TestGrowingIsPaid(t *testing.T) {
	g := &guest{pages: 1, funcs: []fn{{export: "run", sig: sig{params: []byte{tI32}}, code: code(get(0), op(opMemoryGrow, 0, 0x1a))}}}
	m := instantiate(t, mustRewrite(t, g.assemble(), ample))
	used := func(pages uint64) int64 {
		if _, err := m.ExportedFunction("run").Call(ctx, pages); err != nil {
			t.Fatal(err)
		}
		return int64(ample.Fuel) - fuelLeft(m)
	}
	if got := used(100) - used(0); got != 100*1024 {
		t.Errorf("growing by 100 pages takes %d units more than by none, want %d", got, 100*1024)
	}
}

// TestFarAccessesCost holds that a load costs a quarter of a unit, a store half of one, and each
// of them more while the memory is large. A vector costs as much as a number.
func TestFarAccessesCost(t *testing.T) {
	const access = 100
	used := func(pages int, code []byte) int64 {
		m := instantiate(t, mustRewrite(t, withPages(pages, code).assemble(), ample))
		if err := stops(t, m, "run"); err != nil {
			t.Fatal(err)
		}
		return int64(ample.Fuel) - fuelLeft(m)
	}
	without := used(1, code(i32(0), op(0x1a)))
	vector := code(op(opVector, opV128Const), make([]byte, 16))
	for name, tc := range map[string]struct {
		code           []byte
		near, mid, far int64
	}{
		"loads":          {code(i32(0), repeat(access, op(0x28, 2, 0)), op(0x1a)), 25, 325, 825},
		"stores":         {repeat(access, code(i32(0), i32(0), op(0x36, 2, 0))), 62, 62, 262},
		"vectors":        {repeat(access, code(i32(0), vector, op(opVector, 0x0b, 0, 0))), 81, 81, 281},
		"lanes":          {repeat(access, code(i32(0), vector, op(opVector, 0x5b, 0, 0, 1))), 81, 81, 281},
		"both":           {repeat(access, code(i32(0), i32(0), op(0x28, 2, 0), op(0x36, 2, 0))), 87, 387, 1087},
		"small branches": {repeat(access, code(i32(0), ifThen(i32(0), i32(0), op(0x36, 2, 0)))), 87, 87, 287}, // paid before them
	} {
		for pages, want := range map[int]int64{1: tc.near, nearPages: tc.near, nearPages + 1: tc.mid, FarPages: tc.mid, FarPages + 1: tc.far, 200: tc.far} {
			if got := used(pages, tc.code) - without; got < want-1 || got > want+1 {
				t.Errorf("%d pages: %s cost %d units, want %d", pages, name, got, want)
			}
		}
	}
}

// TestGrownMemoryCosts holds that loads and stores after memory.grow, or after a call of a
// function that does it, cost what they cost in the memory of the new size, although charges
// before it pay for the rest of the code.
func TestGrownMemoryCosts(t *testing.T) {
	const access = 100
	grow := code(i32(FarPages), op(opMemoryGrow, 0, 0x1a))
	loads := code(i32(0), repeat(access, op(0x28, 2, 0)), op(0x1a))
	for name, tc := range map[string]struct {
		code []byte
		most int64 // units besides those of growing
	}{
		"loads":             {code(grow, loads), access * (farUnits + 1)},
		"stores":            {code(grow, repeat(access, code(i32(0), i32(0), op(0x36, 2, 0)))), access * 3},
		"in a call":         {code(call(1), loads), access * (farUnits + 1)},
		"in a block":        {code(block(get(0), brIf(0), grow), loads), access * (farUnits + 1)},
		"in an if":          {code(i32(1), ifThen(grow), loads), access * (farUnits + 1)},
		"in an else":        {code(get(0), control(opIf, blockEmpty, op(opElse), grow), loads), access * (farUnits + 1)},
		"call in a block":   {code(block(block(get(0), brIf(1), call(1))), loads), access * (farUnits + 1)},
		"in a loop":         {code(loop(grow), loads), access * (farUnits + 1)},
		"loads in a branch": {code(call(1), block(get(0), brIf(0), loads)), access * (farUnits + 1)},
		"loads in a loop":   {code(call(1), loop(loads)), access * (farUnits + 1)},
		"loads twice":       {code(loop(loads, get(0), op(0x45), ifThen(grow, i32(1), set(0), br(1)))), access * (farUnits + 1)},
		"after many calls":  {code(grow, repeat(maxRenewed, code(call(2), i32(0), op(0x28, 2, 0), op(0x1a))), call(2), loads), (maxRenewed + access) * (farUnits + 2)},
		"loads before":      {code(loads, grow), access},
	} {
		t.Run(name, func(t *testing.T) {
			g := &guest{pages: 1, funcs: []fn{{export: "run", locals: []byte{tI32}, code: tc.code}, {code: grow}, {}}}
			m := instantiate(t, mustRewrite(t, g.assemble(), ample))
			if err := stops(t, m, "run"); err != nil {
				t.Fatal(err)
			}
			used := int64(ample.Fuel) - fuelLeft(m) - FarPages*1024
			least := tc.most * 9 / 10
			if name == "loads before" {
				least = access / 4
			}
			if used < least || used > tc.most+100 {
				t.Errorf("%d units besides those of growing, want %d to %d", used, least, tc.most+100)
			}
		})
	}
}

// TestNearLoads holds which loads are charged little at each turn of a loop, and once before
// it as much as any.
func TestNearLoads(t *testing.T) {
	load := op(0x2d, 0, 0)
	next := func(by int32) []byte { return code(get(0), i32(by), op(opI32Add), set(0)) }
	at := code(get(0), load, op(0x1a))
	for name, tc := range map[string]struct {
		code []byte
		near bool
	}{
		"byte by byte":           {loop(at, next(1)), true},
		"backwards":              {loop(at, get(0), i32(1), op(opI32Sub), set(0)), true},
		"tee":                    {loop(get(0), i32(1), op(opI32Add), with(opLocalTee, 0), load, op(0x1a)), true},
		"base and index":         {loop(get(0), get(1), op(opI32Add), load, op(0x1a), next(4)), true},
		"in a branch":            {loop(get(2), ifThen(at), next(64)), true},
		"same place":             {loop(at), true},
		"set before":             {code(i32(77), set(0), loop(at, next(1))), true},
		"no loop":                {at, false},
		"large steps":            {loop(at, next(65)), false},
		"follows what it loads":  {loop(get(0), load, set(0)), false},
		"set in an inner loop":   {loop(at, loop(get(0), load, set(0))), false},
		"set after, in the loop": {loop(at, i32(5), set(0)), false},
		"adds what it loads":     {loop(get(0), get(0), load, op(opI32Add), set(0)), false},
		"adds another local":     {loop(at, get(0), get(1), op(opI32Add), set(0)), false},
		"constant address":       {loop(i32(5), load, op(0x1a)), false},
		"result of a block":      {loop(control(opBlock, tI32, get(0)), load, op(0x1a)), false},
	} {
		t.Run(name, func(t *testing.T) {
			g := &guest{pages: 1, funcs: []fn{{locals: []byte{tI32, tI32, tI32}, code: tc.code}}}
			m, err := parse(g.assemble())
			if err != nil {
				t.Fatal(err)
			}
			b := body{m: m, r: m.bodies[0], sig: m.types[0]}
			b.readLocals()
			b.readCode()
			before := b.marks[0].loads
			b.lighten()
			if near := b.marks[0].loads > before; near != tc.near {
				t.Errorf("charged as near: %v, want %v", near, tc.near)
			}
		})
	}
}

// TestDepthOfFrames holds that a frame takes one unit of depth, and one more for every 64
// values.
func TestDepthOfFrames(t *testing.T) {
	for values, want := range map[uint64]uint64{0: 1, 1: 1, 63: 1, 64: 2, 127: 2, 128: 3, 6400: 101} {
		if got := depthFor(values); got != want {
			t.Errorf("depthFor(%d) = %d, want %d", values, got, want)
		}
	}
}

// TestDepthIsTaken holds how deep a function may call itself, and that a function which
// calls nothing is counted only if its frame is large.
func TestDepthIsTaken(t *testing.T) {
	values := func(n int) []byte { return repeat(n, code(i32(1), op(0x1a))) }
	param := sig{params: []byte{tI32}}
	// leaf returns a guest whose "run" calls itself n times, and then a function of so many values.
	leaf := func(n int) []byte {
		return (&guest{funcs: []fn{
			{export: "run", sig: param, code: code(get(0), control(opIf, blockEmpty,
				get(0), i32(1), op(opI32Sub), call(0), op(opElse), call(1)))},
			{code: values(n)},
		}}).assemble()
	}
	for name, tc := range map[string]struct {
		values, calls int
		fits          bool
	}{
		"ten frames and a small one":           {15 * valuesPerDepth, 9, true},
		"eleven frames":                        {1, 10, false},
		"one frame and a leaf of 9 units":      {8 * valuesPerDepth, 0, true},
		"one frame and a leaf of over 16":      {17 * valuesPerDepth, 0, false},
		"one frame and a leaf of several tens": {60 * valuesPerDepth, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			m := instantiate(t, mustRewrite(t, leaf(tc.values), Limits{Fuel: 1 << 30, LoadFuel: 1 << 30, Depth: 10}))
			_, err := m.ExportedFunction("run").Call(ctx, uint64(tc.calls))
			if fits := err == nil && depthLeft(m) >= 0; fits != tc.fits {
				t.Errorf("got %v, %d units of depth left; want it to fit: %v", err, depthLeft(m), tc.fits)
			}
		})
	}
}

// TestDepthOfShallowCalls holds that functions hold no depth if together they can never have
// more than some small frames, and that those do which can recurse or nest deeper.
func TestDepthOfShallowCalls(t *testing.T) {
	chain := func(n int, last []byte) (funcs []fn) {
		for i := range n - 1 {
			funcs = append(funcs, fn{code: call(i + 1)})
		}
		return append(funcs, fn{code: last})
	}
	for name, tc := range map[string]struct {
		funcs []fn
		want  int // of the functions from the first on that are counted
	}{
		"short chain":          {chain(smallFrame, nil), 0},
		"longer chain":         {chain(smallFrame+3, nil), 3},
		"twice the same":       {chain(3, code(call(3), call(3))), 0},
		"large last frame":     {chain(3, repeat(smallFrame*valuesPerDepth, code(i32(1), op(0x1a)))), 3},
		"recursive at the end": {chain(5, call(4)), 5},
		"cycle":                {chain(5, call(0)), 5},
		"through a table":      {chain(4, code(i32(0), op(opCallIndirect, 0, 0))), 4},
	} {
		t.Run(name, func(t *testing.T) {
			g := &guest{tables: [][2]uint32{{1, 1}}, funcs: append(tc.funcs, fn{})}
			m, err := parse(g.assemble())
			if err == nil {
				err = m.meter()
			}
			if err != nil {
				t.Fatal(err)
			}
			for i, counted := range m.counted() {
				if counted != (i < tc.want) {
					t.Errorf("function %d is counted: %v", i, counted)
				}
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
