package meter

import "sort"

// A load is charged as if it missed every cache, unless its address can move only a little
// at each turn of a loop: then the first access of the loop may miss, and later ones hit the
// line that it loaded or that the processor prefetches. That holds for
//
//	loop … local.get p; i32.load8_u …; local.get p; i32.const 1; i32.add; local.set p; … br_if
//
// if every local in the address is set, within the innermost loop, by nothing but additions of
// constants of up to maxStride bytes to itself. The loaded values and the branches taken then
// have no other influence on the address. Such a load is charged as far once, before the loop,
// each time the loop is entered.
//
// Without this, parsing would be charged as if each byte of the input were in a different
// page. In a memory of more than 4 MiB, the extra cost of reading 1000 bytes one by one is
//
//	in the loop       1000 × 8 units = 8000
//	before the loop      1 × 8 units =    8
//
// What may move by strides, and what may not, where p, q and r are locals:
//
//	load(p)        p = p + 1           near
//	load(p + q)    p = p + 4           near: a sum of up to three locals
//	load(p)        p = p + 128         far: each access is in another cache line
//	load(p)        p = load(p)         far: a list that is followed
//	load(p)        p = r               far, as nothing says how r changes
//	load(p + p)    p = p + 1           near: two terms of one local move by 2

const (
	maxStride   = 64
	maxTerms    = 3  // locals in an address
	maxNear     = 16 // loads of one loop that can be near, because processors prefetch for only a few at a time
	maxOperands = 8  // values of the stack that are tracked
)

// A term is what is known about a value on the stack. The zero value is an unknown value.
type term struct {
	known  bool // the value is the sum of the locals and a constant
	n      int  // how many locals
	locals [maxTerms]uint32
	small  bool // each constant in the sum is at most maxStride from zero
}

// A site is a load whose address is known to be a sum of locals.
type site struct {
	mark    int32 // the mark that pays for the load
	loop    int   // the innermost loop, an index of loops
	address term
}

// A span is the positions of a loop.
type span struct {
	from, to int
	before   int32 // the mark before the loop
	near     int   // number of loads that stay near
}

// strides tracks addresses through the code of one function. It collects sites, loops and
// jumps in one pass. Only lighten, at the end, decides about the sites, because a local may be
// set after the load that uses it:
//
//	position   1     2     3     4     5     6     7     8
//	code       loop  …     load        …     set p …     end of the loop
//	loops[0]   from                                      to
//	sites[0]               at, address = p
//	jumps[p]                                 6, if p is set by other than a stride
//
// A jump between from and to makes the load far.
type strides struct {
	at    int    // the position: number of instructions so far
	stack []term // the top of the operand stack, as far as it is tracked
	open  []int  // for each open block, the innermost loop around it, an index of loops; -1 if none
	loops []span
	sites []site
	jumps map[uint32][]int // by local, the positions at which it is set otherwise than by a stride
}

// push pushes a value. When the tracked part of the stack is full, it forgets the lowest
// value, so that the time per instruction does not depend on the depth of the stack.
func (s *strides) push(t term) {
	if len(s.stack) == maxOperands {
		copy(s.stack, s.stack[1:])
		s.stack = s.stack[:maxOperands-1]
	}
	s.stack = append(s.stack, t)
}

// pop pops a value; a value below the tracked part is unknown.
func (s *strides) pop() (t term) {
	if n := len(s.stack); n > 0 {
		t, s.stack = s.stack[n-1], s.stack[:n-1]
	}
	return t
}

// plus adds two terms. Each constant is judged separately, so p + 64 + 64 counts as a stride
// too. That is harmless: no load waits for another one then, and the additions are paid.
// TestWorstCases of package wasm measures steps of up to 65 of them. A sum of several locals
// is never a stride.
func plus(a, b term) (sum term) {
	if !a.known || !b.known || a.n+b.n > maxTerms {
		return term{}
	}
	sum = term{known: true, n: a.n + b.n, locals: a.locals, small: a.small && b.small && (a.n == 0 || b.n == 0)}
	copy(sum.locals[a.n:], b.locals[:b.n])
	return sum
}

func (s *strides) local(i uint32) {
	s.push(term{known: true, n: 1, locals: [maxTerms]uint32{i}, small: true})
}

func (s *strides) constant(v int64) {
	s.push(term{known: true, small: v >= -maxStride && v <= maxStride})
}

// set records the value that a local is set to.
func (s *strides) set(i uint32, to term) {
	if !to.known || to.n != 1 || to.locals[0] != i || !to.small {
		s.jumps[i] = append(s.jumps[i], s.at)
	}
}

// follow follows the stack past any instruction but those on locals and constants. For an
// instruction that is not in its list it forgets the stack, which is safe because an unknown
// address counts as far.
func (b *body) follow(first byte) {
	s := &b.strides
	s.at++
	switch {
	case first == opLocalGet, first == opLocalSet, first == opLocalTee, first == opI32Const:
	case first == opI32Add:
		y, x := s.pop(), s.pop()
		s.push(plus(x, y))
	case first == opI32Sub: // of a constant
		y, x := s.pop(), s.pop()
		if y.n > 0 {
			y = term{}
		}
		s.push(plus(x, y))
	case first >= 0x28 && first <= 0x35: // loads
		address := s.pop()
		s.push(term{})
		if b.renewed == maxRenewed || len(s.open) == 0 || s.open[len(s.open)-1] < 0 || !address.known || address.n == 0 {
			return
		}
		s.sites = append(s.sites, site{mark: b.current(), loop: s.open[len(s.open)-1], address: address})
	case first >= 0x36 && first <= 0x3e: // stores
		s.pop()
		s.pop()
	case first == 0x45, first == 0x50, first >= 0x67 && first <= 0x69, first >= 0x79 && first <= 0x7b, first >= 0xa7 && first <= 0xad,
		first == 0xc0, first == 0xc1: // of one integer
		s.pop()
		s.push(term{})
	case first >= 0x46 && first <= 0x4f, first >= 0x51 && first <= 0x5a, first >= 0x6c && first <= 0x78, first >= 0x7c && first <= 0x8a: // of two
		s.pop()
		s.pop()
		s.push(term{})
	default:
		s.stack = s.stack[:0]
	}
}

// opened records that a block or a loop was opened, after the mark before it.
func (b *body) opened(op byte, before int32) {
	s := &b.strides
	inner := -1
	if n := len(s.open); n > 0 {
		inner = s.open[n-1]
	}
	if op == opLoop {
		inner = len(s.loops)
		s.loops = append(s.loops, span{from: s.at, before: before})
	}
	s.open = append(s.open, inner)
}

// closed records that the innermost block was closed.
func (b *body) closed(op byte) {
	s := &b.strides
	top := len(s.open) - 1
	if op == opLoop {
		s.loops[s.open[top]].to = s.at
	}
	s.open = s.open[:top]
}

// lighten moves the weight of loads that stay near to the mark before their loop.
func (b *body) lighten() {
	s := &b.strides
	for _, k := range s.sites {
		loop := &s.loops[k.loop]
		if loop.near == maxNear || !s.near(k.address, loop) {
			continue
		}
		loop.near++
		b.marks[k.mark].loads--
		b.marks[loop.before].loads++
	}
}

// near reports whether an address moves by strides only within a loop.
func (s *strides) near(address term, loop *span) bool {
	for _, i := range address.locals[:address.n] {
		jumps := s.jumps[i]
		at := sort.SearchInts(jumps, loop.from)
		if at < len(jumps) && jumps[at] <= loop.to {
			return false
		}
	}
	return true
}
