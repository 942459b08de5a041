package proxy

import "time"

// A kernel says what the operating system knows about a connection that its session has not
// found out by reading. Any goroutine may use it.
type kernel interface {
	// knows reports whether the other methods say anything.
	knows() bool
	// silence returns for how long nothing has arrived, whether or not it was read.
	silence() (d time.Duration, known bool)
	// progress returns how far the connection is, as the peer's kernel has last reported.
	progress() (p progress, known bool)
	// unread reports whether something has arrived that was not read.
	unread() bool
	// reset reports whether the connection is gone: the peer has reset it, or closed it and
	// refused what it was sent afterwards.
	reset() bool
}

// PacedMark marks a connection that its listener wants paced. It is the connection's limit of
// data that the kernel accepts and does not send, which is too high to have an effect. It
// stays with the connection when another process takes it over.
const PacedMark = 1<<30 + 1

// A progress is a number of bytes that were written to a connection, how many of them the peer's
// kernel has acknowledged, and up to which byte it accepts. They are counted from the same byte.
type progress struct{ written, acknowledged, accepted uint64 }

// A silentKernel stands for a system that reports nothing about connections.
type silentKernel struct{}

func (silentKernel) knows() bool                    { return false }
func (silentKernel) silence() (time.Duration, bool) { return 0, false }
func (silentKernel) progress() (progress, bool)     { return progress{}, false }
func (silentKernel) unread() bool                   { return false }
func (silentKernel) reset() bool                    { return false }
