//go:build !unix || aix || solaris || illumos

package terminal

import (
	"errors"
	"os"
)

// Is reports whether f is a terminal of the kind that can be drawn on; here none is.
func Is(*os.File) bool { return false }

// A Screen would be a terminal on which pages are drawn.
type Screen struct{}

// Interrupt is the key that would interrupt, Ctrl-C.
const Interrupt = '\x03'

// Open says that there is none.
func Open(_, _ *os.File, _ bool) (*Screen, error) {
	return nil, errors.New("no page can be drawn in place on this system")
}

func (*Screen) Keys() <-chan rune         { return nil }
func (*Screen) Resized() <-chan os.Signal { return nil }
func (*Screen) Size() (columns, rows int) { return 80, 24 }
func (*Screen) Draw([]Line) error         { return nil }
func (*Screen) Close()                    {}
