package command

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// ParseID reads an id of 16 bits, 0x0301 or 769, or returns what to write instead:
//
//	0301     is it 0x0301 or 301?
//	0x10301  ids go from 0x0000 to 0xffff
//	0x03g1   write it as 0x0301 or as 769
func ParseID(word string) (id uint16, remedy string) {
	n, ok := ParseNumber(word)
	switch {
	case !ok && len(word) > 1 && strings.Trim(word, "0123456789") == "":
		return 0, fmt.Sprintf("is it 0x%s or %s?", word, cmp.Or(strings.TrimLeft(word, "0"), "0"))
	case !ok:
		return 0, "write it as 0x0301 or as 769"
	case n > 0xffff:
		return 0, "ids go from 0x0000 to 0xffff"
	}
	return uint16(n), ""
}

// ParseNumber reads 0x0301 or 769. A decimal number must not begin with 0, as it may be a
// hexadecimal one without its 0x. For a number of more than 64 bits the result is 1<<64-1.
func ParseNumber(word string) (uint64, bool) {
	digits, base := word, 10
	if hex, ok := strings.CutPrefix(word, "0x"); ok {
		digits, base = hex, 16
	} else if len(word) > 1 && word[0] == '0' {
		return 0, false
	}
	for _, c := range []byte(digits) {
		if !strings.ContainsRune("0123456789abcdefABCDEF", rune(c)) {
			return 0, false
		}
	}
	n, err := strconv.ParseUint(digits, base, 64)
	if n == 1<<64-1 {
		return n, true
	}
	return n, err == nil
}

// IsNumeric reports whether the word begins with a digit, and so is meant as a number.
func IsNumeric(word string) bool { return word != "" && '0' <= word[0] && word[0] <= '9' }
