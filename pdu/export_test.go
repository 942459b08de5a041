package pdu

import "io"

const (
	MinBuffer    = minBuffer
	FullBuffer   = fullBuffer
	KeptBuffer   = keptBuffer
	QuietBatches = quietBatches
	EmptyReads   = emptyReads
)

// NewReaderSize is NewReader with a first buffer of the given size, so that short
// streams take the paths of long ones.
func NewReaderSize(src io.Reader, max, size int) *Reader {
	r := NewReader(src, max)
	r.buf = make([]byte, size)
	return r
}
