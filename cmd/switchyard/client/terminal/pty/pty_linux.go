// Package pty helps tests to be somebody in front of a terminal: it opens one, keeps what
// it would show, and types. It knows the few sequences that package terminal writes.
package pty

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A Terminal is one that nobody but a test sees.
type Terminal struct {
	t     testing.TB
	front *os.File // what is typed, and what comes to be shown

	// TTY is what a program has for its standard files. It is closed with the test.
	TTY *os.File

	mu     sync.Mutex // guards what follows
	screen screen
	gone   bool
}

// Open opens a terminal of that size, which goes with the test.
func Open(t testing.TB, columns, rows int) *Terminal {
	t.Helper()
	// Through the poller, so that closing it ends a read.
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	p := &Terminal{t: t, front: os.NewFile(uintptr(fd), "ptmx"), screen: newScreen(columns, rows)}
	var reading sync.WaitGroup
	t.Cleanup(func() { p.HangUp(); reading.Wait() })
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if p.TTY, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.TTY.Close() })
	p.Resize(columns, rows)
	reading.Go(p.show)
	return p
}

// show keeps what comes, until the terminal is gone.
func (p *Terminal) show() {
	var b [4096]byte
	for {
		n, err := p.front.Read(b[:])
		p.mu.Lock()
		p.screen.write(b[:n])
		p.gone = err != nil
		p.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// HangUp closes the window: there are no keys and nobody sees anything any more.
func (p *Terminal) HangUp() { p.front.Close() }

// Type presses keys.
func (p *Terminal) Type(keys string) {
	p.t.Helper()
	if _, err := p.front.WriteString(keys); err != nil {
		p.t.Fatal(err)
	}
}

// Resize gives the window another size, which empties it.
func (p *Terminal) Resize(columns, rows int) {
	p.t.Helper()
	if err := unix.IoctlSetWinsize(int(p.TTY.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Col: uint16(columns), Row: uint16(rows)}); err != nil {
		p.t.Fatal(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.screen.resize(columns, rows)
}

// Modes returns how the terminal treats what is typed.
func (p *Terminal) Modes() unix.Termios {
	p.t.Helper()
	modes, err := unix.IoctlGetTermios(int(p.TTY.Fd()), unix.TCGETS)
	if err != nil {
		p.t.Fatal(err)
	}
	return *modes
}

// Shown returns the lines on the screen, without blanks at their ends.
func (p *Terminal) Shown() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.screen.text()
}

// Says reports what of a program's own the terminal is still in: "other screen", "no
// cursor", "no wrapping", and sequences that are not known.
func (p *Terminal) Says() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.screen.state()
}

// Erasures returns how often all of the screen was erased while something stood there.
func (p *Terminal) Erasures() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.screen.erasures
}

// Coloured reports whether anything was in colours, or stronger than the rest.
func (p *Terminal) Coloured() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.screen.coloured
}

// Expect waits until the screen shows it.
func (p *Terminal) Expect(what string) {
	p.t.Helper()
	p.Await(fmt.Sprintf("the screen shows %q", what), func() bool { return strings.Contains(p.Shown(), what) })
}

// Await waits until it is so.
func (p *Terminal) Await(what string, so func() bool) {
	p.t.Helper()
	for deadline := time.Now().Add(time.Minute); !so(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			p.t.Fatalf("waited in vain: %s; it shows\n%s\n%s", what, p.Shown(), p.Says())
		}
	}
}
