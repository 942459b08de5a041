package top

import (
	"strings"
	"testing"
	"time"

	"switchyard/cmd/switchyard/client/terminal"
	"switchyard/cmd/switchyard/client/terminal/pty"
)

// A panic leaves the terminal as it was, so that what is told of it can be read.
func TestPanicGivesTheTerminalBack(t *testing.T) {
	window := pty.Open(t, 80, 24)
	before := window.Modes()
	o := options
	o.Interval = time.Millisecond
	defer func() {
		if said, _ := recover().(string); !strings.HasPrefix(said, "on purpose\n") {
			t.Errorf("it panics with %q", said)
		}
		window.Await("the terminal as it was", func() bool { return window.Says() == "" })
		if after := window.Modes(); after != before {
			t.Errorf("its modes are %+v, were %+v", after, before)
		}
	}()
	Live(t.Context(), &fake{start: time.Now(), panics: 3}, o, func() (Screen, error) {
		return terminal.Open(window.TTY, window.TTY, true)
	})
	t.Error("it does not panic")
}
