package body

import "fmt"

// The wire types. 6 and 7 are invalid.
const (
	varint = iota
	fixed64
	lengthDelimited
	startGroup
	endGroup
	fixed32
)

// maxDepth is how deep messages and groups may nest inside the body's message.
const maxDepth = 100

// maxLength is the largest length of a length-delimited field in bytes.
const maxLength = 1<<31 - 1

// A scanner reads the fields of one message in order. Where protobuf libraries differ
// it follows 2.6.1, the original's: a tag is cut to 32 bits, and field number 0 is
// valid.
type scanner struct {
	b     []byte // the body up to the end of the message
	at    int    // offset in b of the next byte to read
	depth int    // messages around this one

	tag     uint32   // of the field read last: number<<3 | wire type
	value   uint64   // of that field, if a varint
	start   int      // offset in b of its bytes, if length-delimited; they end at at
	unknown struct { // the last value that its enumeration does not have
		field int // its number; 0 if there is none
		value uint32
	}
	err *Error // the error if next returned false; nil at the end of the message
}

// next reads a field and reports whether there was one.
func (s *scanner) next() bool {
	if s.at == len(s.b) || s.err != nil {
		return false
	}
	tag, ok := s.readTag()
	s.tag = tag
	return ok && s.readValue(tag, s.depth)
}

// readTag reads a tag. Bits above the 32nd are lost, so a varint of five bytes or more can be tag 0 too.
func (s *scanner) readTag() (tag uint32, ok bool) {
	from := s.at
	v, ok := s.readVarint()
	if ok && uint32(v) == 0 {
		return 0, s.fail("tag 0", from)
	}
	return uint32(v), ok
}

// readVarint reads one to ten bytes, least significant first. It discards bits above
// the 64th.
func (s *scanner) readVarint() (v uint64, ok bool) {
	if s.at < len(s.b) && s.b[s.at] < 0x80 {
		s.at++
		return uint64(s.b[s.at-1]), true
	}
	for i, c := range s.b[s.at:min(len(s.b), s.at+10)] {
		v |= uint64(c&0x7f) << (7 * i)
		if c < 0x80 {
			s.at += i + 1
			return v, true
		}
	}
	if len(s.b)-s.at >= 10 {
		return 0, s.fail("varint of more than 10 bytes", s.at)
	}
	return 0, s.fail("end inside a varint", s.at)
}

// readValue reads the value after tag, which is depth messages and groups deep.
func (s *scanner) readValue(tag uint32, depth int) (ok bool) {
	switch tag & 7 {
	case varint:
		s.value, ok = s.readVarint()
		return ok
	case fixed64:
		return s.skip(8)
	case fixed32:
		return s.skip(4)
	case lengthDelimited:
		from := s.at
		n, ok := s.readVarint()
		if !ok {
			return false
		}
		if n > maxLength {
			return s.fail("length of 2 GiB or more", from)
		}
		s.start = s.at
		return s.skip(int(n))
	case startGroup:
		return s.skipGroup(tag>>3, depth+1)
	case endGroup:
		return s.fail("end of a group that was not started", s.at)
	}
	return s.fail("unknown wire type", s.at)
}

// skip passes n bytes, which must be there.
func (s *scanner) skip(n int) bool {
	if n > len(s.b)-s.at {
		return s.fail("field longer than its message", s.at)
	}
	s.at += n
	return true
}

// skipGroup skips the rest of a group and the tag that ends it.
func (s *scanner) skipGroup(number uint32, depth int) bool {
	if depth > maxDepth {
		return s.fail("groups nested too deep", s.at)
	}
	for {
		tag, ok := s.readTag()
		switch {
		case !ok:
			return false
		case tag == number<<3+endGroup:
			return true
		case !s.readValue(tag, depth):
			return false
		}
	}
}

// message returns a scanner of the length-delimited field read last.
func (s *scanner) message() scanner {
	return scanner{b: s.b[:s.at], at: s.start, depth: s.depth + 1}
}

// values passes the values of the field read last to yield, each cut to 32 bits, if
// fields selects the field (bit n: field n). It reports whether to continue: false
// after an error and when yield returns false.
func (s *scanner) values(fields uint32, yield func(uint32) bool) bool {
	if fields>>(s.tag>>3)&1 == 0 {
		return true
	}
	switch s.tag & 7 {
	case varint:
		return yield(uint32(s.value))
	case lengthDelimited:
		for packed := s.message(); packed.at < len(packed.b); {
			v, ok := packed.readVarint()
			if !ok {
				s.err = packed.err
				return false
			}
			if !yield(uint32(v)) {
				return false
			}
		}
	}
	return true
}

// fail keeps the first error.
func (s *scanner) fail(what string, offset int) bool {
	s.err = &Error{What: what, Offset: offset}
	return false
}

// reject keeps the value of the field read last, which its enumeration does not have.
func (s *scanner) reject() { s.unknown.field, s.unknown.value = int(s.tag>>3), uint32(s.value) }

// finish returns the scanner's error, or an error if a required field (indexed by
// number) is missing from seen (bit n: field n).
func (s *scanner) finish(seen uint32, required []string) error {
	if s.err != nil {
		return s.err
	}
	for n, name := range required {
		if name == "" || seen>>n&1 != 0 {
			continue
		}
		what := "no valid " + name
		if s.unknown.field == n {
			what += fmt.Sprintf(" (%#x is unknown)", s.unknown.value)
		}
		return &Error{What: what, Field: name, Offset: s.at}
	}
	return nil
}
