package meter

import "switchyard/policy/wasm/binary"

// The survey of package wasm searches the constants of a policy for the ids that it names.
// They are read here because this package knows the length of each instruction. An i32 is
// reported with its sign, so that 0xffffffff is -1.

// Constants calls see with every i32 and i64 constant in the code and in the initial
// values of globals, in their order, as often as they occur. The module is one that
// Rewrite has accepted; of any other it finds some or none.
func Constants(module []byte, see func(int64)) {
	r := binary.NewReader(module)
	r.Bytes(len(binary.Preamble))
	for r.Err == nil && r.Left() > 0 {
		id := r.Byte()
		s := r.Part("section")
		switch id {
		case binary.SectionGlobal:
			for n := s.Count(4, "globals"); n > 0 && s.Err == nil; n-- {
				s.ValueType()
				s.Byte() // mutable or not
				constantsOf(&s, see)
			}
		case binary.SectionCode:
			for n := s.Count(3, "functions"); n > 0 && s.Err == nil; n-- {
				body := s.Part("function")
				for groups := body.Count(2, "groups of locals"); groups > 0 && body.Err == nil; groups-- {
					body.U32()
					body.ValueType()
				}
				constantsOf(&body, see)
			}
		}
	}
}

// constantsOf reads instructions up to the end of their outermost block: the body of a function, or the
// first value of a global. A block opens a level and an end closes one. Opcodes that Rewrite refuses do
// not occur; such an opcode would be skipped as if it had no operands.
func constantsOf(r *binary.Reader, see func(int64)) {
	for depth := 1; depth > 0 && r.Err == nil; {
		first := r.Byte()
		op := plain[first]
		switch first {
		case opI32Const:
			see(int64(r.S32()))
			continue
		case opI64Const:
			see(r.S64())
			continue
		case opBlock, opLoop, opIf:
			depth++
			r.S33() // also reads the one byte of a value type or of none
			continue
		case opElse:
			continue
		case opEnd:
			depth--
			continue
		case opMisc:
			op = misc[r.U32()&0xff]
		case opVector:
			op = vector[r.U32()&0xff]
		}
		skip(r, op.imm)
	}
}

// skip reads what follows an opcode that is neither a constant nor of control.
func skip(r *binary.Reader, imm immediate) {
	switch imm {
	case immLabels:
		for n := r.Count(1, "labels"); n >= 0 && r.Err == nil; n-- {
			r.U32()
		}
	case immMemarg, immCallIndirect, immElemTable, immTables:
		r.U32()
		r.U32()
	case immMemargLane:
		r.U32()
		r.U32()
		r.Byte()
	case immMemories, immSelect: // a vector of one type is two bytes
		r.Bytes(2)
	case immDataMemory:
		r.U32()
		r.Byte()
	case immBytes4:
		r.Bytes(4)
	case immBytes8:
		r.Bytes(8)
	case immBytes16:
		r.Bytes(16)
	case immLane, immMemory, immRefNull:
		r.Byte()
	case immLabel, immCall, immLocalGet, immLocalSet, immGlobal, immTable, immRefFunc, immData, immElem:
		r.U32()
	}
}
