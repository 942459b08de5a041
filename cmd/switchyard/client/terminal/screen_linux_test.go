package terminal

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"switchyard/cmd/switchyard/client/terminal/pty"
)

func open(t *testing.T, p *pty.Terminal) *Screen {
	t.Helper()
	s, err := Open(p.TTY, p.TTY, true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func text(lines ...string) (page []Line) {
	for _, l := range lines {
		page = append(page, Line{{Text: l}})
	}
	return page
}

// Pages replace each other, and the terminal is afterwards what it was.
func TestScreen(t *testing.T) {
	p := pty.Open(t, 20, 5)
	before := p.Modes()
	p.TTY.WriteString("$ top\r\n")
	p.Expect("$ top")
	s := open(t, p)
	draw := func(lines ...string) {
		t.Helper()
		if err := s.Draw(text(lines...)); err != nil {
			t.Fatal(err)
		}
	}
	draw("one", "two", "three and more than fits", "four", "five", "six")
	p.Await("five lines", func() bool { return p.Shown() == "one\ntwo\nthree and more than\nfour\nfive" })
	draw("1", "2")
	p.Await("two lines", func() bool { return p.Shown() == "1\n2" })
	if got, want := p.Says(), "other screen, no cursor, no wrapping"; got != want {
		t.Errorf("the terminal is in %s, want %s", got, want)
	}
	p.Type("x\x1b[A\x03")
	for _, want := range []rune{'x', Interrupt} {
		if got := <-s.Keys(); got != want {
			t.Errorf("key %q, want %q", got, want)
		}
	}
	p.Resize(10, 2)
	unix.Kill(os.Getpid(), unix.SIGWINCH) // the kernel sends it only to processes of the terminal
	<-s.Resized()
	if columns, rows := s.Size(); columns != 10 || rows != 2 {
		t.Errorf("the window is %d × %d, want 10 × 2", columns, rows)
	}
	draw(strings.Repeat("x", 30), "2", "3")
	p.Await("two short lines", func() bool { return p.Shown() == "xxxxxxxxxx\n2" })
	s.Close()
	s.Close()
	p.Await("the terminal as it was", func() bool { return p.Says() == "" })
	if after := p.Modes(); after != before {
		t.Errorf("the modes are %+v, were %+v", after, before)
	}
	if n := p.Erasures(); n > 0 {
		t.Errorf("all was erased %d times, which flickers", n)
	}
}

// The screen closes although keys are unread, and although the window was closed.
func TestScreenCloses(t *testing.T) {
	p := pty.Open(t, 20, 5)
	s := open(t, p)
	p.Type(strings.Repeat("k", 1000))
	p.Await("a key", func() bool { return <-s.Keys() == 'k' })
	s.Close()

	s = open(t, p)
	p.HangUp()
	for range s.Keys() {
	}
	s.Close()
}

// Without a terminal there are no keys.
func TestScreenWithoutKeys(t *testing.T) {
	p := pty.Open(t, 20, 5)
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if Is(null) || !Is(p.TTY) {
		t.Error("what is not a terminal passes for one, or the other way round")
	}
	s, err := Open(null, p.TTY, false)
	if err != nil {
		t.Fatal(err)
	}
	select {
	case key, ok := <-s.Keys():
		t.Errorf("a key %q, %t", key, ok)
	default:
	}
	s.Close()
}
