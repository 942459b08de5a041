package wasm

import "time"

// A clock measures how long the goroutine that calls it computes. It ties that goroutine
// to its thread until the goroutine calls stop; until then, any goroutine may call read.
// Threads that wait for the processor do not age, so that a busy machine does not make a
// policy look slow.
type clock func() (read func() time.Duration, stop func())

// elapsed is the clock of systems that cannot read the CPU time of another thread: it
// measures how much time passes.
func elapsed() (read func() time.Duration, stop func()) {
	began := time.Now()
	return func() time.Duration { return time.Since(began) }, func() {}
}
