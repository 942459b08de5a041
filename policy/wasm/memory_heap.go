//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package wasm

// A heapMemory is a guest's linear memory on systems without mmap. It doubles when it
// grows, so that all growing together copies each byte at most twice.
type heapMemory struct {
	bytes []byte
	most  uint64
}

func newMemory(most uint64) (linearMemory, error) { return &heapMemory{most: most}, nil }

// Reallocate returns size bytes that begin with the present ones, or nil if size exceeds
// the limit.
func (m *heapMemory) Reallocate(size uint64) []byte {
	if size > m.most {
		return nil
	}
	if size > uint64(cap(m.bytes)) {
		grown := make([]byte, size, min(m.most, max(size, 2*uint64(cap(m.bytes)))))
		copy(grown, m.bytes)
		m.bytes = grown
	}
	m.bytes = m.bytes[:size]
	return m.bytes
}

// reuse clears what the guest may have written to.
func (m *heapMemory) reuse() linearMemory {
	clear(m.bytes)
	next := &heapMemory{bytes: m.bytes[:0], most: m.most}
	m.bytes = nil
	return next
}

// Free leaves the memory to the garbage collector.
func (m *heapMemory) Free() { m.bytes = nil }
