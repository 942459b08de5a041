//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package statefolder

import "time"

// Lock does nothing on these systems: of two processes that write at the same moment, one
// may overwrite the other's version.
func Lock(string, time.Duration) (unlock func(), err error) { return func() {}, nil }

func Sync(string) error { return nil }
