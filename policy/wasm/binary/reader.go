package binary

import (
	"fmt"
	"unicode/utf8"
)

// A Reader reads the parts of a module. Its first fault stays in Err; every read after it
// returns zero and moves Pos to End, so that loops over items end:
//
//	Buf  00 61 73 6d 01 00 00 00 01 07 ...
//	                 Pos ^           End ^    of a part taken with Part
//
// Pos may be set back to a value that it had.
type Reader struct {
	Buf []byte // the whole module, so that positions are those in the file
	Pos int    // of the next byte
	End int    // where the reader's part of Buf ends
	Err error
}

// NewReader returns a reader of all of buf.
func NewReader(buf []byte) *Reader { return &Reader{Buf: buf, End: len(buf)} }

// Fail reports a fault at the present position.
func (r *Reader) Fail(format string, args ...any) {
	r.FailAt(r.Pos, format, args...)
}

// FailAt reports a fault at pos. Only the first fault counts.
func (r *Reader) FailAt(pos int, format string, args ...any) {
	if r.Err == nil {
		r.Err = fmt.Errorf("byte %d: %s", pos, fmt.Sprintf(format, args...))
	}
	r.Pos = r.End
}

// Left returns how many bytes are left.
func (r *Reader) Left() int { return r.End - r.Pos }

// Byte reads one byte.
func (r *Reader) Byte() byte {
	if r.Pos >= r.End {
		r.Fail("the bytes end too early")
		return 0
	}
	b := r.Buf[r.Pos]
	r.Pos++
	return b
}

// Bytes returns the next n bytes, or nil.
func (r *Reader) Bytes(n int) []byte {
	if n < 0 || n > r.Left() { // below zero where an int has 32 bits
		r.Fail("%d bytes are announced, %d are left", n, r.Left())
		return nil
	}
	b := r.Buf[r.Pos : r.Pos+n]
	r.Pos += n
	return b
}

// leb reads a LEB128 number of at most the given bits, sign-extended if signed.
// The bits of the last byte that do not fit have to be zero, or copies of the
// sign.
func (r *Reader) leb(bits uint, signed bool) uint64 {
	start := r.Pos
	var v uint64
	for shift := uint(0); shift < bits; shift += 7 {
		b := r.Byte()
		if r.Err != nil {
			return 0
		}
		v |= uint64(b&0x7f) << shift
		if b&0x80 != 0 {
			continue
		}
		if signed && b&0x40 != 0 && shift+7 < 64 {
			v |= ^uint64(0) << (shift + 7)
		}
		if room := bits - shift; room < 7 && !fits(b, room, signed) {
			break
		}
		return v
	}
	r.FailAt(start, "a number has more than %d bits", bits)
	return 0
}

// fits reports whether the payload of b, the last byte of a number, has no more
// than room bits.
func fits(b byte, room uint, signed bool) bool {
	if !signed {
		return b>>room == 0
	}
	high := b << 1 >> room // the sign bit and what is above it, without the continuation bit
	return high == 0 || high == 0xfe>>room
}

// U32, S32, S33 and S64 read an unsigned or a signed LEB128 number of at most so many
// bits.
func (r *Reader) U32() uint32 { return uint32(r.leb(32, false)) }
func (r *Reader) S32() int32  { return int32(r.leb(32, true)) }
func (r *Reader) S33() int64  { return int64(r.leb(33, true)) }
func (r *Reader) S64() int64  { return int64(r.leb(64, true)) }

// Count reads how many items follow, each of at least size bytes, and believes
// no more than the bytes that are left.
func (r *Reader) Count(size int, what string) int {
	start := r.Pos
	n := r.U32()
	if int64(n)*int64(size) > int64(r.Left()) {
		r.FailAt(start, "%d %s do not fit into the %d bytes left", n, what, r.Left())
		return 0
	}
	return int(n)
}

// Index reads an index that has to be below n. After a fault it is zero, even if
// n is.
func (r *Reader) Index(n int, what string) uint32 {
	start := r.Pos
	i := r.U32()
	if r.Err == nil && int64(i) >= int64(n) {
		r.FailAt(start, "%s %d does not exist, there are %d", what, i, n)
		return 0
	}
	return i
}

// Name reads a name: a size and as many bytes of UTF-8.
func (r *Reader) Name() string {
	start := r.Pos
	b := r.Bytes(int(r.U32()))
	if !utf8.Valid(b) {
		r.FailAt(start, "a name is not UTF-8")
	}
	return string(b)
}

// Part takes a part that begins with its size, as a reader of its own: what names it in a fault.
func (r *Reader) Part(what string) Reader {
	start := r.Pos
	n := r.U32()
	if r.Err == nil && int64(n) > int64(r.Left()) {
		r.FailAt(start, "%s has %d bytes, %d are left", what, n, r.Left())
	}
	s := Reader{Buf: r.Buf, Pos: r.Pos, End: r.Pos}
	if r.Bytes(int(n)) != nil {
		s.End = r.Pos
	}
	s.Err = r.Err
	return s
}

// Done fails if anything is left.
func (r *Reader) Done(what string) {
	if r.Err == nil && r.Left() > 0 {
		r.Fail("%d bytes are left over after %s", r.Left(), what)
	}
}
