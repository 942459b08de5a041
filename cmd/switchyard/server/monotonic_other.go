//go:build !linux

package server

import "time"

// monotonic is used for systemd only, which runs on Linux.
func monotonic() time.Duration { return 0 }
