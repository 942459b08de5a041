//go:build full || race

package main

import (
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"switchyard/cmd/switchyard/client/terminal/pty"
)

// seated returns what a window is when a command is in front of it.
func seated(t *testing.T, cmd *exec.Cmd) *pty.Terminal {
	t.Helper()
	window := pty.Open(t, 150, 30)
	window.TTY.WriteString("$ switchyard top\r\n")
	window.Expect("$ switchyard top")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = window.TTY, window.TTY, window.TTY
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	begin(t, cmd)
	return window
}

// On a terminal top refreshes in place, obeys keys, fills the window, and reports when the
// server no longer answers.
func TestTopOnATerminal(t *testing.T) {
	t.Parallel()
	p := start(t, t.TempDir())
	a, b := p.dial(), p.dial()
	cmd := asking(t, p, "top", "--interval", "1s")
	window := seated(t, cmd)
	window.Expect(a.LocalAddr().String())
	window.Expect("CID_BUDDY_LIST_USERS_STATUS_REQUEST")
	a.say(chat(1, "hello"))
	b.expect(chat(1, "hello"))
	window.Expect("CID_MSG_DATA")
	window.Await("each part is there once, and what was before is not", func() bool {
		shown := "\n" + window.Shown()
		for _, once := range []string{"\nTENANT ", "\nCOMMAND ", "\nPEER ", "every 1s", "switchyard 127.", "teamtalk"} {
			if strings.Count(shown, once) != 1 {
				return false
			}
		}
		return !strings.Contains(shown, "$ switchyard")
	})
	window.Type("l")
	window.Expect("[l: lag]")
	window.Resize(60, 12)
	window.Await("a page of 12 rows", func() bool {
		lines := strings.Split(window.Shown(), "\n")
		return len(lines) == 12 && strings.HasPrefix(lines[11], "q quit")
	})
	window.Resize(150, 40)
	window.Await("a page of 40 rows", func() bool { return strings.Count(window.Shown(), "\n") == 39 })
	p.signal(syscall.SIGKILL)
	window.Expect("does switchyard serve with this configuration?")
	window.Expect("CID_MSG_DATA") // what was known is still there
	window.Type("q")
	ended(t, cmd, exitStopped)
	if n := window.Erasures(); n > 0 {
		t.Errorf("all was erased %d times, which flickers", n)
	}
	// The window was resized, which empties this one.
	window.Await("the terminal as it was", func() bool { return window.Says() == "" && window.Shown() == "" })
}

// However it ends, the terminal is what it was.
func TestTopGivesTheTerminalBack(t *testing.T) {
	t.Parallel()
	p := start(t, t.TempDir())
	for name, end := range map[string]func(*exec.Cmd, *pty.Terminal){
		"q":       func(_ *exec.Cmd, w *pty.Terminal) { w.Type("q") },
		"Ctrl-C":  func(_ *exec.Cmd, w *pty.Terminal) { w.Type("\x03") },
		"SIGINT":  func(c *exec.Cmd, _ *pty.Terminal) { c.Process.Signal(syscall.SIGINT) },
		"SIGTERM": func(c *exec.Cmd, _ *pty.Terminal) { c.Process.Signal(syscall.SIGTERM) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := asking(t, p, "top")
			window := seated(t, cmd)
			window.Expect("every 2s")
			if got, want := window.Says(), "other screen, no cursor, no wrapping"; got != want {
				t.Errorf("the terminal is in %s, want %s", got, want)
			}
			during := window.Modes()
			end(cmd, window)
			ended(t, cmd, exitStopped)
			window.Await("the terminal as it was", func() bool { return window.Says() == "" && window.Shown() == "$ switchyard top" })
			if after := window.Modes(); after.Lflag&(syscall.ECHO|syscall.ICANON|syscall.ISIG) != syscall.ECHO|syscall.ICANON|syscall.ISIG || after.Lflag == during.Lflag {
				t.Errorf("its modes are %+v, were %+v", after, during)
			}
		})
	}
}

// A window that is closed ends it.
func TestTopHungUp(t *testing.T) {
	t.Parallel()
	p := start(t, t.TempDir())
	cmd := asking(t, p, "top")
	window := seated(t, cmd)
	window.Expect("every 2s")
	window.HangUp()
	cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != exitStopped && code != exitForced {
		t.Errorf("exit code %d", code)
	}
}

// Without colours wherever they are not wanted.
func TestTopWithoutColours(t *testing.T) {
	t.Parallel()
	p := start(t, t.TempDir())
	for _, c := range []struct {
		env  string
		want bool
	}{{"", true}, {"NO_COLOR=1", false}} {
		cmd := asking(t, p, "top")
		cmd.Env = append(cmd.Env, "NO_COLOR=", c.env)
		window := seated(t, cmd)
		window.Expect("every 2s")
		if got := window.Coloured(); got != c.want {
			t.Errorf("%s: coloured %t, want %t", c.env, got, c.want)
		}
		window.Type("q")
		ended(t, cmd, exitStopped)
	}
}
