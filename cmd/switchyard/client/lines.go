package client

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

var errLong = errors.New("a line has no end")

// lines reads lines of bounded length.
type lines struct {
	from *bufio.Reader
	max  int
	long []byte // of a line that does not fit the reader's buffer
}

func newLines(r io.Reader, max int) *lines {
	return &lines{from: bufio.NewReaderSize(r, 64<<10), max: max}
}

// next returns the next line without its end, valid until the next call. A line that
// the end of input cuts is none, but io.ErrUnexpectedEOF. One longer than max is errLong,
// and no further line can be read.
func (l *lines) next() ([]byte, error) {
	l.long = l.long[:0]
	for {
		part, err := l.from.ReadSlice('\n')
		if len(l.long)+len(part) > l.max {
			return nil, errLong
		}
		if err == nil && len(l.long) == 0 {
			return bytes.TrimRight(part, "\r\n"), nil
		}
		l.long = append(l.long, part...)
		switch {
		case err == nil:
			return bytes.TrimRight(l.long, "\r\n"), nil
		case err == io.EOF && len(l.long) > 0:
			return nil, io.ErrUnexpectedEOF
		case err != bufio.ErrBufferFull:
			return nil, err
		}
	}
}
