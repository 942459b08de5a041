package pdu_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"switchyard/pdu"
)

const maxLen = 40 // the largest length that these tests accept

func TestNext(t *testing.T) {
	for _, c := range []struct {
		name   string
		length uint32
		have   int // bytes that are there, header included
		want   int
		bad    bool
	}{
		{name: "nothing", length: 16, have: 0},
		{name: "half a header", length: 16, have: 8},
		{name: "illegal, but not all of the header", length: 0, have: 15},
		{name: "header alone", length: 16, have: 16, want: 16},
		{name: "header and what follows", length: 16, have: 60, want: 16},
		{name: "body missing", length: 17, have: 16},
		{name: "body", length: 17, have: 17, want: 17},
		{name: "one byte short", length: 40, have: 39},
		{name: "max", length: 40, have: 40, want: 40},
		{name: "max, and what follows", length: 40, have: 41, want: 40},
		{name: "max+1, header alone", length: 41, have: 16, bad: true},
		{name: "max+1, whole", length: 41, have: 41, bad: true},
		{name: "zero", length: 0, have: 16, bad: true},
		{name: "below the header", length: 15, have: 60, bad: true},
		{name: "largest signed", length: 0x7fffffff, have: 16, bad: true},
		{name: "sign bit", length: 0x80000000, have: 16, bad: true},
		{name: "largest", length: 0xffffffff, have: 16, bad: true},
	} {
		b := append(header(c.length), make([]byte, 64)...)[:c.have]
		got, err := pdu.Next(b, maxLen)
		if got != c.want {
			t.Errorf("%s: got %d, want %d", c.name, got, c.want)
		}
		checkLength(t, c.name, err, c.length, c.bad)
	}
}

func TestNextRefusesEveryRunt(t *testing.T) {
	for length := range uint32(pdu.HeaderLen) {
		_, err := pdu.Next(header(length), maxLen)
		checkLength(t, "runt", err, length, true)
	}
}

// With a maximum above 32 bits every length from 16 on is legal.
func TestNextWithoutLimit(t *testing.T) {
	for _, length := range []uint32{17, 0x7fffffff, 0x80000000, 0xffffffff} {
		if n, err := pdu.Next(header(length), 1<<40); n != 0 || err != nil {
			t.Errorf("%#x: got %d and %v, want 0 and no error", length, n, err)
		}
	}
}

func TestWhole(t *testing.T) {
	a, b, full := header(16), append(header(19), "abc"...), append(header(maxLen), make([]byte, maxLen-16)...)
	for _, c := range []struct {
		name string
		in   [][]byte
		want int
		bad  bool
	}{
		{"nothing", nil, 0, false},
		{"one", [][]byte{a}, 16, false},
		{"several", [][]byte{a, b, full, a}, 16 + 19 + maxLen + 16, false},
		{"rest below a header", [][]byte{a, b, a[:15]}, 35, false},
		{"rest below a body", [][]byte{b, b[:18]}, 19, false},
		{"only a rest", [][]byte{full[:39]}, 0, false},
		{"illegal at once", [][]byte{header(3), a}, 0, true},
		{"illegal behind good ones", [][]byte{a, b, header(maxLen + 1), a}, 35, true},
		{"illegal, not to be seen yet", [][]byte{a, header(0)[:15]}, 16, false},
	} {
		got, err := pdu.Whole(bytes.Join(c.in, nil), maxLen)
		if got != c.want {
			t.Errorf("%s: got %d, want %d", c.name, got, c.want)
		}
		if bad := errors.As(err, new(*pdu.LengthError)); bad != c.bad {
			t.Errorf("%s: got error %v, want one: %t", c.name, err, c.bad)
		}
	}
}

func TestLengthErrorSaysWhichBound(t *testing.T) {
	for _, c := range []struct {
		err  pdu.LengthError
		want string
	}{
		{pdu.LengthError{Length: 15, Max: 40}, "15 is below the header's 16"},
		{pdu.LengthError{Length: 0xffffffff, Max: 40}, "4294967295 is above the maximum of 40"},
	} {
		if got := c.err.Error(); !strings.Contains(got, c.want) {
			t.Errorf("got %q, want it to contain %q", got, c.want)
		}
	}
}

func checkLength(t *testing.T, name string, err error, length uint32, bad bool) {
	t.Helper()
	if !bad {
		if err != nil {
			t.Errorf("%s: got error %v, want none", name, err)
		}
		return
	}
	var got *pdu.LengthError
	if !errors.As(err, &got) {
		t.Errorf("%s: got error %v, want a LengthError", name, err)
	} else if want := (pdu.LengthError{Length: length, Max: maxLen}); *got != want {
		t.Errorf("%s: got %+v, want %+v", name, *got, want)
	}
}
