package terminal

import "unicode/utf8"

// keysIn returns the keys in typed. It leaves out keys that send an escape sequence, such as the
// arrows. A sequence that is cut off at the end of typed is left out as well; what is left of it in
// the next read may then look like a key, which does no harm here.
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

// sequence returns the length of the escape sequence at the beginning of typed, or of its
// part that is there: ESC [ ... up to a letter or a tilde, ESC O letter, or ESC letter.
//
//	1b 5b 41             arrow up
//	1b 5b 33 7e          delete
//	1b 4f 50             F1
//	1b                   the escape key alone
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
