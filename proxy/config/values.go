package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// A Duration is a time span, written "150ms", "30s" or "1m30s".
type Duration time.Duration

const (
	millisecond = Duration(time.Millisecond)
	second      = Duration(time.Second)
	minute      = Duration(time.Minute)
	hour        = Duration(time.Hour)
)

// UnmarshalText reads one or more numbers with units, without blanks.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%q is not a duration; write numbers with units (h, m, s, ms) and no blanks, such as \"30s\" or \"1m30s\"", text)
	}
	*d = Duration(v)
	return nil
}

// String returns a spelling that UnmarshalText reads, without zeros at its end: "1h", and not
// "1h0m0s".
func (d Duration) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// A Size is a number of bytes, written "512B", "64KiB", "16MiB" or "1GiB".
type Size int64

const (
	kibibyte Size = 1 << 10
	mebibyte Size = 1 << 20
	gibibyte Size = 1 << 30
)

var sizeUnits = []struct {
	name  string
	bytes Size
}{{"GiB", gibibyte}, {"MiB", mebibyte}, {"KiB", kibibyte}, {"B", 1}}

var errSize = errors.New("write a whole number and one of B, KiB, MiB, GiB without a blank, such as \"16MiB\"")

// UnmarshalText reads a whole number and a unit without a blank. Whatever letters of units are at the end
// are taken for the unit, so "16Mi" and "16MB" are faults, and not 16 of something.
func (s *Size) UnmarshalText(text []byte) error {
	digits := strings.TrimRight(string(text), "BKMGi")
	unit := string(text[len(digits):])
	n, err := strconv.ParseInt(digits, 10, 64)
	if errors.Is(err, strconv.ErrRange) {
		return fmt.Errorf("%q is larger than any size", text)
	}
	if err != nil {
		return fmt.Errorf("%q is not a size; %w", text, errSize)
	}
	for _, u := range sizeUnits {
		if u.name != unit {
			continue
		}
		if n > math.MaxInt64/int64(u.bytes) || n < math.MinInt64/int64(u.bytes) {
			return fmt.Errorf("%q is larger than any size", text)
		}
		*s = Size(n) * u.bytes
		return nil
	}
	return fmt.Errorf("%q is not a size; %w", text, errSize)
}

// String returns the size in the largest unit of which it is a whole number: "1536KiB", "2MiB".
func (s Size) String() string {
	for _, u := range sizeUnits {
		if s != 0 && s%u.bytes == 0 {
			return fmt.Sprintf("%d%s", s/u.bytes, u.name)
		}
	}
	return "0B"
}
