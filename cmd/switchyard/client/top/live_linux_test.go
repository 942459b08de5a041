package top

import (
	"strings"
	"testing"
	"time"

	"switchyard/cmd/switchyard/client/terminal"
	"switchyard/cmd/switchyard/client/terminal/pty"
)

// A panic restores the terminal, so that its message can be read.
func TestPanicGivesTheTerminalBack(t *testing.T) {
	window := pty.Open(t, 80, 24)
	before := window.Modes()
	o := options
	o.Interval = time.Millisecond
	defer func() {
		if text, _ := recover().(string); !strings.HasPrefix(text, "on purpose\n") {
			t.Errorf("it panics with %q", text)
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
