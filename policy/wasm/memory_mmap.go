//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package wasm

import (
	"fmt"
	"syscall"

	"github.com/tetratelabs/wazero/experimental"
)

// A mapping is a guest's linear memory. It reserves as much address space as the memory may
// ever grow to; the system provides only the pages that are touched. Growing copies
// nothing, and a new instance costs tens of microseconds. The same capacity from Go's heap
// would be zeroed each time, which takes milliseconds.
type mapping []byte

// newMemory reserves a memory of at most that many bytes. After an error, the memory that it
// returns has none.
func newMemory(most uint64) (experimental.LinearMemory, error) {
	if most == 0 {
		return new(mapping), nil
	}
	b, err := syscall.Mmap(-1, 0, int(most), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return new(mapping), fmt.Errorf("map %d bytes: %w", most, err) // Reallocate then returns nil, and instantiating fails
	}
	return (*mapping)(&b), nil
}

// Reallocate returns the first size bytes, or nil if the mapping has fewer.
func (m *mapping) Reallocate(size uint64) []byte {
	if size > uint64(len(*m)) {
		return nil
	}
	return (*m)[:size:len(*m)]
}

// Free unmaps the memory. Nothing may use it afterwards.
func (m *mapping) Free() {
	if len(*m) > 0 {
		_ = syscall.Munmap(*m)
	}
	*m = nil
}
