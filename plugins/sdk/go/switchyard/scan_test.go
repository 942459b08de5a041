package switchyard

import (
	"bytes"
	"slices"
	"testing"
)

// fields returns the Scanner at each field of body.
func fields(body []byte) (all []Scanner, readable bool) {
	s := Scan(body)
	for s.Next() {
		all = append(all, s)
	}
	return all, s.Readable()
}

func TestScan(t *testing.T) {
	all, readable := fields([]byte("\x08\x96\x01\x11\x01\x02\x03\x04\x05\x06\x07\x08\x1a\x03abc\x25\x01\x02\x03\x04\xa2\x01\x00"))
	if !readable || len(all) != 5 {
		t.Fatalf("got %d fields, readable %t", len(all), readable)
	}
	for i, want := range []struct {
		number, wire uint32
		value        uint64
		bytes        string
	}{{1, Varint, 150, ""}, {2, Fixed64, 0, ""}, {3, Bytes, 0, "abc"}, {4, Fixed32, 0, ""}, {20, Bytes, 0, ""}} {
		s := all[i]
		if !s.Is(want.number, want.wire) || s.Value != want.value || string(s.Bytes()) != want.bytes {
			t.Errorf("field %d: got %d %d %d %q, want %v", i, s.Number, s.Type, s.Value, s.Bytes(), want)
		}
	}
}

func TestNextValue(t *testing.T) {
	s := Scan([]byte("\x28\x01\x2a\x03\x02\xac\x02\x2a\x00\x2d\x01\x02\x03\x04\x28\x05"))
	var got []uint64
	for s.Next() {
		for s.NextValue() {
			got = append(got, s.Value)
		}
	}
	if want := []uint64{1, 2, 300, 5}; !slices.Equal(got, want) || !s.Readable() {
		t.Errorf("got %v, readable %t, want %v", got, s.Readable(), want)
	}

	s = Scan([]byte("\x2a\x01\x80\x01")) // the bytes behind the list do not belong to it
	if !s.Next() || s.NextValue() || s.Readable() || s.Next() || s.Bytes() != nil {
		t.Errorf("a list that is cut off: got %+v", s)
	}
}

func TestMaxFields(t *testing.T) {
	for n, want := range map[int]bool{MaxFields: true, MaxFields + 1: false} {
		if all, readable := fields(bytes.Repeat([]byte{8, 1}, n)); readable != want || len(all) != MaxFields {
			t.Errorf("%d fields: got %d, readable %t", n, len(all), readable)
		}
	}
}

// Fields and their bytes are parts of the body, in its order. A body is readable only if
// the Scanner has read all of it.
func FuzzScan(f *testing.F) {
	for _, body := range []string{"", "\x08\x01", "\x2a\x02\x01\x02", "\x32\xff\xff\xff\xff\x07", "\x80", "\x00", "\x0b\x0c", "\x28\x81\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00"} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		body = slices.Clip(body)
		before := bytes.Clone(body)
		s := Scan(body)
		at, n := 0, 0
		for s.Next() {
			if n++; s.at <= at || s.at > len(body) {
				t.Fatalf("field %d of %x ends at %d, the one before at %d", n, body, s.at, at)
			}
			at = s.at
			if b := s.Bytes(); len(b) > 0 && &b[len(b)-1] != &body[at-1] {
				t.Fatalf("the bytes of field %d of %x do not end at %d", n, body, at)
			}
			for values := 0; s.NextValue(); values++ {
				if values > len(body) {
					t.Fatalf("%x has more values than bytes", body)
				}
			}
		}
		if s.Readable() && at != len(body) {
			t.Errorf("%x is said to be readable, but was read up to %d", body, at)
		}
		if s.Next() || s.NextValue() {
			t.Errorf("%x: there is something behind the end", body)
		}
		if !bytes.Equal(body, before) {
			t.Errorf("%x was changed to %x", before, body)
		}
	})
}

func FuzzInteger(f *testing.F) {
	for _, config := range []string{`{"limit": 100}`, `{"a":"\"","limit":-1}`, `{"limit`, `{"a\`, "", "{", `{"limit": 123456789012345678}`} {
		f.Add([]byte(config))
	}
	f.Fuzz(func(t *testing.T, config []byte) {
		v, ok := Integer(slices.Clip(config), "limit")
		if !ok && v != 0 {
			t.Errorf("%q: got %d though there is none", config, v)
		}
		if ok && !bytes.Contains(config, []byte(`"limit"`)) {
			t.Errorf("%q: got %d from nowhere", config, v)
		}
	})
}

func TestNothingAllocates(t *testing.T) {
	body := []byte("\x08\xe9\x07\x10\xea\x07\x28\x01\x2a\x03\x02\xac\x02\x32\x03abc")
	config := []byte(`{"a": "b", "limit": 100}`)
	sum := uint64(0)
	if n := testing.AllocsPerRun(100, func() {
		s := Scan(body)
		for s.Next() {
			for s.NextValue() {
				sum += s.Value + uint64(UnicastFields(1, 2).NotSender())
			}
			sum += uint64(len(s.Bytes()))
		}
		limit, _ := Integer(config, "limit")
		sum += uint64(limit)
	}); n != 0 {
		t.Errorf("got %v allocations, want none", n)
	}
}
