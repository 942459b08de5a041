package config

import (
	"fmt"
	"regexp"
	"testing"
)

func TestNumbersBetween(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ lo, hi int64 }{{0, 0}, {0, 9}, {1, 9}, {0, 10}, {7, 7}, {3, 5}, {9, 10}, {5, 123}, {120, 340}, {199, 200}, {100, 999}, {1000, 1024}, {99, 1001}, {0, 1100}} {
		pattern := regexp.MustCompile("^(" + between(c.lo, c.hi) + ")$")
		for n := range int64(1200) {
			if got := pattern.MatchString(fmt.Sprint(n)); got != (c.lo <= n && n <= c.hi) {
				t.Fatalf("%d to %d: %d matches %s: %t", c.lo, c.hi, n, pattern, got)
			}
		}
	}
}

// A pattern accepts what the key accepts. It refuses what is not a duration or size, and whole numbers of
// a unit that are out of range; it does not add up "1m30s".
func TestRangesAgreeWithPatterns(t *testing.T) {
	t.Parallel()
	durations := []string{"0", "1m30s", "1.5s", "0.5m", "+5s", "05s", "30000000us", "30", "s", "1 s", "1d", "-1s", "1ss", ""}
	sizes := []string{"+5MiB", "010KiB", "16", "16MB", "1.5MiB", "-1B", "MiB", "1 MiB", ""}
	for _, n := range []int64{0, 1, 2, 9, 10, 24, 25, 26, 49, 50, 51, 60, 61, 99, 100, 599, 600, 601, 720, 721, 1023, 1024, 2499, 2500, 3600, 3601, 8760, 8761, 25000, 25001, 65536, 1 << 20, 3600000, 3600001, 1 << 40} {
		for _, unit := range []string{"ms", "s", "m", "h"} {
			durations = append(durations, fmt.Sprint(n, unit))
		}
		for _, unit := range sizeUnits {
			sizes = append(sizes, fmt.Sprint(n, unit.name))
		}
	}
	whole := regexp.MustCompile(`^[0-9]+(ms|s|m|h|B|KiB|MiB|GiB)$`)
	compared := 0
	compare := func(k key, texts []string, parses func(string) error) {
		pattern := regexp.MustCompile(k.describe("").Pattern)
		for _, text := range texts {
			compared++
			matches, err := pattern.MatchString(text), k.set(text)
			if err == nil && !matches || matches && err != nil && (whole.MatchString(text) || parses(text) != nil) {
				t.Errorf("%s = %q matches %s: %t; the check says %v", k.name, text, pattern, matches, err)
			}
		}
	}
	for _, k := range Default().keys() {
		switch k.field.(type) {
		case *Duration:
			compare(k, durations, func(text string) error { return new(Duration).UnmarshalText([]byte(text)) })
		case *Size:
			compare(k, sizes, func(text string) error { return new(Size).UnmarshalText([]byte(text)) })
		}
	}
	if compared < 2000 {
		t.Errorf("compared %d values, want at least 2000", compared)
	}
}
