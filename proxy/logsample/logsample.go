// Package logsample decides which of many lines of a log are written: a few of each kind
// in every period, so that nobody fills the log by making the same line again and
// again. It writes nothing, starts nothing and reads no clock; who owns it says when a
// period ends, and writes how much was left out.
package logsample

import (
	"maps"
	"slices"
	"sync"
)

// Burst is how many lines of one kind are written in a period.
const Burst = 5

// Lines counts the lines of each kind in the present period. The zero Lines is ready,
// and may be used by several goroutines. It remembers every kind until the period
// ends, so kinds are words of the program's own, of which there are few.
type Lines struct {
	mu    sync.Mutex // guards kinds
	kinds map[string]*kind
}

type kind struct {
	written int // lines
	left    int // what those that were not written stood for
}

// Admit reports whether a line of that kind may be written. One that may not, and
// stands for n events, is counted for Flush.
func (l *Lines) Admit(name string, n int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := l.kinds[name]
	if k == nil {
		if l.kinds == nil {
			l.kinds = make(map[string]*kind)
		}
		k = new(kind)
		l.kinds[name] = k
	}
	if k.written < Burst {
		k.written++
		return true
	}
	k.left += n
	return false
}

// Flush ends the period, and calls more with each kind of which something was left
// out, in the order of their names. more may call Admit.
func (l *Lines) Flush(more func(name string, n int)) {
	l.mu.Lock()
	kinds := l.kinds
	l.kinds = nil
	l.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		if n := kinds[name].left; n > 0 {
			more(name, n)
		}
	}
}
