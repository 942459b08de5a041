package config

import (
	"cmp"
	"fmt"
	"math"
	"strings"
)

// Patterns for values with a unit, for editors: JSON Schema has ranges only for numbers. From 50ms
// to 2m, for instance:
//
//	50ms to 120000ms, 1s to 120s, 1m to 2m    each by its digits
//	1m30s, 1.5s                               any of several parts or with a fraction
//	90000us                                   any of less than a millisecond

// durationPattern returns the pattern of the durations from least to most.
func durationPattern(least, most Duration) string {
	const part = `([0-9]+(\.[0-9]*)?|\.[0-9]+)(h|m|s|ms|us|µs|ns)`
	forms := []string{`(` + part + `){2,}`, `[0-9]*\.[0-9]*(h|m|s|ms|us|µs|ns)`, `[0-9]+(us|µs|ns)`}
	if least <= 0 {
		forms = append(forms, "0")
	}
	return inUnits([]unit{{"h", int64(hour)}, {"m", int64(minute)}, {"s", int64(second)}, {"ms", int64(millisecond)}}, int64(least), int64(most), forms...)
}

// sizePattern returns the pattern of the sizes from least to most.
func sizePattern(least, most Size) string {
	var units []unit
	for _, u := range sizeUnits {
		units = append(units, unit{u.name, int64(u.bytes)})
	}
	return inUnits(units, int64(least), int64(most))
}

type unit struct {
	name string
	is   int64
}

// inUnits returns the pattern of whole numbers with one of the units whose values are from least to
// most, and of the other forms.
func inUnits(units []unit, least, most int64, forms ...string) string {
	var all []string
	for _, u := range units {
		lo, hi := (least-1)/u.is+1, most/u.is
		if least <= 0 {
			lo = 0
		}
		if lo <= hi {
			all = append(all, "0*("+between(lo, hi)+")"+u.name)
		}
	}
	return `^\+?(` + strings.Join(append(all, forms...), "|") + `)$`
}

// between returns the pattern of the whole numbers from lo to hi, 0 or above, without zeros in front:
//
//	50 to 120000    [5-9][0-9], [1-9][0-9]{2,4}, 1[0-1][0-9]{4}, 120000    by the number of digits
func between(lo, hi int64) string {
	switch {
	case hi == 0:
		return "0"
	case lo == 0:
		return "0|" + between(1, hi)
	}
	var all []string
	shortest, longest := 0, 0 // lengths of which all numbers are within
	for digits := len(fmt.Sprint(lo)); digits <= len(fmt.Sprint(hi)); digits++ {
		first, last := int64(math.Pow10(digits-1)), int64(math.Pow10(digits)-1)
		if lo <= first && last <= hi {
			shortest, longest = cmp.Or(shortest, digits), digits
			continue
		}
		all = append(all, sameLength(fmt.Sprint(max(lo, first)), fmt.Sprint(min(hi, last)))...)
	}
	if longest > 0 {
		all = append(all, "[1-9]"+anyDigits(shortest-1, longest-1))
	}
	return strings.Join(all, "|")
}

// sameLength returns patterns of the numbers from lo to hi, which have as many digits:
//
//	120 to 340    1[2-9][0-9], 2[0-9]{2}, 3[0-3][0-9], 340
func sameLength(lo, hi string) []string {
	switch {
	case lo == "":
		return []string{""}
	case strings.Trim(lo, "0") == "" && strings.Trim(hi, "9") == "":
		return []string{anyDigits(len(lo), len(lo))}
	case lo[0] == hi[0]:
		return behind(lo[:1], sameLength(lo[1:], hi[1:]))
	}
	from, to := lo[0], hi[0]
	var below, above []string
	if rest := len(lo) - 1; strings.Trim(lo[1:], "0") != "" {
		below = behind(string(from), sameLength(lo[1:], strings.Repeat("9", rest)))
		from++
	}
	if rest := len(hi) - 1; strings.Trim(hi[1:], "9") != "" {
		above = behind(string(to), sameLength(strings.Repeat("0", rest), hi[1:]))
		to--
	}
	if from <= to {
		below = append(below, oneOf(from, to)+anyDigits(len(lo)-1, len(lo)-1))
	}
	return append(below, above...)
}

// behind puts the patterns behind a digit.
func behind(digit string, patterns []string) []string {
	for i, p := range patterns {
		patterns[i] = digit + p
	}
	return patterns
}

func oneOf(from, to byte) string {
	if from == to {
		return string(from)
	}
	return fmt.Sprintf("[%c-%c]", from, to)
}

// anyDigits returns the pattern of least to most digits.
func anyDigits(least, most int) string {
	switch {
	case most == 0:
		return ""
	case least < most:
		return fmt.Sprintf("[0-9]{%d,%d}", least, most)
	case least == 1:
		return "[0-9]"
	}
	return fmt.Sprintf("[0-9]{%d}", least)
}
