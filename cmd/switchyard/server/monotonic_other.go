//go:build !linux

package server

import "time"

// monotonic is asked for by systemd alone, which runs on Linux.
func monotonic() time.Duration { return 0 }
