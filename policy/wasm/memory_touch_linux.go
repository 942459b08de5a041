package wasm

import (
	"slices"

	"golang.org/x/sys/unix"
)

// touch makes the system provide the pages of b, without changing them. Asking for many at once costs
// a tenth of what their faults would. b is divided because each call holds the lock of the process's
// address space, for tens of microseconds.
func touch(b []byte) {
	for part := range slices.Chunk(b, 256<<10) {
		if unix.Madvise(part, unix.MADV_POPULATE_WRITE) != nil { // before Linux 5.14, or in a sandbox
			touchPages(part)
		}
	}
}
