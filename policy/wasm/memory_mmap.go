//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package wasm

import (
	"fmt"
	"os"
	"syscall"

	"github.com/tetratelabs/wazero/experimental"
)

// A mapping is a guest's linear memory. It reserves as much address space as the memory may
// ever grow to; the system provides only the pages that are touched. Growing copies
// nothing, and a new instance costs tens of microseconds. The same capacity from Go's heap
// would be zeroed each time, which takes milliseconds.
type mapping struct {
	bytes   []byte
	touched uint64 // what is from untouched to here has been touched
}

// untouched is how much of a memory the guest may be the first to touch. Each page costs a
// fault then, up to 2 µs for which no fuel is paid: 8 ms for 16 MiB in one decision. Few guests
// have more than this, so the rest is touched when they get it, which is outside of decisions or
// paid for as growing.
const untouched = 2 << 20

// newMemory reserves a memory of at most that many bytes. After an error, the memory that it
// returns has none.
func newMemory(most uint64) (experimental.LinearMemory, error) {
	m := &mapping{touched: untouched}
	if most == 0 {
		return m, nil
	}
	b, err := syscall.Mmap(-1, 0, int(most), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return m, fmt.Errorf("map %d bytes: %w", most, err) // Reallocate then returns nil, and instantiating fails
	}
	m.bytes = b
	return m, nil
}

// Reallocate returns the first size bytes, or nil if the mapping has fewer.
func (m *mapping) Reallocate(size uint64) []byte {
	if size > uint64(len(m.bytes)) {
		return nil
	}
	for page := uint64(os.Getpagesize()); m.touched < size; m.touched += page {
		m.bytes[m.touched] = 0 // as it is
	}
	return m.bytes[:size:len(m.bytes)]
}

// Free unmaps the memory. Nothing may use it afterwards.
func (m *mapping) Free() {
	if len(m.bytes) > 0 {
		_ = syscall.Munmap(m.bytes)
	}
	m.bytes = nil
}
