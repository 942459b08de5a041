package pdu_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"

	"switchyard/pdu"
)

// A Reader that resumes hands out what the first one would have, wherever that one stopped:
// at every byte of a PDU, and before or after its last batch was used.
func TestResumeAtEveryByte(t *testing.T) {
	stream := bytes.Join(capture(t), nil)
	stream = stream[:min(len(stream), 600)]
	end, _ := pdu.Whole(stream, pdu.DefaultMaxLen)
	for read := range stream {
		for _, used := range []bool{false, true} {
			r := pdu.NewReader(&pieces{stream: stream[:read], sizes: []int{1 << 10}}, pdu.DefaultMaxLen)
			batch, _ := r.ReadBatch()
			got := bytes.Clone(batch)
			if batch = bytes.Clone(batch); used {
				batch = nil
			} else {
				got = nil
			}
			held := append(batch, r.Rest()...)
			again := pdu.NewReader(bytes.NewReader(stream[read:]), pdu.DefaultMaxLen)
			got = append(got, again.Resume(held)...)
			more, err := readAll(t, again, pdu.DefaultMaxLen)
			if got = append(got, more...); !bytes.Equal(got, stream[:end]) {
				t.Fatalf("stopped after %d bytes, last batch used: %v: got %d bytes and %v, want %d", read, used, len(got), err, end)
			}
		}
	}
}

// However a stream is split into reads, and wherever one Reader stops and the next one
// resumes, they hand out the same PDUs together and end with the same error. The bits of
// shared say which reads use ReadOnce.
func FuzzResume(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x10\x00\x01\x00\x07\x07\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x11\x00\x01"), []byte{3, 30}, []byte{1, 0}, uint32(1<<10), uint8(1))
	f.Fuzz(func(t *testing.T, stream, sizes, stops []byte, maxLen uint32, shared uint8) {
		want, rest, wantEnd := reference(stream, maxLen)
		src := &pieces{stream: stream, sizes: readSizes(sizes)}
		r := pdu.NewReader(src, int(maxLen))
		var got []byte
		var end error
		for i := 0; end == nil; i++ {
			var batch []byte
			batch, end = readOne(r, shared>>(i%8)&1 == 1)
			if i >= len(stops) || end != nil {
				got = append(got, batch...)
				continue
			}
			held := bytes.Clone(r.Rest())
			if stops[i]%2 == 1 { // the last batch is left to the next Reader
				held = append(bytes.Clone(batch), held...)
			} else {
				got = append(got, batch...)
			}
			r = pdu.NewReader(src, int(maxLen))
			got = append(got, r.Resume(held)...)
			end = r.Err()
		}
		if !bytes.Equal(got, want) {
			t.Errorf("PDUs:\ngot  %x\nwant %x", got, want)
		}
		var illegal *pdu.LengthError
		if wantEnd == errIllegal && !errors.As(end, &illegal) || wantEnd != errIllegal && end != wantEnd {
			t.Errorf("got %v, want %v", end, wantEnd)
		}
		if wantEnd != errIllegal && r.Buffered() != rest {
			t.Errorf("buffered at the end: got %d, want %d", r.Buffered(), rest)
		}
	})
}

func readOne(r *pdu.Reader, shared bool) (batch []byte, err error) {
	if shared {
		return r.ReadOnce(make([]byte, 64))
	}
	return r.ReadBatch()
}

// A Reader that resumes holds no more memory than one that read the bytes itself, and does
// not keep what it has handed out.
func TestResumeKeepsLittleMemory(t *testing.T) {
	p := pdu.Append(nil, pdu.SID_MSG, pdu.CID_MSG_DATA, 1, make([]byte, 1<<20))
	for _, part := range []int{0, 1, 15, 16, 1 << 10} {
		t.Run(fmt.Sprint(part), func(t *testing.T) {
			r := pdu.NewReader(bytes.NewReader(nil), pdu.DefaultMaxLen)
			if batch := r.Resume(append(bytes.Clone(p), p[:part]...)); !bytes.Equal(batch, p) {
				t.Fatalf("got a batch of %d bytes, want %d", len(batch), len(p))
			}
			if r.Buffered() != part || r.Size() > pdu.MinBuffer {
				t.Errorf("holds %d bytes in a buffer of %d, want %d in at most %d", r.Buffered(), r.Size(), part, pdu.MinBuffer)
			}
			if _, err := r.ReadBatch(); part == 0 && err != io.EOF || part > 0 && err != io.ErrUnexpectedEOF {
				t.Errorf("at the end: %v", err)
			}
		})
	}
	r := pdu.NewReader(bytes.NewReader(nil), pdu.DefaultMaxLen)
	if batch := r.Resume(p[:1<<20]); len(batch) != 0 || r.Size() != 1<<20 {
		t.Errorf("a part of 1 MiB: got a batch of %d bytes, and holds %d", len(batch), r.Size())
	}
}
