// Package logsample limits repeated log lines: in each period, it admits the first few lines
// of each kind and counts the rest, so that a peer cannot fill the log by causing the same
// line again and again. It writes no lines and reads no clock: its owner ends the periods
// and logs the counts.
//
//	lines    a a a b a a a a b │ a
//	written  a a a b a a     b │ "2 more of a"  a
//	                           Flush
package logsample

import (
	"maps"
	"slices"
	"sync"
)

// Burst is how many lines of each kind are written in a period.
const Burst = 5

// Lines counts the lines of each kind in the current period. The zero Lines is ready to
// use, by several goroutines at once. It remembers every kind until the period ends, so
// kinds have to be words of the program, and not texts from peers.
type Lines struct {
	mu    sync.Mutex // guards kinds
	kinds map[string]*kind
}

type kind struct {
	written int // lines
	left    int // sum of n of the lines that were not written
}

// Admit reports whether a line of that kind, which stands for n events, may be written. If
// not, it counts the events for Flush.
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

// Flush ends the period. It calls more, sorted by name, for each kind with events that were
// not written. more may call Admit.
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
