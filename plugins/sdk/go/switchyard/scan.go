package switchyard

// MaxFields is the number of fields that a Scanner reads at most, so that it ends within
// the fuel of a decision.
const MaxFields = 256

// The wire types of fields. Groups, 3 and 4, are not readable.
const (
	Varint  = 0
	Fixed64 = 1
	Bytes   = 2
	Fixed32 = 5
)

// maxLength is the largest length of a Bytes field.
const maxLength = 1<<31 - 1

// A Scanner reads the fields of a protobuf message one by one:
//
//	s := switchyard.Scan(body)
//	for s.Next() {
//		switch {
//		case s.Is(1, switchyard.Varint):
//			user = uint32(s.Value)
//		case s.Is(20, switchyard.Bytes):
//			data = s.Bytes()
//		case s.Number == 5:
//			for s.NextValue() { // repeated, packed or not
//				users++
//			}
//		}
//	}
//	if !s.Readable() {
//		return fallback
//	}
//
// It never reads outside the body, whatever the body contains.
type Scanner struct {
	Number uint32 // of the field
	Type   uint32 // its wire type
	Value  uint64 // of a Varint field, or the one that NextValue read

	body       []byte
	at         int // where the next field begins
	start, end int // of a Bytes field
	list       int // where NextValue continues, up to end
	single     bool
	fields     int
	bad        bool
}

// Scan returns a Scanner before the first field of body.
func Scan(body []byte) Scanner { return Scanner{body: body} }

// Next reads the next field. It returns false after the last field, and from the first
// unreadable field on.
func (s *Scanner) Next() bool {
	if s.bad || s.at == len(s.body) {
		return false
	}
	if s.fields++; s.fields > MaxFields {
		return s.fail()
	}
	v, at := varint(s.body, s.at)
	tag := uint32(v)
	if at == 0 || tag == 0 {
		return s.fail()
	}
	s.at, s.Number, s.Type, s.Value = at, tag>>3, tag&7, 0
	s.single, s.list, s.end = false, 0, 0
	switch s.Type {
	case Varint:
		return s.readVarint()
	case Fixed64:
		return s.skip(8)
	case Bytes:
		return s.readBytes()
	case Fixed32:
		return s.skip(4)
	}
	return s.fail()
}

func (s *Scanner) readVarint() bool {
	v, at := varint(s.body, s.at)
	if at == 0 {
		return s.fail()
	}
	s.Value, s.at, s.single = v, at, true
	return true
}

func (s *Scanner) readBytes() bool {
	n, at := varint(s.body, s.at)
	if at == 0 || n > maxLength {
		return s.fail()
	}
	s.start, s.at = at, at
	if !s.skip(int(n)) {
		return false
	}
	s.list, s.end = s.start, s.at
	return true
}

func (s *Scanner) skip(n int) bool {
	if n > len(s.body)-s.at {
		return s.fail()
	}
	s.at += n
	return true
}

// Is reports whether the field has this number and wire type.
func (s *Scanner) Is(number, wireType uint32) bool { return s.Number == number && s.Type == wireType }

// Bytes returns the content of a Bytes field, and nil for other types. It is a part of
// the body; if it is a message, Scan reads it.
func (s *Scanner) Bytes() []byte {
	if s.Type != Bytes || s.bad {
		return nil
	}
	return s.body[s.start:s.end:s.end]
}

// NextValue reads the next value of a repeated field into Value and reports whether there
// was one. A Varint field has one value, a Bytes field those of a packed list of varints,
// another field none. A damaged list makes the body unreadable.
func (s *Scanner) NextValue() bool {
	if s.single {
		s.single = false
		return true
	}
	if s.list >= s.end {
		return false
	}
	v, at := varint(s.body[:s.end], s.list)
	if at == 0 {
		return s.fail()
	}
	s.Value, s.list = v, at
	return true
}

// Readable reports whether everything read so far is well formed. Once Next has returned
// false, that is the whole body.
func (s *Scanner) Readable() bool { return !s.bad }

func (s *Scanner) fail() bool {
	s.bad = true
	s.list, s.end, s.start = 0, 0, 0
	return false
}

// varint reads the varint at b[at] and returns where it ends, or 0 if it is damaged. It
// drops bits above the 64th.
func varint(b []byte, at int) (v uint64, end int) {
	for shift := 0; shift < 70 && at < len(b); shift += 7 {
		c := b[at]
		at++
		v |= uint64(c&0x7f) << shift
		if c < 0x80 {
			return v, at
		}
	}
	return 0, 0
}
