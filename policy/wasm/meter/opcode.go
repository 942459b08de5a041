package meter

import (
	"fmt"

	"switchyard/policy/wasm/binary"
)

// The opcodes that rewriting handles or writes.
const (
	opUnreachable  = 0x00
	opBlock        = 0x02
	opLoop         = 0x03
	opIf           = 0x04
	opElse         = 0x05
	opEnd          = 0x0b
	opBr           = 0x0c
	opBrIf         = 0x0d
	opBrTable      = 0x0e
	opReturn       = 0x0f
	opCall         = 0x10
	opCallIndirect = 0x11
	opLocalGet     = 0x20
	opLocalSet     = 0x21
	opLocalTee     = 0x22
	opGlobalGet    = 0x23
	opGlobalSet    = 0x24
	opMemorySize   = 0x3f
	opMemoryGrow   = 0x40
	opI32Const     = 0x41
	opI64Const     = 0x42
	opF32Const     = 0x43
	opF64Const     = 0x44
	opI32GtU       = 0x4b
	opI32LtS       = 0x48
	opI32GeU       = 0x4f
	opI64LtS       = 0x53
	opI64GeU       = 0x5a
	opI32Add       = 0x6a
	opI32Sub       = 0x6b
	opI32Mul       = 0x6c
	opI32And       = 0x71
	opI32Or        = 0x72
	opI32Shl       = 0x74
	opI32ShrU      = 0x76
	opI64Sub       = 0x7d
	opI64Mul       = 0x7e
	opI64And       = 0x83
	opI64Or        = 0x84
	opI64Shl       = 0x86
	opI64ShrU      = 0x88
	opI64ExtendS   = 0xac
	opI64ExtendU   = 0xad
	opRefNull      = 0xd0
	opRefFunc      = 0xd2
	opMisc         = 0xfc // a second number follows
	opVector       = 0xfd // a second number follows
	opV128Const    = 0x0c // after opVector
	blockEmpty     = binary.Block
)

// An immediate is the kind of operands that follow an opcode in the code. The zero value
// stands for an unknown opcode.
type immediate uint8

const (
	immUnknown      immediate = iota
	immNone                   // nothing
	immControl                // block, loop, if, else, end: see body.control
	immLabel                  // of br, br_if
	immLabels                 // of br_table
	immReturn                 // nothing, but a return becomes a br
	immCall                   // function
	immCallIndirect           // type, table
	immSelect                 // a vector of one type
	immLocalGet               // local
	immLocalSet               // local that is written
	immGlobal                 // global
	immTable                  // table
	immMemory                 // a zero byte
	immMemarg                 // alignment, offset
	immI32                    // signed
	immI64                    // signed
	immBytes4                 //
	immBytes8                 //
	immBytes16                //
	immRefNull                // a reference type
	immRefFunc                // function
	immData                   // data segment
	immDataMemory             // data segment, a zero byte
	immMemories               // two zero bytes
	immElem                   // element segment
	immElemTable              // element segment, table
	immTables                 // two tables
	immLane                   // one byte
	immMemargLane             // alignment, offset, one byte
)

// An opcode says how an instruction is encoded, and what running it costs.
type opcode struct {
	imm    immediate
	weight uint8 // in simple instructions, without what its operands add
	idle   bool  // produces no value
	bulk   bulk  // cost of the length on top of the stack
}

// How the opcodes of one byte are arranged, which is why ranges of them fill the table:
//
//	0x00–0x11  control: blocks, branches, calls     0x45–0x66  comparisons
//	0x1a–0x1c  drop, select                         0x67–0xa6  arithmetic
//	0x20–0x26  locals, globals, tables              0xa7–0xc4  conversions, sign extension
//	0x28–0x3e  loads and stores                     0xd0–0xd2  references
//	0x3f–0x44  memory, constants                    0xfc 0xfd  misc, vector

// plain holds the opcodes of one byte; misc and vector hold those after opMisc and opVector.
// An empty entry is an opcode that does not exist or belongs to an extension. The
// specification groups opcodes of one kind, so the tables are filled by ranges; exceptions
// within a range are set afterwards.
var (
	plain  = plainOpcodes()
	misc   = miscOpcodes()
	vector = vectorOpcodes()
)

// plainOpcodes returns the instructions whose opcode is one byte.
func plainOpcodes() (t [256]opcode) {
	fill := func(from, to int, imm immediate) {
		for i := from; i <= to; i++ {
			t[i] = opcode{imm: imm, weight: 1}
		}
	}
	fill(0x00, 0x01, immNone)    // unreachable, nop
	fill(0x02, 0x05, immControl) // block, loop, if, else
	fill(0x0b, 0x0b, immControl) // end
	fill(0x0c, 0x0d, immLabel)
	fill(0x0e, 0x0e, immLabels)
	fill(0x0f, 0x0f, immReturn)
	fill(0x10, 0x10, immCall)
	fill(0x11, 0x11, immCallIndirect)
	fill(0x1a, 0x1b, immNone) // drop, select
	fill(0x1c, 0x1c, immSelect)
	fill(0x20, 0x20, immLocalGet)
	fill(0x21, 0x22, immLocalSet)
	fill(0x23, 0x24, immGlobal)
	fill(0x25, 0x26, immTable)
	fill(0x28, 0x3e, immMemarg)
	fill(0x3f, 0x40, immMemory)
	fill(0x41, 0x41, immI32)
	fill(0x42, 0x42, immI64)
	fill(0x43, 0x43, immBytes4)
	fill(0x44, 0x44, immBytes8)
	fill(0x45, 0xc4, immNone) // comparisons, arithmetic, conversions, sign extension
	fill(0xd0, 0xd0, immRefNull)
	fill(0xd1, 0xd1, immNone) // ref.is_null
	fill(0xd2, 0xd2, immRefFunc)

	// Division, remainder and square root take many times as long as an addition:
	// i32.div_s to i32.rem_u, i64.div_s to i64.rem_u, f32.sqrt, f32.div, f64.sqrt, f64.div.
	for _, op := range []int{0x6d, 0x6e, 0x6f, 0x70, 0x7f, 0x80, 0x81, 0x82, 0x91, 0x95, 0x9f, 0xa3} {
		t[op].weight = weightDivision
	}
	weigh := func(from, to int, weight uint8) {
		for i := from; i <= to; i++ {
			t[i].weight = weight
		}
	}
	weigh(0x04, 0x04, weightBranch) // if
	weigh(0x0d, 0x0d, weightBranch) // br_if
	weigh(0x0e, 0x0e, weightCall)   // br_table
	weigh(0x28, 0x35, weightNear)
	weigh(0x36, 0x3e, weightStore)
	weigh(0x8d, 0x90, weightRound) // f32.ceil to nearest
	weigh(0x9b, 0x9e, weightRound) // f64.ceil to nearest
	weigh(0xa8, 0xbb, weightRound) // conversions
	idle := func(from, to int) {
		for i := from; i <= to; i++ {
			t[i].idle = true
		}
	}
	idle(0x00, 0x0f) // control
	idle(0x1a, 0x1a) // drop
	idle(0x20, 0x22) // locals: only names for values
	idle(0x24, 0x24) // global.set
	idle(0x36, 0x3e) // stores
	t[opCallIndirect].weight = weightIndirect
	t[opRefFunc].weight = weightLeave
	t[opMemoryGrow].weight = weightLeave
	t[opMemoryGrow].bulk = bulkPages
	return t
}

func miscOpcodes() (t [256]opcode) {
	for i := 0; i <= 7; i++ { // saturating conversions
		t[i] = opcode{imm: immNone, weight: weightRound}
	}
	t[8] = opcode{imm: immDataMemory, weight: weightMove, bulk: bulkBytes}    // memory.init
	t[9] = opcode{imm: immData, weight: 1}                                    // data.drop
	t[10] = opcode{imm: immMemories, weight: weightMove, bulk: bulkBytes}     // memory.copy
	t[11] = opcode{imm: immMemory, weight: weightMove, bulk: bulkBytes}       // memory.fill
	t[12] = opcode{imm: immElemTable, weight: weightMove, bulk: bulkElements} // table.init
	t[13] = opcode{imm: immElem, weight: 1}                                   // elem.drop
	t[14] = opcode{imm: immTables, weight: weightMove, bulk: bulkElements}    // table.copy
	t[15] = opcode{imm: immTable, weight: weightLeave, bulk: bulkElements}    // table.grow
	t[16] = opcode{imm: immTable, weight: 1}                                  // table.size
	t[17] = opcode{imm: immTable, weight: weightMove, bulk: bulkElements}     // table.fill
	return t
}

// vectorOpcodes covers the whole range of fixed-width SIMD, and then removes the numbers that
// the specification does not assign.
func vectorOpcodes() (t [256]opcode) {
	fill := func(from, to int, imm immediate) {
		for i := from; i <= to; i++ {
			t[i] = opcode{imm: imm, weight: weightVector}
		}
	}
	fill(0x00, 0x0b, immMemarg) // loads, store
	fill(0x0c, 0x0d, immBytes16)
	fill(0x0e, 0x14, immNone)
	fill(0x15, 0x22, immLane)
	fill(0x23, 0x53, immNone)
	fill(0x54, 0x5b, immMemargLane)
	fill(0x5c, 0x5d, immMemarg)
	fill(0x5e, 0xff, immNone)
	for i := 0x00; i <= 0x0a; i++ {
		t[i].weight = weightNear
	}
	t[0x0b].weight = weightStore
	for i := 0x54; i <= 0x5d; i++ { // single lanes: loads, stores, loads that fill with zeros
		t[i].weight = weightNear
		if accessOf(opVector, uint32(i)) == store {
			t[i].weight = weightStore
		}
	}
	for _, op := range []int{0xe3, 0xe7, 0xef, 0xf3} { // square roots and divisions
		t[op].weight = weightDivision
	}
	for _, hole := range []int{0x9a, 0xa2, 0xa5, 0xa6, 0xaf, 0xb0, 0xb2, 0xb3, 0xb4, 0xbb,
		0xc2, 0xc5, 0xc6, 0xcf, 0xd0, 0xd2, 0xd3, 0xd4, 0xe2, 0xee} {
		t[hole] = opcode{}
	}
	return t
}

// An access is what an instruction does with memory, if that may cost more in a large one. Bulk
// instructions are none: they pay for each byte.
type access uint8

const (
	load access = iota + 1
	store
)

// accessOf returns the access of an instruction; zero if it does neither.
func accessOf(first byte, second uint32) access {
	switch {
	case first >= 0x28 && first <= 0x35:
		return load
	case first >= 0x36 && first <= 0x3e:
		return store
	case first != opVector:
		return 0
	case second == 0x0b, second >= 0x58 && second <= 0x5b:
		return store
	case second <= 0x0a, second >= 0x54 && second <= 0x57, second == 0x5c, second == 0x5d:
		return load
	}
	return 0
}

// unknown says why an opcode is refused.
func unknown(first byte, second uint32) string {
	switch {
	case first == opVector && second > 0xff:
		return fmt.Sprintf("opcode %#x %#x is of relaxed SIMD, which is not supported", first, second)
	case first == opVector || first == opMisc:
		return fmt.Sprintf("opcode %#x %#x is not known", first, second)
	}
	proposal, ok := proposals[first]
	if !ok {
		return fmt.Sprintf("opcode %#x is not known", first)
	}
	return fmt.Sprintf("opcode %#x is of %s, which are not supported", first, proposal)
}

// proposals names the extensions of WebAssembly that toolchains can emit, by opcode.
var proposals = map[byte]string{
	0x06: "exceptions", 0x07: "exceptions", 0x08: "exceptions", 0x09: "exceptions", 0x0a: "exceptions",
	0x18: "exceptions", 0x19: "exceptions", 0x1f: "exceptions",
	0x12: "tail calls", 0x13: "tail calls",
	0x14: "typed function references", 0x15: "typed function references",
	0xd3: "garbage-collected types", 0xd4: "typed function references",
	0xd5: "typed function references", 0xd6: "typed function references",
	0xfb: "garbage-collected types",
	0xfe: "threads",
}
