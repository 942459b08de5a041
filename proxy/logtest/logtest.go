// Package logtest collects what is logged, for tests.
package logtest

import (
	"bytes"
	"strings"
	"sync"
)

// Lines are the lines of a log. They can be read while they are written.
type Lines struct {
	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

// Write implements io.Writer.
func (l *Lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// String returns all lines.
func (l *Lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// Has reports whether one line has all of the words.
func (l *Lines) Has(words ...string) bool {
	for line := range strings.Lines(l.String()) {
		found := true
		for _, w := range words {
			found = found && strings.Contains(line, w)
		}
		if found {
			return true
		}
	}
	return false
}
