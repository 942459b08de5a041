package proxy

import "sync/atomic"

// waiters are goroutines that wait for the same event. The zero value has none. A goroutine looks at
// what it waits for again after it has joined, and between two waits, because wake wakes all at once
// and may come before:
//
//	for woken := w.join(); !happened(); woken = w.join() {
//		<-woken
//	}
type waiters struct{ next atomic.Pointer[chan struct{}] } // nil if nobody waits; closed by wake

// join returns a channel that the next wake closes.
func (w *waiters) join() <-chan struct{} {
	for {
		if c := w.next.Load(); c != nil {
			return *c
		}
		c := make(chan struct{})
		if w.next.CompareAndSwap(nil, &c) {
			return c
		}
	}
}

// any reports whether goroutines have joined since the last wake. It is cheap enough to be asked with
// each flush.
func (w *waiters) any() bool { return w.next.Load() != nil }

// wake wakes all goroutines that have joined.
func (w *waiters) wake() {
	if c := w.next.Swap(nil); c != nil {
		close(*c)
	}
}
