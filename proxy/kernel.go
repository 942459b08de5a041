package proxy

import "time"

// A kernel says what the operating system knows about a connection that its session has not
// found out by reading. Any goroutine may use it.
type kernel interface {
	// knows reports whether the other methods say anything.
	knows() bool
	// silence returns for how long nothing has arrived, whether or not it was read.
	silence() (d time.Duration, known bool)
	// window returns how many bytes the peer's kernel would accept now, and how long its
	// window has blocked writes in total.
	window() (bytes int, stopped time.Duration, known bool)
	// limitUnsent limits the kernel's unsent data to tenant.PacedUnsent bytes, or lifts the
	// limit.
	limitUnsent(limited bool)
	// unread reports whether something has arrived that was not read.
	unread() bool
	// reset reports whether the connection is gone: the peer has reset it, or closed it and
	// refused what it was sent afterwards.
	reset() bool
}

// A silentKernel says nothing.
type silentKernel struct{}

func (silentKernel) knows() bool                        { return false }
func (silentKernel) silence() (time.Duration, bool)     { return 0, false }
func (silentKernel) window() (int, time.Duration, bool) { return 0, 0, false }
func (silentKernel) limitUnsent(bool)                   {}
func (silentKernel) unread() bool                       { return false }
func (silentKernel) reset() bool                        { return false }
