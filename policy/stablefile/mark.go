package stablefile

import (
	"bytes"
	"errors"
)

// Errors of CheckMark.
var (
	errUTF8  = errors.New("it begins with a byte order mark; save it as UTF-8 without one")
	errUTF16 = errors.New("it is UTF-16, as its byte order mark says; save it as UTF-8 without one")
)

// CheckMark returns an error, which does not name the file, if the content begins with the
// byte order mark that some editors and shells write. Readers of PEM, JSON and tokens take it
// for a part of the text, and report something else.
func CheckMark(content []byte) error {
	switch {
	case bytes.HasPrefix(content, []byte("\xef\xbb\xbf")):
		return errUTF8
	case bytes.HasPrefix(content, []byte("\xff\xfe")), bytes.HasPrefix(content, []byte("\xfe\xff")):
		return errUTF16
	}
	return nil
}
