package pdu_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"testing/iotest"

	"switchyard/pdu"
)

var errBroken = errors.New("broken")

// readAll returns everything that a Reader hands out, and its final error. It checks
// the invariants of every batch.
func readAll(t *testing.T, r *pdu.Reader, maxLen int) ([]byte, error) {
	t.Helper()
	var all []byte
	for {
		batch, err := r.ReadBatch()
		if err != nil {
			if len(batch) > 0 {
				t.Errorf("a batch of %d bytes together with %v", len(batch), err)
			}
			again, err2 := r.ReadBatch()
			if len(again) > 0 || err2 != err {
				t.Errorf("after the end: got %d bytes and %v, want none and again %v", len(again), err2, err)
			}
			return all, err
		}
		if n, err := pdu.Whole(batch, maxLen); n == 0 || n != len(batch) || err != nil {
			t.Errorf("a batch of %d bytes: %d are whole, error %v", len(batch), n, err)
		}
		longest := 0
		for rest := batch; len(rest) > 0; {
			n := int(pdu.ParseHeader(rest).Length)
			longest, rest = max(longest, n), rest[n:]
		}
		if r.Longest() != longest {
			t.Errorf("the longest PDU of a batch has %d bytes, want %d", r.Longest(), longest)
		}
		if len(batch) != cap(batch) {
			t.Errorf("a batch of %d bytes has room for %d, in what is not handed out", len(batch), cap(batch))
		}
		all = append(all, batch...)
	}
}

func TestReaderUnderEverySplit(t *testing.T) {
	stream := bytes.Join(capture(t), nil)
	check := func(name string, src io.Reader) {
		t.Helper()
		got, err := readAll(t, pdu.NewReader(src, pdu.DefaultMaxLen), pdu.DefaultMaxLen)
		if !bytes.Equal(got, stream) || err != io.EOF {
			t.Errorf("%s: got %d bytes and %v, want %d and EOF", name, len(got), err, len(stream))
		}
	}
	check("at once", bytes.NewReader(stream))
	check("at once, with the end", iotest.DataErrReader(bytes.NewReader(stream)))
	check("halves", iotest.HalfReader(bytes.NewReader(stream)))
	for size := 1; size <= 200; size++ {
		check(fmt.Sprintf("%d at a time", size), &pieces{stream: stream, sizes: []int{size}})
		check(fmt.Sprintf("%d at a time, 1 and 0 between", size), &pieces{stream: stream, sizes: []int{size, 1, 0}})
	}
	for at := range stream {
		check(fmt.Sprintf("cut at %d", at), io.MultiReader(bytes.NewReader(stream[:at]), bytes.NewReader(stream[at:])))
	}
}

// Readers that share memory return the same PDUs, however the stream is split and
// however small the shared memory is.
func TestReadOnceUnderEverySplit(t *testing.T) {
	stream := bytes.Join(capture(t), nil)
	for _, memory := range []int{64, 1000, 64 << 10} {
		shared := make([]byte, memory)
		for size := 1; size <= 200; size++ {
			var got [2][]byte
			var readers [2]*pdu.Reader
			for i := range readers {
				readers[i] = pdu.NewReader(&pieces{stream: stream, sizes: []int{size, 0, 1}}, pdu.DefaultMaxLen)
			}
			for open := len(readers); open > 0; {
				for i, r := range readers {
					batch, err := r.ReadOnce(shared)
					if got[i] = append(got[i], batch...); len(batch) > 0 && err != nil {
						t.Fatalf("a batch and %v", err)
					}
					if n, err := pdu.Whole(batch, pdu.DefaultMaxLen); n != len(batch) || err != nil {
						t.Fatalf("a batch of %d bytes, of which %d are whole PDUs (%v)", len(batch), n, err)
					}
					if err != nil {
						if err != io.EOF || r.Err() != io.EOF {
							t.Fatalf("%v, and then %v, want EOF", err, r.Err())
						}
						open--
					}
					clear(shared) // as others use it
				}
			}
			for i := range got {
				if !bytes.Equal(got[i], stream) {
					t.Fatalf("%d at a time into %d bytes: reader %d got %d bytes, want %d", size, memory, i, len(got[i]), len(stream))
				}
			}
		}
	}
}

// One read returns one batch: PDUs are not handed out one by one.
func TestReaderBatchesWhatOneReadBrings(t *testing.T) {
	pdus := capture(t)
	first, second := bytes.Join(pdus[:9], nil), bytes.Join(pdus[9:20], nil)
	r := pdu.NewReader(io.MultiReader(
		bytes.NewReader(slices.Concat(first, second[:5])),
		bytes.NewReader(second[5:])), maxLen*100)
	if r.Buffered() != 0 {
		t.Errorf("buffered before the first: got %d, want 0", r.Buffered())
	}
	for i, want := range [][]byte{first, second} {
		got, err := r.ReadBatch()
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("batch %d:\ngot  %x, %v\nwant %x", i, got, err, want)
		}
		if got, want := r.Buffered(), []int{5, 0}[i]; got != want {
			t.Errorf("buffered behind batch %d: got %d, want %d", i, got, want)
		}
	}
}

func TestReaderFailsAfterEveryByte(t *testing.T) {
	stream := bytes.Join(capture(t), nil)
	for n := range len(stream) + 1 {
		whole, _ := pdu.Whole(stream[:n], pdu.DefaultMaxLen)
		check := func(name string, src io.Reader, want error) {
			t.Helper()
			r := pdu.NewReader(src, pdu.DefaultMaxLen)
			got, err := readAll(t, r, pdu.DefaultMaxLen)
			if !bytes.Equal(got, stream[:whole]) || err != want || r.Buffered() != n-whole {
				t.Errorf("%s after %d: got %d bytes, %v, %d buffered, want %d, %v, %d",
					name, n, len(got), err, r.Buffered(), whole, want, n-whole)
			}
		}
		part := func() io.Reader { return bytes.NewReader(stream[:n]) }
		end := io.EOF
		if whole < n {
			end = io.ErrUnexpectedEOF
		}
		check("fails", io.MultiReader(part(), iotest.ErrReader(errBroken)), errBroken)
		check("fails with the last bytes", iotest.DataErrReader(io.MultiReader(part(), iotest.ErrReader(errBroken))), errBroken)
		check("ends", part(), end)
		check("ends with the last bytes", iotest.DataErrReader(part()), end)
	}
}

func TestReaderRefusesLengths(t *testing.T) {
	good := append(header(18), "ok"...)
	lengths := []uint32{maxLen + 1, 0x7fffffff, 0x80000000, 0xffffffff}
	for runt := range uint32(pdu.HeaderLen) {
		lengths = append(lengths, runt)
	}
	for _, length := range lengths {
		for _, before := range [][]byte{nil, good, slices.Concat(good, good)} {
			bad := slices.Concat(header(length), good)
			src := &counted{Reader: bytes.NewReader(slices.Concat(before, bad))}
			r := pdu.NewReader(src, maxLen)
			got, err := readAll(t, r, maxLen)
			checkLength(t, fmt.Sprintf("length %#x", length), err, length, true)
			if !bytes.Equal(got, before) {
				t.Errorf("length %#x: got %x before the error, want %x", length, got, before)
			}
			if r.Buffered() != len(bad) || src.reads != 1 || r.Size() != pdu.MinBuffer {
				t.Errorf("length %#x: %d bytes held, %d reads, buffer of %d; want %d, 1, %d",
					length, r.Buffered(), src.reads, r.Size(), len(bad), pdu.MinBuffer)
			}
		}
	}
}

func TestReaderAcceptsLengths(t *testing.T) {
	for _, length := range []int{16, 17, maxLen - 1, maxLen} {
		want := append(header(uint32(length)), make([]byte, length-16)...)
		got, err := readAll(t, pdu.NewReader(bytes.NewReader(want), maxLen), maxLen)
		if !bytes.Equal(got, want) || err != io.EOF {
			t.Errorf("%d: got %x, %v", length, got, err)
		}
	}
}

// The illegal length came before the source's error on the wire, so it is reported.
func TestReaderPrefersTheLengthError(t *testing.T) {
	for _, end := range []error{io.EOF, errBroken} {
		src := iotest.DataErrReader(io.MultiReader(bytes.NewReader(header(3)), iotest.ErrReader(end)))
		_, err := readAll(t, pdu.NewReader(src, maxLen), maxLen)
		checkLength(t, end.Error(), err, 3, true)
	}
}

func TestReaderDoesNotReadOnAfterAnError(t *testing.T) {
	src := &counted{Reader: iotest.TimeoutReader(iotest.OneByteReader(bytes.NewReader(header(16))))}
	if _, err := readAll(t, pdu.NewReader(src, maxLen), maxLen); err != iotest.ErrTimeout {
		t.Errorf("got %v, want %v", err, iotest.ErrTimeout)
	}
	if src.reads != 2 {
		t.Errorf("got %d reads, want the one that failed to be the last, the second", src.reads)
	}
}

func TestReaderWithoutProgress(t *testing.T) {
	stream := header(16)
	few := append(make([]int, pdu.EmptyReads-1), 1)
	if got, err := readAll(t, pdu.NewReader(&pieces{stream: stream, sizes: few}, maxLen), maxLen); err != io.EOF || !bytes.Equal(got, stream) {
		t.Errorf("a few empty reads before each byte: got %x, %v", got, err)
	}
	src := &counted{Reader: &pieces{stream: stream, sizes: []int{0}}}
	if _, err := readAll(t, pdu.NewReader(src, maxLen), maxLen); err != io.ErrNoProgress || src.reads != pdu.EmptyReads {
		t.Errorf("only empty reads: got %v after %d, want %v after %d", err, src.reads, io.ErrNoProgress, pdu.EmptyReads)
	}
}

// pieces is a stream in reads of the given sizes, which repeat; 0 is an empty read.
type pieces struct {
	stream []byte
	sizes  []int
	turn   int
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.stream) == 0 {
		return 0, io.EOF
	}
	size := p.sizes[p.turn%len(p.sizes)]
	p.turn++
	n := copy(b, p.stream[:min(size, len(p.stream))])
	p.stream = p.stream[n:]
	return n, nil
}

type counted struct {
	io.Reader
	reads int
}

func (c *counted) Read(b []byte) (int, error) {
	c.reads++
	return c.Reader.Read(b)
}
