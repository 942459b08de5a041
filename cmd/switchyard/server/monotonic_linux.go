package server

import (
	"time"

	"golang.org/x/sys/unix"
)

// monotonic returns the time since the system started, without suspends, which is what
// sd_notify's MONOTONIC_USEC means.
func monotonic() time.Duration {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) != nil {
		return 0
	}
	return time.Duration(t.Nano())
}
