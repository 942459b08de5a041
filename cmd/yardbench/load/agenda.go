//go:build linux

package load

import (
	"math"
	"slices"
)

// An agenda is a list of functions to call at certain times. The zero value is empty. A loop has few
// entries at a time, so a sorted slice is enough.
type agenda struct{ items []item } // sorted, the next one last

type item struct {
	at int64
	do func(now int64)
}

// at adds a function. Functions for the same time are called in the order of adding.
func (a *agenda) at(at int64, do func(now int64)) {
	i := len(a.items)
	for i > 0 && a.items[i-1].at <= at {
		i--
	}
	a.items = slices.Insert(a.items, i, item{at, do})
}

// next returns when the next function is due.
func (a *agenda) next() int64 {
	if len(a.items) == 0 {
		return math.MaxInt64
	}
	return a.items[len(a.items)-1].at
}

// do calls the functions that are due. They may add more.
func (a *agenda) do(now int64) {
	for a.next() <= now {
		last := len(a.items) - 1
		do := a.items[last].do
		a.items[last] = item{}
		a.items = a.items[:last]
		do(now)
	}
}
