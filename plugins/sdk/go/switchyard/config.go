package switchyard

import "strings"

// Integer returns the integer of up to 18 digits that a flat JSON object has under
// a key, and whether it has one. An object with objects or lists in it, and a text
// that is none, has none; of a key that occurs more than once the last decides. A
// key with escapes is compared as it is written.
func Integer(config []byte, key string) (value int64, ok bool) {
	r := reader{rest: config}
	if !r.after('{') {
		return 0, false
	}
	for more := !r.after('}'); more; {
		name := r.text()
		if name == nil || !r.after(':') {
			return 0, false
		}
		written := r.value()
		if written == nil {
			return 0, false
		}
		if string(name[1:len(name)-1]) == key {
			value, ok = integer(written)
		}
		if more = r.after(','); !more && !r.after('}') {
			return 0, false
		}
	}
	r.blanks()
	if !ok || len(r.rest) > 0 {
		return 0, false
	}
	return value, true
}

// A reader takes JSON apart from the front.
type reader struct{ rest []byte }

func (r *reader) blanks() {
	for len(r.rest) > 0 && strings.IndexByte(" \t\r\n", r.rest[0]) >= 0 {
		r.rest = r.rest[1:]
	}
}

// after takes c and the blanks around it, and reports whether it was there.
func (r *reader) after(c byte) bool {
	r.blanks()
	if len(r.rest) == 0 || r.rest[0] != c {
		return false
	}
	r.rest = r.rest[1:]
	r.blanks()
	return true
}

// take takes n bytes.
func (r *reader) take(n int) []byte {
	taken := r.rest[:n]
	r.rest = r.rest[n:]
	return taken
}

// text takes a string with its quotes, or returns nil.
func (r *reader) text() []byte {
	if len(r.rest) == 0 || r.rest[0] != '"' {
		return nil
	}
	for i := 1; i < len(r.rest); i++ {
		switch r.rest[i] {
		case '\\':
			i++
		case '"':
			return r.take(i + 1)
		}
	}
	return nil
}

// value takes a string, a number or a literal, or returns nil.
func (r *reader) value() []byte {
	for _, literal := range [...]string{"true", "false", "null"} {
		if n := len(literal); len(r.rest) >= n && string(r.rest[:n]) == literal {
			return r.take(n)
		}
	}
	n := 0
	for n < len(r.rest) && strings.IndexByte("-+.eE0123456789", r.rest[n]) >= 0 {
		n++
	}
	if n > 0 {
		return r.take(n)
	}
	return r.text()
}

// integer reads a minus, if there is one, and 1 to 18 digits.
func integer(written []byte) (value int64, ok bool) {
	digits, sign := written, int64(1)
	if digits[0] == '-' {
		digits, sign = digits[1:], -1
	}
	if len(digits) == 0 || len(digits) > 18 || len(digits) > 1 && digits[0] == '0' {
		return 0, false
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		value = value*10 + int64(c-'0')
	}
	return sign * value, true
}
