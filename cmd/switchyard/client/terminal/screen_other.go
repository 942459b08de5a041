//go:build !unix

package terminal

import (
	"errors"
	"os"
)

// Is reports whether f is a terminal on which a Screen can draw. On this system none is.
func Is(*os.File) bool { return false }

// A Screen is never opened on this system.
type Screen struct{}

// Interrupt is the key Ctrl-C.
const Interrupt = '\x03'

// Open returns an error.
func Open(_, _ *os.File, _ bool) (*Screen, error) {
	return nil, errors.New("no page can be drawn in place on this system")
}

func (*Screen) Keys() <-chan rune         { return nil }
func (*Screen) Resized() <-chan os.Signal { return nil }
func (*Screen) Size() (columns, rows int) { return 80, 24 }
func (*Screen) Draw([]Line) error         { return nil }
func (*Screen) Close()                    {}
