package pdu

import (
	"encoding/binary"
	"io"
)

const (
	minBuffer  = 4 << 10   // the buffer of an idle peer
	fullBuffer = 64 << 10  // reads that fill the buffer grow it up to this size
	keptBuffer = 256 << 10 // a buffer that grew for a large PDU is kept up to this size

	quietBatches = 8   // the buffer is halved after so many batches in a row that left three quarters empty
	emptyReads   = 100 // io.ErrNoProgress is returned after so many empty reads in a row
)

// A Reader reads whole PDUs from a byte stream, as many at a time as one read
// brings. Its buffer grows with the bytes that have arrived, never with the length
// that a header claims:
//
//	buf  │ handed out │ PDU │ PDU │ part of a PD…│ free │
//	                  start                      end
//
// The next batch is the two complete PDUs; the part stays in the buffer until the
// rest of it arrives. Only one goroutine may use a Reader at a time.
type Reader struct {
	src io.Reader
	max int
	err error // sticky; returned when no batch is left before it

	buf        []byte
	start, end int  // bounds of the bytes in buf that were not handed out: part of a PDU, or bytes from an illegal length on
	longest    int  // length of the longest PDU of the last batch
	filled     bool // whether the last read filled the buffer
	quiet      int  // batches in a row that left buf mostly empty
	idle       int  // calls of ReadOnce in a row after which no bytes were left
}

// NewReader returns a Reader of the PDUs in src. max is the largest length
// accepted, header included, in bytes.
func NewReader(src io.Reader, max int) *Reader {
	return &Reader{src: src, max: max}
}

// ReadBatch reads until at least one PDU is complete and returns all complete PDUs,
// one directly after the other. The slice aliases the buffer and is valid until the
// next call.
//
// It returns either a batch or an error. PDUs before an error are returned first;
// then every call returns that error: a *LengthError, or the source's error, except
// that io.EOF inside a PDU becomes io.ErrUnexpectedEOF. If the source keeps
// returning neither bytes nor an error, ReadBatch returns io.ErrNoProgress.
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

// ReadOnce is ReadBatch for a source that does not block, when many Readers share the
// memory to read into. It reads once, into shared if that is large enough, and returns
// neither a batch nor an error if no PDU is complete. A source without input returns
// neither bytes nor an error. The batch aliases shared or the Reader's own buffer.
// Between calls the Reader owns memory only if it holds part of a PDU or held one in
// the last few calls.
func (r *Reader) ReadOnce(shared []byte) ([]byte, error) {
	if r.err != nil {
		return nil, r.err
	}
	own := r.buf
	rest := own[r.start:r.end]
	lent := len(rest) <= len(shared)/2 // otherwise shared may be too small for the PDU
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
		r.Compact() // now, as the next call may be far away
	case lent:
		r.keep(own)
	}
	if len(batch) > 0 {
		return batch, nil
	}
	return nil, r.err
}

// Compact releases all memory except that of bytes that were not handed out. The last
// batch stays valid.
func (r *Reader) Compact() { r.keep(nil) }

// keep moves the bytes that were not handed out into own, or into a larger buffer.
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

// Rest returns the bytes that were read and not handed out, see Buffered. The slice
// aliases the buffer and is valid until the next call.
func (r *Reader) Rest() []byte { return r.buf[r.start:r.end] }

// Max returns the largest length accepted, in bytes.
func (r *Reader) Max() int { return r.max }

// Resume gives a new Reader bytes of the stream that another one has read before what src
// returns: the last batch of that Reader, if it was not used, and its Rest. Resume returns
// the complete PDUs at their start and keeps the others, as if it had read them itself. It
// takes over read, of which the batch is a part.
func (r *Reader) Resume(read []byte) (batch []byte) {
	r.buf, r.start, r.end = read, 0, len(read)
	batch = r.take()
	if len(batch) > 0 || len(read) < keptBuffer { // otherwise read is just the part of a large PDU
		r.Compact()
	}
	return batch
}

// Discard releases all memory, and with it the bytes that were not handed out.
func (r *Reader) Discard() { r.buf, r.start, r.end = nil, 0, 0 }

// Err returns the error that ended the stream, or nil.
func (r *Reader) Err() error { return r.err }

// Retry lets the Reader read on after an error of its source. It returns false if the
// stream has lost its framing.
func (r *Reader) Retry() bool {
	if _, lost := r.err.(*LengthError); lost {
		return false
	}
	r.err = nil
	return true
}

// Longest returns the length of the longest PDU of the last batch, in bytes.
func (r *Reader) Longest() int { return r.longest }

// Buffered returns how many bytes were read and not handed out: part of a PDU, or
// bytes from an illegal length on.
func (r *Reader) Buffered() int { return r.end - r.start }

// Size returns how much memory the Reader owns, in bytes. During a call of ReadOnce that is
// the shared memory.
func (r *Reader) Size() int { return len(r.buf) }

// makeRoom leaves at least one free byte at the end of the buffer. It moves only the
// bytes that were not handed out.
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

// nextSize returns the size of the buffer for the next read, given that it already
// holds rest bytes.
func (r *Reader) nextSize(rest int) int {
	size := len(r.buf)
	switch {
	case size == 0:
		return minBuffer
	case rest == size && size >= keptBuffer: // for this PDU only
		return min(2*size, int(binary.BigEndian.Uint32(r.buf[r.start:])))
	case rest == size: // one PDU larger than the buffer, so max is larger, too
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

// outgrown reports whether a buffer is large only because of a PDU that was handed out,
// and the rest does not need that size.
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

// take hands out the complete PDUs. Bytes after an illegal length are never examined,
// so its error replaces one that the source returned later.
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

// observe records how well the size of the buffer fits its content, n bytes of which
// are complete PDUs. Without a complete PDU it cannot know.
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
