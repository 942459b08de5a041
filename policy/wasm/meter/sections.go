package meter

// A mark is a place in the instructions where fuel may be charged, and begins a section: the
// code up to the next mark, which has one way in and branches only at its end. Every path to a
// mark passes its parent, and no path returns to the mark without passing the parent again,
// or a branch back to a loop. So the parent may charge for the mark as well, see paths.go.
//
//	func             mark 0
//	  3 instructions
//	  if             mark 1, parent 0
//	    2 instructions
//	  end            mark 2, parent 0
//	  2 instructions
//	  loop           mark 3, parent 2
//	    4 instructions
type mark struct {
	at     int    // the offset in body.out before which the charge is inserted
	label  uint32 // how many blocks are open there
	parent int32  // an index of body.marks below the mark's own, or noParent for the first
	renews bool   // see body.renew
	cost          // of the section
	path          // how the section is reached, and who pays for it
}

// A cost is that of code that runs once.
type cost struct {
	weight uint64 // in simple instructions
	loads  uint32 // that may be far
	stores uint32
}

// mark sets a mark before the next instruction. The code that follows counts for it until
// another one is set.
func (b *body) mark(parent int32) *mark {
	b.grown = false
	b.marks = append(b.marks, mark{at: len(b.out), label: uint32(len(b.frames)), parent: parent, path: path{falls: !b.dead}})
	return &b.marks[len(b.marks)-1]
}

func (b *body) current() int32 { return int32(len(b.marks) - 1) }

// elseArm begins the other arm of an if. The section before the if leads to it; the end of the
// first arm leads to the end of the block.
func (b *body) elseArm(f *frame) {
	if !b.dead {
		f.joins = append(f.joins, b.current())
	}
	f.op, b.dead = opElse, true
	k := b.mark(f.before)
	if !f.dead {
		k.from, b.dead = []int32{f.before}, false
	}
}

// branch records that an instruction may branch to the block of a frame.
func (b *body) branch(op byte, to int) {
	top := &b.frames[len(b.frames)-1]
	top.leaves = min(top.leaves, to)
	f := &b.frames[to]
	switch n := len(f.joins); {
	case b.dead:
	case f.op == opLoop:
		b.backs = append(b.backs, back{at: b.at, from: b.current(), loop: f.before + 1, label: uint32(len(b.frames)),
			to: uint32(len(b.frames) - 1 - to), cond: op == opBrIf && f.arity == 0})
	case n == 0 || f.joins[n-1] != b.current():
		f.joins = append(f.joins, b.current())
	}
}

// grow records that an instruction may have changed the size of the memory: memory.grow, or a
// call. What was charged before for loads and stores after it may be too little then.
func (b *body) grow() {
	b.grown = true
	b.frames[len(b.frames)-1].grows = true
}

// maxRenewed is how many marks a function may have that renew sets, as a compiler's time grows
// with the square of their number.
const maxRenewed = 1000

// access counts a load or a store. After the last mark that renew may set, the code of the
// function pays for its accesses as if the memory were large.
func (b *body) access(a access) {
	k := &b.marks[len(b.marks)-1]
	switch far := b.renewed == maxRenewed; {
	case a == load && far:
		k.weight += farUnits * weightPerUnit
	case a == store && far:
		k.weight += farUnits >> farShift * weightPerUnit
	case a == load:
		k.loads++
	case a == store:
		k.stores++
	}
}

// renew sets a mark after an instruction that may have changed the size of the memory, before the
// first load, store, block or branch. It pays for the loads and stores that follow. The end of a
// block with such an instruction does the same, see close.
func (b *body) renew() {
	parent := b.current()
	if last := &b.marks[parent]; last.renews && int(last.label) == len(b.frames) {
		parent = last.parent // so that many calls in a row do not make each a child of the last
	}
	k := b.mark(parent)
	k.always, k.grown, k.renews = true, true, true
	b.renewed++
}
