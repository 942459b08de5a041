//go:build full || race

package meter

import "testing"

func TestHostileGuestsStop(t *testing.T) {
	for name, h := range hostile {
		t.Run(name, func(t *testing.T) {
			m := instantiate(t, mustRewrite(t, h.guest.assemble(), tight))
			err := stops(t, m, "run")
			if err == nil {
				t.Fatal("the guest came to an end by itself")
			}
			if out := depthLeft(m) < 0; out != h.depth {
				t.Errorf("depth left %d, want it negative: %v", depthLeft(m), h.depth)
			}
			if out := fuelLeft(m) < 0; out == h.depth {
				t.Errorf("fuel left %d, want it negative: %v; %v", fuelLeft(m), !h.depth, err)
			}
		})
	}
}

// hostile guests run for ever, or for hours, unless they are stopped. Each
// exports "run".
var hostile = map[string]struct {
	guest *guest
	depth bool // stopped by depth, not by fuel
}{
	"endless_loop":        {guest: one(loop(br(0)))},
	"endless_br_if":       {guest: one(loop(i32(1), brIf(0)))},
	"endless_br_table":    {guest: one(loop(block(i32(5), op(0x0e, 2, 0, 1, 1))))},
	"endless_if_else":     {guest: one(loop(get(0), control(opIf, blockEmpty, br(1), op(opElse), br(1))))},
	"endless_inner_loop":  {guest: one(loop(loop(br(1))))},
	"endless_outer_block": {guest: one(loop(block(block(br(2)))))},
	"endless_recursion":   {guest: one(call(0)), depth: true},
	"mutual_recursion_by_table": {depth: true, guest: &guest{
		table: []uint32{0, 1},
		funcs: []fn{
			{export: "run", code: code(i32(1), op(opCallIndirect, 0, 0))},
			{code: code(i32(0), op(opCallIndirect, 0, 0))},
		},
	}},
	"exponential_recursion": {guest: &guest{funcs: []fn{
		{export: "run", code: code(i32(60), call(1), op(0x1a))},
		{sig: sig{[]byte{tI32}, []byte{tI32}}, code: code(
			get(0), i32(2), op(0x48), control(opIf, tI32, get(0), op(opElse),
				get(0), i32(1), op(opI32Sub), call(1), get(0), i32(2), op(opI32Sub), call(1), op(opI32Add)))},
	}}},
	"deep_frames_with_many_locals": {depth: true, guest: &guest{funcs: []fn{
		{export: "run", locals: make50k(), code: code(call(0))},
	}}},
	"fill_loop":                {guest: withPages(256, loop(i32(0), i32(1), i32(16<<20), bulkOp(11, 0), br(0)))},
	"copy_loop":                {guest: withPages(256, loop(i32(0), i32(8<<20), i32(8<<20), bulkOp(10, 0, 0), br(0)))},
	"fill_of_nearly_4_gib":     {guest: one(loop(i32(0), i32(0), i32(-1), bulkOp(11, 0), br(0)))},
	"memory_grow_loop":         {guest: one(loop(i32(1), op(opMemoryGrow, 0), op(0x1a), br(0)))},
	"memory_grow_by_minus_one": {guest: one(loop(i32(-1), op(opMemoryGrow, 0), op(0x1a), br(0)))},
	"memory_grow_by_zero":      {guest: one(loop(i32(0), op(opMemoryGrow, 0), op(0x1a), br(0)))},
	"table_fill_loop":          {guest: withTable(1<<19, loop(i32(0), op(opRefNull, tFunc), i32(1<<19), bulkOp(17, 0), br(0)))},
	"table_copy_loop":          {guest: withTable(1<<19, loop(i32(0), i32(1<<18), i32(1<<18), bulkOp(14, 0, 0), br(0)))},
	"table_grow_loop":          {guest: withTable(1, loop(op(opRefNull, tFunc), i32(100), bulkOp(15, 0), op(0x1a), br(0)))},
	"straight_line_called_often": {guest: &guest{funcs: []fn{
		{export: "run", code: loop(call(1), br(0))},
		{locals: []byte{tI32}, code: repeat(20_000, code(get(0), i32(7), op(opI32Add), set(0)))},
	}}},
	"straight_line_in_loop": {guest: one(loop(repeat(20_000, code(get(0), i32(7), op(opI32Add), set(0))), br(0)))},
	"straight_line_in_if":   {guest: one(loop(i32(1), ifThen(repeat(20_000, code(get(0), i32(7), op(opI32Add), set(0)))), br(0)))},
	"straight_line_after_loop": {guest: one(loop(loop(get(0), brIf(0)),
		repeat(20_000, code(get(0), i32(0), op(opI32Add), set(0))), br(0)))},
}

func withTable(n uint32, body []byte) *guest {
	g := one(body)
	g.tables = [][2]uint32{{n, 1 << 30}}
	return g
}
