package meter

// There are far fewer charges than sections, because one charge costs about as much as four
// simple instructions. Two kinds of places charge:
//
//	a mark that pays       for itself and the marks below it that do not: the most that one
//	                       path from it through their sections costs
//	a branch to a loop     for one turn: the most that one path from the head of the loop to
//	                       the branch costs, of the sections with the payer of the head
//
// So a call that passes no loop twice is paid by marks, and each further turn by the branch
// that leads to it. No more can run: take out of a run, one by one, the innermost turns, each
// from the head of a loop to a branch back to it. The branch has charged for the most that
// such a turn costs. What remains is a path without turns, which the marks on it have charged.
//
//	func             mark 0, pays 9        longest path: 4 + 3 + 2
//	  4 instructions
//	  if             mark 1, payer 0
//	    1 instruction
//	  else           mark 2, payer 0
//	    3 instructions
//	  end            mark 3, payer 0
//	  2 instructions
//	  if             mark 4, pays 300      too much to pay for what a branch may skip
//	    300 instructions
//	  end            mark 5, payer 0
//
// The fuel used by a call is thus an upper bound of what ran.

// maxSkipped is the cost of sections that their parent may pay for although a branch may skip
// them, in simple instructions. farSkipped is what a load counts in it, as it may be far.
const (
	maxSkipped = 64
	farSkipped = midUnits * weightPerUnit
)

const noParent = -1

// A path is how a section is reached, and who pays for it.
type path struct {
	falls  bool    // the section before leads to it
	from   []int32 // the marks of the other sections that lead to it
	grown  bool    // the memory may have grown since its parent
	always bool    // it follows its parent, unless a loop or the function ends

	payer   int32 // the mark that charges for it: itself, or that of its parent
	reached bool  // some path leads here
	begin   cost  // the most that a path from the payer to here costs, of the payer's sections
	outer   cost  // of a mark that pays: the same from the payer of its parent
	most    cost  // of a mark that pays: the most that a path from it costs
}

// A back is a branch to a loop.
type back struct {
	at    int    // the offset of the branch in body.out
	label uint32 // how many blocks are open there
	to    uint32 // the label that it branches to
	from  int32  // the mark of the section that ends with it
	loop  int32  // the mark of the loop
	cond  bool   // it is a br_if without values, which becomes an if
}

// price determines which marks pay, and how much each charge is.
func (b *body) price() {
	b.lighten()
	b.choosePayers()
	for i := range b.marks {
		b.longest(int32(i))
	}
}

// choosePayers lets the parent pay where little is skipped. A parent precedes its
// children, so one pass from the last mark to the first sums up what a parent would pay.
func (b *body) choosePayers() {
	sums := make([]cost, len(b.marks))
	for i := len(b.marks) - 1; i > 0; i-- {
		k := &b.marks[i]
		sum := sums[i].plus(k.cost)
		k.payer = int32(i)
		if k.grown && sum.loads+sum.stores > 0 {
			continue
		}
		if k.always || sum.weight+uint64(sum.loads)*farSkipped <= maxSkipped {
			k.payer = noParent
			sums[k.parent] = sums[k.parent].plus(sum)
		}
	}
	for i := range b.marks[1:] {
		if k := &b.marks[i+1]; k.payer == noParent {
			k.payer = b.marks[k.parent].payer
		}
	}
}

// longest computes the costs of the longest paths to a mark and past its section. Those of all
// marks before it are known.
func (b *body) longest(i int32) {
	k := &b.marks[i]
	if k.reached = i == 0; i > 0 {
		for _, p := range k.from {
			b.lead(p, k)
		}
		if k.falls {
			b.lead(i-1, k)
		}
		if k.payer == i {
			k.begin, k.outer = cost{}, k.begin
		}
	}
	payer := &b.marks[k.payer]
	payer.most = payer.most.or(k.begin.plus(k.cost))
}

// lead adds that the section of mark p leads to k.
func (b *body) lead(p int32, k *mark) {
	if b.marks[p].reached {
		k.reached = true
		k.begin = k.begin.or(b.upTo(p, b.marks[k.parent].payer))
	}
}

// upTo returns the most that a path from a payer to the end of the section of mark p costs, of
// the payer's sections. Where other marks pay in between, the path has none of them since.
func (b *body) upTo(p, payer int32) cost {
	k := &b.marks[p]
	if k.payer == payer {
		return k.begin.plus(k.cost)
	}
	for {
		k = &b.marks[k.payer]
		if up := b.marks[k.parent].payer; up == payer {
			return k.outer
		}
		k = &b.marks[k.parent]
	}
}

// turn returns the charge of a branch to a loop. Every path to the branch passes the head of
// the loop, so the longest path from there is what remains of the longest path from the payer.
func (b *body) turn(k back) cost {
	head := &b.marks[k.loop]
	return b.upTo(k.from, head.payer).minus(head.begin)
}

func (c cost) plus(d cost) cost {
	return cost{c.weight + d.weight, c.loads + d.loads, c.stores + d.stores}
}

func (c cost) minus(d cost) cost {
	return cost{c.weight - d.weight, c.loads - d.loads, c.stores - d.stores}
}

// or returns a cost that is at least each of two, whatever far accesses cost.
func (c cost) or(d cost) cost {
	return cost{max(c.weight, d.weight), max(c.loads, d.loads), max(c.stores, d.stores)}
}
