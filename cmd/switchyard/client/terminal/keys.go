package terminal

import "unicode/utf8"

// keysIn returns the keys in what was typed. Those that send more than a letter, such as
// arrows, begin with an escape, and are none.
func keysIn(typed []byte) (keys []rune) {
	for len(typed) > 0 {
		if typed[0] == '\x1b' {
			typed = typed[sequence(typed):]
			continue
		}
		r, size := utf8.DecodeRune(typed)
		if r != utf8.RuneError {
			keys = append(keys, r)
		}
		typed = typed[size:]
	}
	return keys
}

// sequence returns the length of what begins with an escape: ESC [ up to a letter or a
// tilde, ESC O and a letter, or ESC and a letter, as far as it is there.
func sequence(typed []byte) int {
	if len(typed) == 1 {
		return 1
	}
	if typed[1] != '[' {
		if typed[1] == 'O' {
			return min(3, len(typed))
		}
		return 2
	}
	for i := 2; i < len(typed); i++ {
		if typed[i] >= '@' && typed[i] <= '~' {
			return i + 1
		}
	}
	return len(typed)
}
