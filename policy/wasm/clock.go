package wasm

import "time"

// A clock measures how much CPU time the calling goroutine uses. It locks that goroutine
// to its thread until the goroutine calls stop. Until then, any goroutine may call read.
// Time in which the thread waits for a processor does not count, so that a busy machine
// does not make a policy look slow.
type clock func() (read func() time.Duration, stop func())

// elapsed measures elapsed time instead. It is the clock of systems on which a thread
// cannot read the CPU time of another one.
func elapsed() (read func() time.Duration, stop func()) {
	began := time.Now()
	return func() time.Duration { return time.Since(began) }, func() {}
}
