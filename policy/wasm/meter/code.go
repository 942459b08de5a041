package meter

import (
	"fmt"
	"sort"

	"switchyard/policy/wasm/binary"
)

// Metering walks the code of each function once, from its first byte to its last, without a
// tree of it. In the order in which an instruction meets them:
//
//	instruction   decodes one opcode; refuses what WebAssembly 2.0 does not have
//	chargeLength  for bulk instructions: charges the length on the stack (emit.go)
//	track         records where a comparison needs a guard (guard.go)
//	follow        records which addresses move by small strides (stride.go)
//	control       opens, divides and closes blocks, and sets marks (sections.go)
//	operands      copies what follows the opcode (operand.go)
//
// The walk only copies instructions and records places. The charges are known only after
// the end of the function, so paths.go computes them and emit.go inserts them then.

// meter rewrites the code of every function, in order.
func (m *module) meter() error {
	m.referenced = append(m.referenced, make([]bool, len(m.funcs)-len(m.referenced))...)
	m.metered = make([]function, len(m.bodies))
	for i := range m.bodies {
		index := m.imported + i
		b := body{m: m, r: m.bodies[i], sig: m.types[m.funcs[index]]}
		b.readLocals()
		b.readCode()
		if b.r.Err != nil {
			return fmt.Errorf("function %d: %w", index, b.r.Err)
		}
		b.price()
		m.metered[i] = b.function()
	}
	return nil
}

// A body is the code of one function while it is rewritten.
type body struct {
	m   *module
	r   binary.Reader
	sig funcType

	// State of the given function, and of the instructions copied so far.
	locals    int        // parameters included
	groups    int        // of local declarations
	localDecl []byte     // the groups
	out       []byte     // the instructions, without the charges at the marks
	marks     []mark     // in order; the first is the entry of the function
	frames    []frame    // the open blocks; the first is the function
	labelled  int        // labels of br_table
	values    uint64     // how many the code can produce
	lengths   []length   // instructions whose cost depends on a length
	callSites []callSite // in order
	tight     bool       // there is a loop without calls, so the fuel is kept in a local
	calls     []uint32   // the functions that it calls directly
	indirect  bool       // it calls a function through a table
	at        int        // the offset in out of the present instruction
	dead      bool       // no path leads to the present instruction
	grown     bool       // the memory may have grown since the last mark
	renewed   int        // marks that were set because of that
	backs     []back     // branches to loops, in order

	// See guard.go.
	guards   []guard // in order
	top      operand // of the stack
	shift    bool    // the last instruction is a constant that shifts
	ands     bool    // there is an `and`
	holdsAnd map[uint32]bool

	strides strides // see stride.go
}

// A length is an instruction whose cost depends on the length on top of the stack.
type length struct {
	at    int    // its offset in body.out
	label uint32 // how many blocks are open there
	shift bulk
}

// A callSite is where a call begins and ends in body.out.
type callSite struct{ at, end int }

// A frame is an open block.
type frame struct {
	op     byte
	arity  int     // values that a branch to it passes
	before int32   // the mark before the block
	opened int     // the value of module.events when it was opened
	dead   bool    // no path leads to the block
	loop   int     // the frame of the innermost loop around it, or 0
	leaves int     // the outermost frame that a branch in the block goes to
	calls  bool    // there is a call in the block
	grows  bool    // there is an instruction in the block that may change the size of the memory
	joins  []int32 // the marks of the sections that branch to the end of the block
	// sets is the number of distinct locals that the block and the closed blocks in it set;
	// known is how many of them an outer block has counted already.
	sets, known int
}

// readLocals reads the declarations of locals. Four bytes can declare 50,000 locals, all of
// which the function sets to zero, so each counts in the weight of the entry.
func (b *body) readLocals() {
	b.locals = b.sig.params
	b.groups = b.r.Count(2, "groups of locals")
	start := b.r.Pos
	for i := 0; i < b.groups && b.r.Err == nil; i++ {
		n := b.r.U32()
		b.r.ValueType()
		if int64(b.locals)+int64(n) > MaxFunctionLocals {
			b.r.Fail("more than %d locals are not supported", MaxFunctionLocals)
			return
		}
		b.locals += int(n)
	}
	if b.m.locals += b.locals; b.m.locals > MaxLocals {
		b.r.Fail("more than %d locals in all functions are not supported", MaxLocals)
	}
	if b.r.Err == nil {
		b.localDecl = b.r.Buf[start:b.r.Pos]
	}
	if missing := b.locals - len(b.m.lastSet); missing > 0 {
		b.m.lastSet = append(b.m.lastSet, make([]int, missing)...)
	}
}

// readCode walks the instructions up to the end of the function, which is the block that was
// opened first. Finally it checks that the bytes end there too.
func (b *body) readCode() {
	b.out = make([]byte, 0, b.r.Left()+16)
	b.top, b.holdsAnd = anything, map[uint32]bool{}
	b.strides.jumps = map[uint32][]int{}
	b.open(opBlock, b.sig.results)
	b.mark(noParent)
	b.count(plain[opBlock], b.locals+b.sig.results)
	for len(b.frames) > 0 && b.r.Err == nil {
		b.instruction()
	}
	branches := int64(len(b.marks) - b.renewed)
	b.m.branching += branches*branches + int64(b.labelled)*int64(b.labelled)
	if b.m.branching > MaxBranching {
		b.r.Fail("too many blocks, branches and labels in too few functions")
	}
	b.r.Done("the end of the function")
}

// count adds the cost of an instruction, and of the values that it passes on. It also counts
// the values that the code produces, which determine the size of the frame: a block with two
// results, for example, produces two, and i32.add one.
func (b *body) count(op opcode, values int) {
	b.marks[len(b.marks)-1].weight += uint64(op.weight) + uint64(values)
	b.values += uint64(values)
	if !op.idle {
		b.values++
	}
	if b.values > MaxValues {
		b.r.Fail("the code of one function can make more than %d values, which is not supported", MaxValues)
	}
}

// instruction handles one instruction. A length is charged before the instruction is copied.
// The mark for a br_if is set after it, where the path that falls through continues.
func (b *body) instruction() {
	start := b.r.Pos
	first := b.r.Byte()
	op := plain[first]
	var second uint32
	switch first {
	case opMisc, opVector:
		second = b.second(first)
		if second > 0xff {
			break
		}
		if op = vector[second]; first == opMisc {
			op = misc[second]
		}
	}
	if b.r.Err != nil {
		return
	}
	if op.imm == immUnknown {
		b.r.FailAt(start, "%s", unknown(first, second))
		return
	}
	if op.bulk != 0 {
		b.lengths = append(b.lengths, length{at: len(b.out), label: uint32(len(b.frames)), shift: op.bulk})
	}
	if b.grown && b.renewed < maxRenewed && (op.imm == immControl && first != opEnd && first != opElse || first == opBrIf || accessOf(first, second) != 0) {
		b.renew()
	}
	b.at = len(b.out)
	b.track(first, op)
	b.follow(first)
	switch op.imm {
	case immControl:
		b.control(start, first)
	case immReturn:
		b.count(op, b.sig.results)
		b.branch(first, 0)
		b.dead = true
		b.out = binary.AppendU(append(b.out, opBr), uint64(len(b.frames)-1))
	default:
		b.out = append(b.out, first)
		if first == opMisc || first == opVector {
			b.out = binary.AppendU(b.out, uint64(second))
		}
		b.count(op, b.operands(first, op.imm))
		b.access(accessOf(first, second))
		if first == opMemoryGrow {
			b.out = b.m.appendFar(b.out)
			b.grow()
		}
		switch first {
		case opCall, opCallIndirect:
			b.callSites = append(b.callSites, callSite{at: b.at, end: len(b.out)})
			b.frames[len(b.frames)-1].calls = true
			b.grow()
		case opBrIf:
			b.mark(b.current())
		case opUnreachable, opBr, opBrTable:
			b.dead = true
		}
	}
}

// second reads the second number of an opcode. For a vector instruction, a number in more
// bytes than it needs is refused, as decoders disagree about it: wazero uses the first byte.
func (b *body) second(first byte) uint32 {
	start := b.r.Pos
	v := b.r.U32()
	if first == opVector && b.r.Err == nil && b.r.Pos-start > 1 && v < 0x80 {
		b.r.FailAt(start, "the number of a vector instruction takes more bytes than it needs")
	}
	return v
}

// control copies an instruction that opens, divides or closes a block. Each sets the mark of
// the code after it:
//
//	block   none: the code continues under the same mark
//	loop    a child of the mark before it; branches back to it charge by themselves
//	if      a child of the mark before it
//	else    a child of the mark before the if: both arms have the same parent
//	end     a child of the mark before the block: every path to it has passed that mark
func (b *body) control(start int, op byte) {
	b.out = append(b.out, op)
	top := len(b.frames) - 1
	switch op {
	case opElse:
		if b.frames[top].op != opIf {
			b.r.FailAt(start, "an else without an if")
			return
		}
		b.elseArm(&b.frames[top])
		b.count(plain[op], 0)
	case opEnd:
		b.close()
	default:
		t := b.blockType()
		b.count(plain[op], t.params+t.results)
		if op == opLoop {
			b.open(op, t.params)
			b.mark(b.current()).always = true
			return
		}
		b.open(op, t.results)
		if op == opIf {
			b.mark(b.current())
		}
	}
}

// blockType copies the type of a block.
func (b *body) blockType() funcType {
	start := b.r.Pos
	v := b.r.S33()
	if v >= 0 {
		if v >= int64(len(b.m.types)) {
			b.r.FailAt(start, "type %d does not exist, there are %d", v, len(b.m.types))
			return funcType{}
		}
		b.out = binary.AppendS(b.out, v)
		return b.m.types[v]
	}
	b.r.Pos = start
	if one := b.r.Byte(); one == blockEmpty {
		b.out = append(b.out, one)
		return funcType{}
	}
	b.r.Pos = start
	b.out = append(b.out, b.r.ValueType())
	return funcType{results: 1}
}

// open opens a block whose label passes arity values. The label of a loop is at its head and
// passes the parameters; every other label is at the end and passes the results.
func (b *body) open(op byte, arity int) {
	if len(b.frames) > MaxNesting {
		b.r.Fail("more than %d nested blocks are not supported", MaxNesting)
		return
	}
	b.m.events++
	loop, n := 0, len(b.frames)
	if n > 0 {
		if loop = b.frames[n-1].loop; b.frames[n-1].op == opLoop {
			loop = n - 1
		}
	}
	b.frames = append(b.frames, frame{op: op, arity: arity, before: b.current(), opened: b.m.events, dead: b.dead, loop: loop, leaves: n})
	b.opened(op, b.current())
}

// close closes a block. Where paths meet, a compiler must merge every local that one of them
// set: at the end of a block and, at each turn, at the head of a loop. That work is charged.
func (b *body) close() {
	top := len(b.frames) - 1
	f := b.frames[top]
	b.frames = b.frames[:top]
	b.closed(f.op)
	if top == 0 { // the end of the function: nothing follows that could be charged
		b.count(plain[opEnd], f.sets)
		return
	}
	b.frames[top-1].calls = b.frames[top-1].calls || f.calls
	if f.op == opLoop {
		b.tight = b.tight || !f.calls
		b.marks[f.before+1].weight += uint64(f.sets)
	}
	if f.op == opIf && !f.dead {
		f.joins = append(f.joins, f.before)
	}
	k := b.mark(f.before)
	k.from, k.grown = f.joins, f.grows
	k.always = f.leaves == top || f.leaves < f.loop
	b.dead = b.dead && len(f.joins) == 0
	b.count(plain[opEnd], f.sets)
	outer := &b.frames[top-1]
	outer.grows = outer.grows || f.grows
	outer.sets += f.sets - f.known
	outer.leaves = min(outer.leaves, f.leaves)
}

// set counts that a local is set, for every open block in which it was not set before.
// Those are the innermost ones: all that were opened after the last time it was set.
//
// Counting in each of them would take as long as the blocks are deep, for each instruction:
// 10,000 blocks around 100,000 assignments would be a thousand million steps. So only the
// innermost block counts the local (sets). A block hands its count to the outer one when it
// is closed. The outermost of these blocks records that its outer block already counts the
// local (known), so that it does not hand over this one:
//
//	block A            set x: A.sets = 1
//	  block B
//	    block C        set x: C.sets = 1, B.known = 1
//	    end            B.sets += C.sets - C.known, which is 1
//	  end              A.sets += B.sets - B.known, which is 0: A has counted x before
func (b *body) set(local uint32) {
	last := b.m.lastSet[local]
	b.m.events++
	b.m.lastSet[local] = b.m.events
	if b.frames[len(b.frames)-1].opened <= last {
		return
	}
	first := sort.Search(len(b.frames), func(i int) bool { return b.frames[i].opened > last })
	b.frames[len(b.frames)-1].sets++
	b.frames[first].known++
}
