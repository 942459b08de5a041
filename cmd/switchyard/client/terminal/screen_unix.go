//go:build unix && !aix && !solaris && !illumos

package terminal

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	// The other screen, lines that are cut and not wrapped, no cursor.
	enter = "\x1b[?1049h\x1b[?7l\x1b[?25l"
	leave = upright + "\x1b[?25h\x1b[?7h\x1b[?1049l"
)

// Is reports whether f is a terminal.
func Is(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), getTermios)
	return err == nil
}

// A Screen is a terminal on which pages are drawn. It is for one goroutine.
type Screen struct {
	in, out *os.File
	colour  bool
	resized chan os.Signal
	keys    chan rune     // readKeys sends, and closes it at its end
	done    chan struct{} // closed by Close

	before  *unix.Termios // of in; nil if that is no terminal
	wake    [2]int        // a pipe that ends readKeys; only if before is there
	reading sync.WaitGroup
	closed  sync.Once
}

// Open takes over the terminal out, and takes keys from in if that is a terminal. Whoever
// opens it closes it, by whatever way it leaves, as the terminal is no good to others
// until then.
func Open(in, out *os.File, colour bool) (*Screen, error) {
	s := &Screen{in: in, out: out, colour: colour, resized: make(chan os.Signal, 1), keys: make(chan rune), done: make(chan struct{})}
	if err := s.takeKeys(); err != nil {
		return nil, err
	}
	signal.Notify(s.resized, unix.SIGWINCH)
	if _, err := out.WriteString(enter); err != nil {
		s.Close()
		return nil, fmt.Errorf("write to the terminal: %w", err)
	}
	return s, nil
}

// takeKeys has each key come at once and unseen, those that would be signals included.
func (s *Screen) takeKeys() error {
	before, err := unix.IoctlGetTermios(int(s.in.Fd()), getTermios)
	if err != nil {
		return nil // no terminal, no keys
	}
	if err := unix.Pipe(s.wake[:]); err != nil {
		return fmt.Errorf("take over the terminal: %w", err)
	}
	unix.CloseOnExec(s.wake[0])
	unix.CloseOnExec(s.wake[1])
	raw := *before
	raw.Iflag &^= unix.IXON | unix.ICRNL | unix.ISTRIP
	raw.Lflag &^= unix.ICANON | unix.ECHO | unix.ISIG | unix.IEXTEN
	raw.Cc[unix.VMIN], raw.Cc[unix.VTIME] = 1, 0
	if err := unix.IoctlSetTermios(int(s.in.Fd()), setTermios, &raw); err != nil {
		unix.Close(s.wake[0])
		unix.Close(s.wake[1])
		return fmt.Errorf("take over the terminal: %w", err)
	}
	s.before = before
	s.reading.Go(s.readKeys)
	return nil
}

// Keys are those that were pressed; Interrupt is among them. It is closed when the
// terminal has gone.
func (s *Screen) Keys() <-chan rune { return s.keys }

// Interrupt is the key that would interrupt, Ctrl-C.
const Interrupt = '\x03'

// readKeys sends what is typed until Close.
func (s *Screen) readKeys() {
	defer close(s.keys)
	ready := []unix.PollFd{{Fd: int32(s.in.Fd()), Events: unix.POLLIN}, {Fd: int32(s.wake[0]), Events: unix.POLLIN}}
	var b [256]byte
	for {
		if _, err := unix.Poll(ready, -1); errors.Is(err, syscall.EINTR) {
			continue // and ready may say what was so before
		} else if err != nil {
			return
		}
		if ready[1].Revents != 0 {
			return
		}
		if ready[0].Revents == 0 {
			continue
		}
		n, err := unix.Read(int(s.in.Fd()), b[:])
		switch {
		case errors.Is(err, syscall.EINTR), errors.Is(err, syscall.EAGAIN):
			continue
		case err != nil || n <= 0:
			return
		}
		for _, key := range keysIn(b[:n]) {
			select {
			case s.keys <- key:
			case <-s.done:
				return
			}
		}
	}
}

// Resized has a value when the window may have another size.
func (s *Screen) Resized() <-chan os.Signal { return s.resized }

// Size returns how many columns and rows the window has.
func (s *Screen) Size() (columns, rows int) {
	w, err := unix.IoctlGetWinsize(int(s.out.Fd()), unix.TIOCGWINSZ)
	if err != nil || w.Col == 0 || w.Row == 0 {
		return 80, 24
	}
	return int(w.Col), int(w.Row)
}

// Draw shows a page in the place of the one before.
func (s *Screen) Draw(page []Line) error {
	columns, rows := s.Size()
	if _, err := s.out.WriteString(render(page, columns, rows, s.colour)); err != nil {
		return fmt.Errorf("write to the terminal: %w", err)
	}
	return nil
}

// Close gives the terminal back as it was. A second time it does nothing.
func (s *Screen) Close() {
	s.closed.Do(func() {
		signal.Stop(s.resized)
		close(s.done)
		if s.before != nil {
			unix.Write(s.wake[1], []byte{0})
			s.reading.Wait()
			unix.Close(s.wake[0])
			unix.Close(s.wake[1])
			unix.IoctlSetTermios(int(s.in.Fd()), setTermios, s.before)
		}
		s.out.WriteString(leave)
	})
}
