package server

import (
	"time"

	"golang.org/x/sys/unix"
)

// monotonic is the time since the system started, without what it slept, as
// supervisors count it.
func monotonic() time.Duration {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) != nil {
		return 0
	}
	return time.Duration(t.Nano())
}
