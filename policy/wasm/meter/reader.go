package meter

import (
	"fmt"
	"unicode/utf8"
)

// A reader takes a module apart. Its first fault stays; every read after it
// returns zero and stands at the end, so that loops over items end.
type reader struct {
	buf []byte // the whole module, so that positions are those in the file
	pos int
	end int
	err error
}

func (r *reader) fail(format string, args ...any) {
	r.failAt(r.pos, format, args...)
}

func (r *reader) failAt(pos int, format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("byte %d: %s", pos, fmt.Sprintf(format, args...))
	}
	r.pos = r.end
}

func (r *reader) left() int { return r.end - r.pos }

func (r *reader) byte() byte {
	if r.pos >= r.end {
		r.fail("the bytes end too early")
		return 0
	}
	b := r.buf[r.pos]
	r.pos++
	return b
}

// bytes returns the next n bytes, or nil.
func (r *reader) bytes(n int) []byte {
	if n < 0 || n > r.left() { // below zero where an int has 32 bits
		r.fail("%d bytes are announced, %d are left", n, r.left())
		return nil
	}
	b := r.buf[r.pos : r.pos+n]
	r.pos += n
	return b
}

// leb reads a LEB128 number of at most the given bits, sign-extended if signed.
// The bits of the last byte that do not fit have to be zero, or copies of the
// sign.
func (r *reader) leb(bits uint, signed bool) uint64 {
	start := r.pos
	var v uint64
	for shift := uint(0); shift < bits; shift += 7 {
		b := r.byte()
		if r.err != nil {
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
	r.failAt(start, "a number has more than %d bits", bits)
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

func (r *reader) u32() uint32 { return uint32(r.leb(32, false)) }
func (r *reader) s32() int32  { return int32(r.leb(32, true)) }
func (r *reader) s33() int64  { return int64(r.leb(33, true)) }
func (r *reader) s64() int64  { return int64(r.leb(64, true)) }

// count reads how many items follow, each of at least size bytes, and believes
// no more than the bytes that are left.
func (r *reader) count(size int, what string) int {
	start := r.pos
	n := r.u32()
	if int64(n)*int64(size) > int64(r.left()) {
		r.failAt(start, "%d %s do not fit into the %d bytes left", n, what, r.left())
		return 0
	}
	return int(n)
}

// index reads an index that has to be below n. After a fault it is zero, even if
// n is.
func (r *reader) index(n int, what string) uint32 {
	start := r.pos
	i := r.u32()
	if r.err == nil && int64(i) >= int64(n) {
		r.failAt(start, "%s %d does not exist, there are %d", what, i, n)
		return 0
	}
	return i
}

func (r *reader) name() string {
	start := r.pos
	b := r.bytes(int(r.u32()))
	if !utf8.Valid(b) {
		r.failAt(start, "a name is not UTF-8")
	}
	return string(b)
}

// sub takes the next n bytes as a reader of their own.
func (r *reader) sub(n int) reader {
	s := reader{buf: r.buf, pos: r.pos, end: r.pos}
	if r.bytes(n) != nil {
		s.end = r.pos
	}
	s.err = r.err
	return s
}

// done fails if anything is left.
func (r *reader) done(what string) {
	if r.err == nil && r.left() > 0 {
		r.fail("%d bytes are left over after %s", r.left(), what)
	}
}
