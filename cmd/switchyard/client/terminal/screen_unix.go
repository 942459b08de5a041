//go:build unix

package terminal

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

const (
	// The alternate screen, lines that are cut and not wrapped, no cursor.
	enter = "\x1b[?1049h\x1b[?7l\x1b[?25l"
	leave = plainText + "\x1b[?25h\x1b[?7h\x1b[?1049l"
)

// Is reports whether f is a terminal.
func Is(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// A Screen is a terminal on which pages are drawn. It is for one goroutine.
type Screen struct {
	in, out *os.File
	colour  bool
	resized chan os.Signal
	keys    chan rune     // readKeys sends, and closes it at its end
	done    chan struct{} // closed by Close

	before  *term.State // of in; nil if that is not a terminal
	wake    [2]int      // a pipe that ends readKeys; set if before is
	reading sync.WaitGroup
	closed  sync.Once
}

// Open takes over the terminal out, and reads keys from in if that is a terminal. The caller
// must close the screen in any case: until then, the terminal is useless to other programs.
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

// takeKeys makes the terminal deliver each key at once and without echo, Interrupt included. The
// terminal belongs to all its processes, so the modes of before are restored in any case. A read of a
// key cannot be interrupted; the pipe makes readKeys wait for two things at once.
func (s *Screen) takeKeys() error {
	if !Is(s.in) {
		return nil
	}
	if err := unix.Pipe(s.wake[:]); err != nil {
		return fmt.Errorf("take over the terminal: %w", err)
	}
	unix.CloseOnExec(s.wake[0])
	unix.CloseOnExec(s.wake[1])
	before, err := term.MakeRaw(int(s.in.Fd()))
	if err != nil {
		unix.Close(s.wake[0])
		unix.Close(s.wake[1])
		return fmt.Errorf("take over the terminal: %w", err)
	}
	s.before = before
	s.reading.Go(s.readKeys)
	return nil
}

// Keys returns the keys that are pressed, Interrupt included. The channel is closed when the
// terminal is gone.
func (s *Screen) Keys() <-chan rune { return s.keys }

// Interrupt is the key Ctrl-C.
const Interrupt = '\x03'

// readKeys sends what is typed until Close.
func (s *Screen) readKeys() {
	defer close(s.keys)
	ready := []unix.PollFd{{Fd: int32(s.in.Fd()), Events: unix.POLLIN}, {Fd: int32(s.wake[0]), Events: unix.POLLIN}}
	var b [256]byte
	for {
		if _, err := unix.Poll(ready, -1); errors.Is(err, syscall.EINTR) {
			continue // ready may still hold the events of the last call
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

// Resized receives a value when the size of the window may have changed.
func (s *Screen) Resized() <-chan os.Signal { return s.resized }

// Size returns the size of the window.
func (s *Screen) Size() (columns, rows int) {
	columns, rows, err := term.GetSize(int(s.out.Fd()))
	if err != nil || columns == 0 || rows == 0 {
		return 80, 24
	}
	return columns, rows
}

// Draw replaces the page on the screen.
func (s *Screen) Draw(page []Line) error {
	columns, rows := s.Size()
	if _, err := s.out.WriteString(render(page, columns, rows, s.colour)); err != nil {
		return fmt.Errorf("write to the terminal: %w", err)
	}
	return nil
}

// Close restores the terminal. A second call does nothing.
func (s *Screen) Close() {
	s.closed.Do(func() {
		signal.Stop(s.resized)
		close(s.done)
		if s.before != nil {
			unix.Write(s.wake[1], []byte{0})
			s.reading.Wait()
			unix.Close(s.wake[0])
			unix.Close(s.wake[1])
			term.Restore(int(s.in.Fd()), s.before)
		}
		s.out.WriteString(leave)
	})
}
