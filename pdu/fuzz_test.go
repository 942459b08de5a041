package pdu_test

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"switchyard/pdu"
)

// The Reader returns the same PDUs however the stream is split into reads. sizes are
// the sizes of the reads; the first buffer has 16+size bytes.
func FuzzReader(f *testing.F) {
	f.Fuzz(func(t *testing.T, stream, sizes []byte, maxLen uint32, size uint8, endWithData bool) {
		wantPDUs, rest, wantEnd := reference(stream, maxLen)

		var src io.Reader = &pieces{stream: stream, sizes: readSizes(sizes)}
		if endWithData {
			src = iotest.DataErrReader(src)
		}
		r := pdu.NewReaderSize(src, int(maxLen), 16+int(size))
		got, err := readAll(t, r, int(maxLen))
		if !bytes.Equal(got, wantPDUs) {
			t.Errorf("PDUs:\ngot  %x\nwant %x", got, wantPDUs)
		}
		var illegal *pdu.LengthError
		switch {
		case errors.As(err, &illegal):
			if wantEnd != errIllegal {
				t.Errorf("got %v, want %v", err, wantEnd)
			}
		case err != wantEnd:
			t.Errorf("got %v, want %v", err, wantEnd)
		case r.Buffered() != rest:
			t.Errorf("buffered at the end: got %d, want %d", r.Buffered(), rest)
		}
		if limit := max(pdu.MinBuffer, 2*len(stream), 16+int(size)); r.Size() > limit {
			t.Errorf("buffer: got %d bytes for a stream of %d", r.Size(), len(stream))
		}
	})
}

var errIllegal = errors.New("illegal length")

// reference returns the PDUs of a complete stream, concatenated, the number of bytes
// after them, and the error at the end.
func reference(stream []byte, maxLen uint32) (pdus []byte, rest int, end error) {
	for {
		if len(stream) == 0 {
			return pdus, 0, io.EOF
		}
		if len(stream) < 16 {
			return pdus, len(stream), io.ErrUnexpectedEOF
		}
		length := int64(stream[0])<<24 + int64(stream[1])<<16 + int64(stream[2])<<8 + int64(stream[3])
		if length < 16 || length > int64(maxLen) {
			return pdus, len(stream), errIllegal
		}
		if length > int64(len(stream)) {
			return pdus, len(stream), io.ErrUnexpectedEOF
		}
		pdus = append(pdus, stream[:length]...)
		stream = stream[length:]
	}
}

// readSizes converts fuzzed bytes to the sizes of reads. Some reads are empty, but
// never all.
func readSizes(b []byte) []int {
	sizes := []int{7}
	for _, n := range b[:min(len(b), pdu.EmptyReads-1)] {
		sizes = append(sizes, int(n))
	}
	return sizes
}
