// Package pty emulates a terminal for tests: it opens a pseudo-terminal, records what it would
// show, and types. It knows only the few escape sequences that package terminal writes.
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

// A Terminal is an emulated terminal.
type Terminal struct {
	t     testing.TB
	front *os.File // the terminal's side: writes are keys, reads are output

	// TTY is the program's side, for its standard files. The test closes it at its end.
	TTY *os.File

	mu     sync.Mutex // guards what follows
	screen screen
	gone   bool
}

// Open opens a terminal of that size until the end of the test. A goroutine reads what the program
// writes, as the program would block otherwise; it ends with HangUp, and the test waits for it.
func Open(t testing.TB, columns, rows int) *Terminal {
	t.Helper()
	// Non-blocking, so that Close ends a Read.
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

// show records the output until the terminal is closed.
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

// HangUp closes the terminal, as a window that is closed does: the program reads an end of file.
func (p *Terminal) HangUp() { p.front.Close() }

// Type presses keys. The program reads them when it likes, so a test then waits for their effect.
func (p *Terminal) Type(keys string) {
	p.t.Helper()
	if _, err := p.front.WriteString(keys); err != nil {
		p.t.Fatal(err)
	}
}

// Resize changes the size of the window and clears it. The kernel tells the program by a signal.
func (p *Terminal) Resize(columns, rows int) {
	p.t.Helper()
	if err := unix.IoctlSetWinsize(int(p.TTY.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Col: uint16(columns), Row: uint16(rows)}); err != nil {
		p.t.Fatal(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.screen.resize(columns, rows)
}

// Modes returns the modes of the terminal, to see that a program has restored them.
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

// Says lists the modes that a program has set: "other screen", "no cursor", "no wrapping", and
// the unknown sequences.
func (p *Terminal) Says() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.screen.state()
}

// Erasures returns how often the whole screen was erased while it was not blank.
func (p *Terminal) Erasures() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.screen.erasures
}

// Coloured reports whether any text was coloured or bold.
func (p *Terminal) Coloured() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.screen.coloured
}

// Expect waits until the screen shows a text.
func (p *Terminal) Expect(what string) {
	p.t.Helper()
	p.Await(fmt.Sprintf("the screen shows %q", what), func() bool { return strings.Contains(p.Shown(), what) })
}

// Await waits until so returns true. After a minute it fails the test and shows the screen. It asks
// again and again, because the emulator does not know when a program has drawn everything.
func (p *Terminal) Await(what string, so func() bool) {
	p.t.Helper()
	for deadline := time.Now().Add(time.Minute); !so(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			p.t.Fatalf("waited in vain: %s; it shows\n%s\n%s", what, p.Shown(), p.Says())
		}
	}
}
