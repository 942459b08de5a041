package pdu_test

import (
	"bytes"
	"io"
	"math/rand/v2"
	"testing"

	"switchyard/pdu"
)

// A claimed length allocates nothing before its bytes arrive.
func TestReaderClaimedLengthCostsNothing(t *testing.T) {
	const claim = 256 << 20
	r := pdu.NewReader(bytes.NewReader(append(header(claim), "and little more"...)), claim)
	if _, err := r.ReadBatch(); err != io.ErrUnexpectedEOF {
		t.Errorf("got %v, want %v", err, io.ErrUnexpectedEOF)
	}
	if got, want := r.Size(), pdu.MinBuffer; got != want {
		t.Errorf("buffer: got %d bytes, want %d", got, want)
	}
}

// While a large PDU arrives, the buffer is at most twice as large as the bytes that
// have arrived; afterwards it shrinks to the size that batches of small PDUs need.
func TestReaderGrowsByWhatArrivedAndShrinks(t *testing.T) {
	const length = 3 << 20
	large := append(header(length), make([]byte, length-pdu.HeaderLen)...)
	src := &arriving{pieces: pieces{stream: large, sizes: []int{1000}}}
	src.r = pdu.NewReader(src, length)
	src.observe = func(size, arrived, _ int) {
		if size > max(pdu.MinBuffer, 2*arrived) || size > length {
			t.Fatalf("buffer of %d bytes for %d that arrived of %d", size, arrived, length)
		}
	}
	if got, err := src.r.ReadBatch(); err != nil || !bytes.Equal(got, large) {
		t.Fatalf("got %d bytes and %v, want %d", len(got), err, length)
	}

	src.stream = header(16)
	src.observe = func(size, _, _ int) {
		if size > pdu.FullBuffer {
			t.Errorf("the next read has a buffer of %d bytes, want at most %d", size, pdu.FullBuffer)
		}
	}
	if got, err := src.r.ReadBatch(); err != nil || !bytes.Equal(got, header(16)) {
		t.Errorf("behind the large PDU: got %x and %v", got, err)
	}
}

func TestReaderFollowsTheLoad(t *testing.T) {
	small := &pieces{stream: bytes.Repeat(header(16), 1000), sizes: []int{16}}
	flood := bytes.NewReader(bytes.Repeat(header(16), 40_000))
	r := pdu.NewReader(io.MultiReader(flood, small), maxLen)

	largest := 0
	for flood.Len() > 0 {
		readBatch(t, r)
		largest = max(largest, r.Size())
	}
	if want := pdu.FullBuffer; largest != want {
		t.Errorf("buffer in the flood: got %d bytes, want %d", largest, want)
	}
	sizes := 0
	for size := pdu.FullBuffer; size > pdu.MinBuffer; size /= 2 {
		sizes++
	}
	for range sizes*(pdu.QuietBatches+1) + 2 {
		readBatch(t, r)
	}
	if got, want := r.Size(), pdu.MinBuffer; got != want {
		t.Errorf("buffer after the flood: got %d bytes, want %d", got, want)
	}
	for range 5 * pdu.QuietBatches {
		readBatch(t, r)
	}
	if got, want := r.Size(), pdu.MinBuffer; got != want {
		t.Errorf("buffer long after the flood: got %d bytes, want %d", got, want)
	}
}

// The part of the next PDU in the buffer survives when the buffer grows, shrinks or is
// released.
func TestReaderKeepsTheRest(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var stream []byte
	for range 60 {
		length := pdu.HeaderLen + rnd.IntN(1<<(5+rnd.IntN(16)))
		at := len(stream)
		stream = append(append(stream, header(uint32(length))...), make([]byte, length-pdu.HeaderLen)...)
		for i := at + pdu.HeaderLen; i < len(stream); i++ {
			stream[i] = byte(rnd.Uint32())
		}
	}
	for _, most := range []int{1448, 16 << 10, 100_000, len(stream)} {
		got, err := readAll(t, pdu.NewReader(&pieces{stream: stream, sizes: []int{most, 7}}, 2<<20), 2<<20)
		if !bytes.Equal(got, stream) || err != io.EOF {
			t.Errorf("reads of %d: got %d bytes and %v, want %d equal ones and EOF", most, len(got), err, len(stream))
		}
	}
}

// The rest is not moved while there is room after it.
func TestReaderMovesOnlyWhenNeeded(t *testing.T) {
	one := append(header(17), 0)
	src := &arriving{pieces: pieces{stream: bytes.Repeat(one, 1000), sizes: []int{20}}}
	src.r = pdu.NewReader(src, maxLen)
	at, moves, reads := 0, 0, 0
	src.observe = func(size, rest, room int) {
		if reads++; rest > 0 && size-room != at {
			moves++
		}
		at = size - room + 20
	}
	if got, err := readAll(t, src.r, maxLen); len(got) != 17*1000 || err != io.EOF {
		t.Errorf("got %d bytes and %v", len(got), err)
	}
	// Half of the buffer takes a hundred of these reads.
	if most := reads / 100; moves > most {
		t.Errorf("got %d moves in %d reads, want at most %d", moves, reads, most)
	}
}

// A stream of PDUs that are slightly larger than the buffer gets a buffer that fits.
func TestReaderKeepsTheBufferThatLargePDUsNeed(t *testing.T) {
	const length = pdu.FullBuffer + 16
	r := pdu.NewReader(&endless{stream: append(header(length), make([]byte, length-16)...)}, pdu.DefaultMaxLen)
	for range 100 {
		readBatch(t, r)
		if r.Size() > pdu.KeptBuffer {
			t.Fatalf("buffer: got %d bytes, want at most %d", r.Size(), pdu.KeptBuffer)
		}
	}
}

func TestReaderAllocatesNothing(t *testing.T) {
	for name, src := range map[string]io.Reader{
		"small PDUs":            &endless{stream: batchOf(200)},
		"small PDUs, in halves": &endless{stream: batchOf(200), most: 300},
		"single bytes":          &endless{stream: batchOf(40), most: 1},
		"heartbeats":            &endless{stream: header(16), most: 16},
		"PDUs of 64 KB":         &endless{stream: append(header(65536+16), make([]byte, 65536)...)},
		"PDUs of 64 KB, slowly": &endless{stream: append(header(65536+16), make([]byte, 65536)...), most: 1448},
	} {
		r := pdu.NewReader(src, pdu.DefaultMaxLen)
		for range 100 { // to its size
			readBatch(t, r)
		}
		if n := testing.AllocsPerRun(500, func() { readBatch(t, r) }); n != 0 {
			t.Errorf("%s: got %v allocations in a batch, want 0", name, n)
		}
	}
}

func readBatch(t testing.TB, r *pdu.Reader) []byte {
	t.Helper()
	batch, err := r.ReadBatch()
	if err != nil {
		t.Fatal(err)
	}
	return batch
}

// batchOf returns some 64 KiB of PDUs of one length.
func batchOf(length int) []byte {
	one := append(header(uint32(length)), make([]byte, length-pdu.HeaderLen)...)
	return bytes.Repeat(one, 65536/length)
}

// arriving is a source that reports its Reader's buffer before each read.
type arriving struct {
	pieces
	r       *pdu.Reader
	observe func(size, rest, room int)
}

func (a *arriving) Read(b []byte) (int, error) {
	a.observe(a.r.Size(), a.r.Buffered(), len(b))
	return a.pieces.Read(b)
}

// endless is a stream that repeats without end, in reads of a limited size; 0 is no
// limit.
type endless struct {
	stream []byte
	at     int
	most   int
}

func (e *endless) Read(b []byte) (int, error) {
	if e.most > 0 {
		b = b[:min(e.most, len(b))]
	}
	n := 0
	for n < len(b) {
		c := copy(b[n:], e.stream[e.at:])
		n += c
		e.at = (e.at + c) % len(e.stream)
	}
	return n, nil
}

// The memory of a large PDU is released as soon as the PDU is handed out, or by Compact,
// because the next read may be far away.
func TestReaderKeepsNothingOfALargePDU(t *testing.T) {
	const length = 3 << 20
	large := append(header(length), make([]byte, length-pdu.HeaderLen)...)
	shared := make([]byte, 256<<10)
	for name, read := range map[string]func(r *pdu.Reader) ([]byte, error){
		"ReadOnce": func(r *pdu.Reader) ([]byte, error) { return r.ReadOnce(shared) },
		"Compact": func(r *pdu.Reader) ([]byte, error) {
			batch, err := r.ReadBatch()
			r.Compact()
			return batch, err
		},
	} {
		for _, behind := range []int{0, 15, 20, 30_000} {
			r := pdu.NewReader(&pieces{stream: append(large, large[:behind]...), sizes: []int{100_000}}, length)
			for {
				batch, err := read(r)
				if err != nil {
					t.Fatal(err)
				}
				if len(batch) == 0 {
					continue
				}
				if !bytes.Equal(batch, large) {
					t.Fatalf("%s: a batch of %d bytes that is not the PDU", name, len(batch))
				}
				break
			}
			if got, most := r.Size(), max(pdu.MinBuffer, 2*behind); r.Buffered() == 0 && got > 0 || got > most {
				t.Errorf("%s: %d bytes of memory for %d", name, got, r.Buffered())
			}
		}
	}
}
