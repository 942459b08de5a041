//go:build full

package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"switchyard/pdu/pdutest"
	"switchyard/proxy/admin/api"
)

// children returns the children of a process, whichever thread has started them.
func children(t testing.TB, pid int) (pids []int) {
	t.Helper()
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range lists {
		text, _ := os.ReadFile(list) // the thread may have ended
		for _, s := range strings.Fields(string(text)) {
			child, err := strconv.Atoi(s)
			if err != nil {
				t.Fatal(err)
			}
			pids = append(pids, child)
		}
	}
	return pids
}

// stopTaker stops the new process when it has so many descriptors, of sessions among others, so
// that the old one stands still.
func (u *upgradable) stopTaker(old, descriptors int) (pid int) {
	u.t.Helper()
	eventually(u.t, func() bool {
		for _, pid = range children(u.t, old) {
			if all, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid)); err == nil && len(all) >= descriptors {
				return syscall.Kill(pid, syscall.SIGSTOP) == nil
			}
		}
		return false
	}, func() string { return "no new process takes over" })
	return pid
}

// Peers that leave or send while nobody serves them are served as those that did it before or
// after.
func TestPeersWhileFrozen(t *testing.T) {
	const idle = 400
	u := startUpgradable(t)
	for range idle {
		u.dial()
	}
	a, b := u.dial(), u.dial()
	old, caught := u.cmd.Process.Pid, 0
	for i := 0; caught < 3; i++ {
		if i == 20 {
			t.Fatalf("of %d upgrades, %d were stopped in the middle", i, caught)
		}
		closes, halfCloses, resets := u.dial(), u.dial(), u.dial()
		done := make(chan int, 1)
		go func() {
			code, out := u.upgrade()
			if code != exitStopped {
				t.Error(out)
			}
			done <- code
		}()
		pid := u.stopTaker(old, idle/4)
		a.say(pdutest.StatusRequest(7, 1, nil))
		closes.say(spoken("closes"))
		closes.Close()
		halfCloses.say(spoken("half-closes"))
		halfCloses.Conn.(*net.TCPConn).CloseWrite()
		resets.Conn.(*net.TCPConn).SetLinger(0)
		resets.Close()
		late, err := net.Dial("tcp", u.address)
		if err != nil {
			t.Fatal(err)
		}
		frozen := u.count("handed over", fmt.Sprintf(`"pid":%d`, pid)) == 0
		if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		if code := <-done; code != exitStopped {
			t.FailNow()
		}
		old = u.last().PID
		served := peer{t, late}
		for served.say(pdutest.StatusRequest(7, 1, nil)); !bytes.Equal(served.next(), pdutest.StatusResponse(7, 1, nil)); {
			// What the others said may come first.
		}
		late.Close()
		a.expectAll(pdutest.StatusResponse(7, 1, nil), spoken("closes"), spoken("half-closes"))
		b.expectAll(spoken("closes"), spoken("half-closes"))
		var s *api.Snapshot
		eventually(t, func() bool {
			if s, err = u.admin().Snapshot(t.Context()); err != nil {
				t.Fatal(err)
			}
			return s.Totals.Sessions == idle+2
		}, func() string { return fmt.Sprintf("%+v", s.Totals) })
		if frozen {
			caught++
		}
	}
}

// expectAll reads the PDUs, in any order.
func (c peer) expectAll(want ...[]byte) {
	c.t.Helper()
	for range len(want) {
		p := c.next()
		i := slices.IndexFunc(want, func(w []byte) bool { return bytes.Equal(w, p) })
		if i < 0 {
			c.t.Fatalf("received %q, want one of %q", p, want)
		}
		want = slices.Delete(want, i, i+1)
	}
}

// A new process that gets too little memory changes nothing.
func TestUpgradeWithoutMemory(t *testing.T) {
	exe := executable(t)
	u := startUpgradable(t)
	tr := startStream(u.process, 12, 3, 5*time.Millisecond)
	failed, succeeded := 0, false
	for kilobytes := 100_000; !succeeded && kilobytes < 1<<26; kilobytes *= 2 {
		program := script(t, fmt.Sprintf(`[ "$1" = version ] && exec %s "$@"; ulimit -v %d; exec %s "$@"`, exe, kilobytes, exe))
		switch code, out := u.upgrade("--program", program); code {
		case exitStopped:
			succeeded = true
		case exitInternal:
			failed++
		default:
			t.Errorf("with %d KiB: exit code %d, %s", kilobytes, code, out)
		}
	}
	if failed == 0 || !succeeded {
		t.Errorf("%d limits were too low; another one was enough: %t", failed, succeeded)
	}
	tr.finish()
}

// With a full disk, an upgrade changes nothing or succeeds, and peers notice nothing.
func TestUpgradeWithAFullDisk(t *testing.T) {
	exe := executable(t)
	dir := t.TempDir()
	state := filepath.Join(dir, "state")
	if err := os.Mkdir(state, 0o700); err != nil {
		t.Fatal(err)
	}
	u := &upgradable{socket: filepath.Join(dir, "admin.sock")}
	cmd := exec.Command("unshare", "--mount", "sh", "-c", `mount -t tmpfs -o size=256k none "$0" && exec "$@"`, state,
		exe, "--listen", "127.0.0.1:0", "--set", "log.format=json", "--set", "admin.socket="+u.socket, "--set", "releases.state="+state)
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	u.process = startCommand(t, cmd)
	t.Cleanup(func() { syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	tr := startStream(u.process, 12, 3, 5*time.Millisecond)
	for range 2 {
		pid := cmd.Process.Pid
		if last := u.last(); last.Result == api.UpgradeDone {
			pid = last.PID
		}
		inside := fmt.Sprintf("/proc/%d/root%s", pid, state)
		if err := os.WriteFile(filepath.Join(inside, "fill"), make([]byte, 1<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("the disk is not full: %v", err)
		}
		code, out := u.upgrade()
		if code != exitStopped && code != exitInternal {
			t.Errorf("exit code %d, %s", code, out)
		}
	}
	tr.finish()
	u.isServed()
}
