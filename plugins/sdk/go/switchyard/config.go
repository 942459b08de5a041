package switchyard

import "strings"

// Integer returns the value of a key in a flat JSON object, if it is an integer of up to
// 18 digits. It reports false for any other value, for a nested object or list, and for a
// text that is not a JSON object. If the key occurs more than once, the last value counts.
// It compares keys as they are written, without resolving escapes.
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

// A reader consumes JSON from the front.
type reader struct{ rest []byte }

func (r *reader) blanks() {
	for len(r.rest) > 0 && strings.IndexByte(" \t\r\n", r.rest[0]) >= 0 {
		r.rest = r.rest[1:]
	}
}

// after consumes c and the blanks around it, and reports whether c was there.
func (r *reader) after(c byte) bool {
	r.blanks()
	if len(r.rest) == 0 || r.rest[0] != c {
		return false
	}
	r.rest = r.rest[1:]
	r.blanks()
	return true
}

// take consumes n bytes.
func (r *reader) take(n int) []byte {
	taken := r.rest[:n]
	r.rest = r.rest[n:]
	return taken
}

// text consumes a string with its quotes, or returns nil.
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

// value consumes a string, a number or a literal, or returns nil.
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

// integer reads an optional minus and 1 to 18 digits.
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
