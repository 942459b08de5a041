package pdu

import "io"

const (
	minBuffer  = 4 << 10   // what an idle peer costs
	fullBuffer = 64 << 10  // how far reads that fill the buffer make it grow
	keptBuffer = 256 << 10 // how far large PDUs may make it grow for longer than they need it

	quietBatches = 8   // batches in a row that left three quarters empty, until the buffer is halved
	emptyReads   = 100 // reads in a row that bring nothing, until io.ErrNoProgress
)

// A Reader reads whole PDUs from a byte stream, as many at a time as one read
// brings. Its buffer grows with what has arrived, never with the length that a
// header claims. It is for one goroutine.
type Reader struct {
	src io.Reader
	max int
	err error // sticky, returned once there is no batch before it

	buf        []byte
	start, end int  // of what is in buf and not handed out: the start of one PDU, or what is behind an illegal length
	longest    int  // PDU of the last batch
	filled     bool // the last read left no room
	quiet      int  // batches in a row that left buf mostly empty
	idle       int  // calls of ReadOnce in a row that left nothing
}

// NewReader returns a Reader of the PDUs in src. max is the largest length
// accepted, header included, in bytes.
func NewReader(src io.Reader, max int) *Reader {
	return &Reader{src: src, max: max}
}

// ReadBatch reads until at least one PDU is complete and returns all that are,
// adjacent. The slice aliases the buffer and is valid until the next call.
//
// It returns either a batch or an error. What came before an error is returned
// first; then every call returns that error: a *LengthError, or the one of the
// source as it is, except that io.EOF inside a PDU becomes io.ErrUnexpectedEOF.
// A source that keeps returning neither bytes nor an error ends with
// io.ErrNoProgress.
func (r *Reader) ReadBatch() ([]byte, error) {
	for r.err == nil {
		r.makeRoom()
		r.read()
		if batch := r.take(); len(batch) > 0 {
			return batch, nil
		}
	}
	return nil, r.err
}

// ReadOnce is ReadBatch for a source that does not wait, and many of which share the
// memory to read into: it reads once, into shared if that is enough, and returns nothing
// and no error if that completes no PDU. The source returns neither bytes nor an error
// if it has none. The batch aliases either buffer. Between calls the reader has memory
// only for the beginning of a PDU, or lately had one.
func (r *Reader) ReadOnce(shared []byte) ([]byte, error) {
	if r.err != nil {
		return nil, r.err
	}
	own := r.buf
	rest := own[r.start:r.end]
	lent := len(rest) <= len(shared)/2 // else a PDU that shared may be too small for
	if lent {
		r.buf, r.start, r.end = shared, 0, copy(shared, rest)
	} else {
		r.makeRoom()
		own = r.buf
	}
	n, err := r.src.Read(r.buf[r.end:])
	r.end += n
	r.err = err
	batch := r.take()
	switch {
	case len(batch) > 0 && outgrown(len(own), r.Buffered()):
		r.Compact() // at once: nobody knows when there will be a next call
	case lent:
		r.keep(own)
	}
	if len(batch) > 0 {
		return batch, nil
	}
	return nil, r.err
}

// Compact gives back all memory but what is needed for what was not handed out. The last
// batch stays valid.
func (r *Reader) Compact() { r.keep(nil) }

// keep moves what is not handed out into own, or into a larger buffer.
func (r *Reader) keep(own []byte) {
	rest := r.buf[r.start:r.end]
	switch {
	case len(rest) > len(own):
		own = make([]byte, max(minBuffer, 2*len(rest)))
	case len(rest) > 0:
		r.idle = 0
	case r.idle < quietBatches:
		r.idle++
	default:
		own = nil
	}
	r.buf, r.start, r.end = own, 0, copy(own, rest)
	r.filled, r.quiet = false, 0
}

// Err returns why there will be no batch any more, or nil.
func (r *Reader) Err() error { return r.err }

// Longest returns how many bytes the longest PDU of the last batch has.
func (r *Reader) Longest() int { return r.longest }

// Buffered returns how many bytes are held that were not handed out: those of a
// PDU that is not complete yet, or what is behind an illegal length.
func (r *Reader) Buffered() int { return r.end - r.start }

// makeRoom leaves at least one free byte at the end of the buffer. Only the rest
// that is not handed out is ever moved.
func (r *Reader) makeRoom() {
	rest := r.buf[r.start:r.end]
	switch size := r.nextSize(len(rest)); {
	case size != len(r.buf):
		r.buf = make([]byte, size)
		r.quiet = 0
	case len(rest) > 0 && (r.start == 0 || r.end <= size/2):
		return
	}
	r.start, r.end = 0, copy(r.buf, rest)
}

// nextSize returns how large the buffer should be for the next read, if rest
// bytes are already in it.
func (r *Reader) nextSize(rest int) int {
	size := len(r.buf)
	switch {
	case size == 0:
		return minBuffer
	case rest == size: // one PDU that is larger than the buffer, so max is too
		return min(2*size, r.max)
	case outgrown(size, rest):
		return fullBuffer
	case r.filled && size < fullBuffer:
		return 2 * size
	case r.quiet >= quietBatches && rest <= size/4:
		return max(size/2, minBuffer)
	}
	return size
}

// outgrown reports whether a buffer is as large as it is for a PDU that was handed out,
// and what is behind that does not need it.
func outgrown(size, rest int) bool { return size > keptBuffer && rest <= fullBuffer/2 }

// read appends what one read brings.
func (r *Reader) read() {
	for range emptyReads {
		n, err := r.src.Read(r.buf[r.end:])
		r.end += n
		r.err = err
		if n > 0 || err != nil {
			return
		}
	}
	r.err = io.ErrNoProgress
}

// take hands out the complete PDUs. Bytes behind an illegal length are never
// looked at, so its error takes the place of one that the source returned later.
func (r *Reader) take() []byte {
	n, longest, err := whole(r.buf[r.start:r.end], r.max)
	r.longest = longest
	batch := r.buf[r.start : r.start+n : r.start+n]
	r.observe(n)
	r.start += n
	switch {
	case err != nil:
		r.err = err
	case r.err == io.EOF && r.Buffered() > 0:
		r.err = io.ErrUnexpectedEOF
	}
	return batch
}

// observe notes how well the buffer's size suits what it holds once n bytes of
// it are complete PDUs. While one is only arriving, that is not known.
func (r *Reader) observe(n int) {
	r.filled = r.end == len(r.buf)
	switch {
	case n == 0:
	case r.Buffered() < len(r.buf)/4:
		r.quiet++
	default:
		r.quiet = 0
	}
}
