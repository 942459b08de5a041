package proxy

import (
	"time"

	"golang.org/x/sys/unix"
)

// awaitProgress returns when the loop waits for input, or has read from a session
// meanwhile. It does not return while the loop is stuck.
func (l *loop) awaitProgress() {
	if l == nil {
		return
	}
	for rounds, served := l.rounds.Load(), l.served.Load(); rounds%2 == 1 && rounds == l.rounds.Load() && served == l.served.Load(); {
		time.Sleep(time.Millisecond)
	}
}

// awaitRead returns when the loop has read what had arrived before the call, for a
// connection that is about to get a seat. The peer may have had another connection
// before, and what it sent there must not come back to it. That matters if the hub has not
// read for a while: if it was overloaded, or stood still. Otherwise awaitRead costs one
// system call.
func (l *loop) awaitRead() {
	if l == nil || clock() < l.noAwaitUntil.Load() {
		return
	}
	first, until := l.rounds.Load(), clock()+l.awaitTime.Load()
	for {
		n := l.rounds.Load()
		idle := n%2 == 0 && !l.hasInput() && n == l.rounds.Load()
		if idle || n >= first+4 { // a whole round began and ended meanwhile
			return
		}
		if l.tenant.gate.isShut() {
			l.tenant.gate.awaitOpen()
			until = clock() + l.awaitTime.Load()
		}
		if clock() >= until {
			l.noAwaitUntil.Store(until + int64(awaitReadPause))
			return
		}
		time.Sleep(100 * time.Microsecond)
	}
}

// hasInput reports whether any socket has input. Any goroutine may call it.
func (l *loop) hasInput() (any bool) {
	l.raw.Control(func(fd uintptr) { // fails when the loop has ended
		var e [1]unix.EpollEvent
		n, err := unix.EpollWait(int(fd), e[:], 0)
		any = n > 0 && err == nil
	})
	return any
}
