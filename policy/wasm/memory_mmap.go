//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package wasm

import (
	"fmt"
	"os"
	"syscall"
)

// A mapping is a guest's linear memory. It reserves as much address space as the memory may
// ever grow to; the system provides only the pages that are touched. Growing copies
// nothing, and reserving 16 MiB takes tens of microseconds. The same capacity from Go's heap
// would be zeroed each time, which takes milliseconds.
type mapping struct {
	bytes   []byte
	written uint64 // the guest may have written to the memory up to here
	touched uint64 // the memory from untouched up to here has been touched
}

// untouched is how much memory may be left for the guest to touch first. Each first touch of a
// page causes a page fault that costs no fuel. It takes up to 2 µs, and 14 µs in some virtual
// machines: 8 or 57 ms for 16 MiB in one decision.
// Few guests have more memory than this; the host touches the rest when the guest gets it,
// either outside of decisions or paid for as growing.
const untouched = 2 << 20

// newMemory reserves a memory of at most that many bytes. After an error, the memory that it
// returns has none.
func newMemory(most uint64) (linearMemory, error) {
	m := &mapping{touched: untouched}
	if most == 0 {
		return m, nil
	}
	b, err := syscall.Mmap(-1, 0, int(most), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return m, fmt.Errorf("map %d bytes: %w", most, err) // Reallocate then returns nil, so that instantiating fails
	}
	m.bytes = b
	return m, nil
}

// Reallocate returns the first size bytes, or nil if the mapping has fewer.
func (m *mapping) Reallocate(size uint64) []byte {
	if size > uint64(len(m.bytes)) {
		return nil
	}
	if m.touched < size {
		touch(m.bytes[m.touched:size])
		m.touched = size
	}
	m.written = size
	return m.bytes[:size:len(m.bytes)]
}

// reuse clears the memory, because the page faults of a new mapping would take many times as long.
func (m *mapping) reuse() linearMemory {
	clear(m.bytes[:m.written])
	next := &mapping{bytes: m.bytes, touched: m.touched}
	m.bytes = nil
	return next
}

// touchPages writes to each page of b, which no guest has yet.
func touchPages(b []byte) {
	for i := 0; i < len(b); i += os.Getpagesize() {
		b[i] = 0
	}
}

// Free unmaps the memory. Nothing may use it afterwards.
func (m *mapping) Free() {
	if len(m.bytes) > 0 {
		_ = syscall.Munmap(m.bytes)
	}
	m.bytes = nil
}
