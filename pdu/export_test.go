package pdu

import "io"

const (
	MinBuffer    = minBuffer
	FullBuffer   = fullBuffer
	KeptBuffer   = keptBuffer
	QuietBatches = quietBatches
	EmptyReads   = emptyReads
)

// NewReaderSize is NewReader with a first buffer of some other size, so that
// short streams reach what long ones do.
func NewReaderSize(src io.Reader, max, size int) *Reader {
	r := NewReader(src, max)
	r.buf = make([]byte, size)
	return r
}

// Size returns how many bytes the buffer takes.
func (r *Reader) Size() int { return cap(r.buf) }
