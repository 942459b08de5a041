//go:build linux

package load

import (
	"math"
	"slices"
)

// An agenda is what has to be done at certain times. The zero value is empty.
type agenda struct{ items []item } // the next one last

type item struct {
	at int64
	do func(now int64)
}

// at enters something. Of what is due at the same time, what was entered first comes
// first.
func (a *agenda) at(at int64, do func(now int64)) {
	i := len(a.items)
	for i > 0 && a.items[i-1].at <= at {
		i--
	}
	a.items = slices.Insert(a.items, i, item{at, do})
}

// next is when something is due.
func (a *agenda) next() int64 {
	if len(a.items) == 0 {
		return math.MaxInt64
	}
	return a.items[len(a.items)-1].at
}

// do does what is due. That may enter more.
func (a *agenda) do(now int64) {
	for a.next() <= now {
		last := len(a.items) - 1
		do := a.items[last].do
		a.items[last] = item{}
		a.items = a.items[:last]
		do(now)
	}
}
