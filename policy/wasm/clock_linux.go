package wasm

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// loadTimeOf says in errors what threadClock measures.
const loadTimeOf = "CPU time"

// threadClock is the clock of the calling thread's CPU time. The kernel makes the id of
// such a clock from the thread's: its complement, above three bits that say "CPU time of
// a thread".
func threadClock() (read func() time.Duration, stop func()) {
	const perThread, cpuTime = 4, 2
	runtime.LockOSThread()
	id := ^int32(unix.Gettid())<<3 | perThread | cpuTime
	began, err := cpuTimeOf(id)
	if err != nil { // a kernel or sandbox without such clocks
		runtime.UnlockOSThread()
		return elapsed()
	}
	return func() time.Duration {
		now, _ := cpuTimeOf(id) // no error: it was read before, and the thread still exists
		return now - began
	}, runtime.UnlockOSThread
}

// cpuTimeOf reads a clock of a thread or process: its CPU time so far.
func cpuTimeOf(clock int32) (time.Duration, error) {
	var t unix.Timespec
	if err := unix.ClockGettime(clock, &t); err != nil {
		return 0, err
	}
	return time.Duration(t.Nano()), nil
}
