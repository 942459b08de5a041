//go:build full || race

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"switchyard/cmd/switchyard/client"
	"switchyard/proxy/admin/api"
)

// An upgradable is a server that can be asked to upgrade.
type upgradable struct {
	*process
	socket string
}

// startUpgradable starts a server with an admin socket. It and its successors are killed with the
// test.
func startUpgradable(t testing.TB, args ...string) *upgradable {
	t.Helper()
	exe := executable(t)
	return startUpgradableProgram(t, exe, args...)
}

// startUpgradableProgram is startUpgradable for another program.
func startUpgradableProgram(t testing.TB, program string, args ...string) *upgradable {
	t.Helper()
	dir := t.TempDir()
	u := &upgradable{socket: filepath.Join(dir, "admin.sock")}
	cmd := exec.Command(program, slices.Concat([]string{"--listen", "127.0.0.1:0", "--set", "log.format=json", "--set", "admin.socket=" + u.socket}, args)...)
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // which successors inherit
	u.process = startCommand(t, cmd)
	t.Cleanup(func() { syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	return u
}

// upgrade runs the command, and returns its exit code and what it prints.
func (u *upgradable) upgrade(args ...string) (code int, out string) {
	u.t.Helper()
	var stdout, stderr bytes.Buffer
	code = run(append([]string{"upgrade", "--set", "admin.socket=" + u.socket}, args...), os.Environ(), &stdout, &stderr)
	return code, stdout.String() + stderr.String()
}

// mustUpgrade upgrades, and returns the result. An upgrade for which a busy machine took too long is
// undone, and asked for again.
func (u *upgradable) mustUpgrade(args ...string) api.Upgrade {
	u.t.Helper()
	var code int
	var out string
	eventually(u.t, func() bool {
		code, out = u.upgrade(args...)
		return !tookTooLong(out)
	}, func() string { return out })
	if code != exitStopped {
		u.t.Fatalf("exit code %d, %s", code, out)
	}
	return u.last()
}

// tookTooLong reports whether the error of an upgrade is that a limit of time was over.
func tookTooLong(text string) bool {
	return slices.ContainsFunc([]string{"has not printed its version within", "has not loaded its files after", "not everything stopped after", "is not ready after"},
		func(limit string) bool { return strings.Contains(text, limit) })
}

// upgradeBySignal sends SIGUSR2 to the process that serves, again if a busy machine took too long for
// that upgrade, and returns the new process.
func (u *upgradable) upgradeBySignal(pid int) (successor int) {
	u.t.Helper()
	from, done, failed := u.logged(), u.count("handed over"), u.count("upgrade failed")
	again := true
	eventually(u.t, func() bool {
		if again {
			syscall.Kill(pid, syscall.SIGUSR2)
		}
		n := u.count("upgrade failed")
		again, failed = n > failed, n
		return u.count("handed over") > done
	}, func() string { return "no process takes over" })
	return int(u.expectFrom(from, "handed over")["pid"].(float64))
}

// upgrade is mustUpgrade for a server with releases.
func (r *released) upgrade() *upgradable {
	r.Helper()
	u := &upgradable{process: r.process, socket: filepath.Join(r.dir, "a.sock")}
	pid := u.mustUpgrade().PID
	r.Cleanup(func() { syscall.Kill(pid, syscall.SIGKILL) })
	return u
}

// admin returns a client of the server.
func (u *upgradable) admin() *client.Client {
	u.t.Helper()
	c, err := client.Connect(client.Target{Socket: u.socket})
	if err != nil {
		u.t.Fatal(err)
	}
	u.t.Cleanup(c.Close)
	return c
}

// last returns the last upgrade, as the process knows it that serves.
func (u *upgradable) last() api.Upgrade {
	u.t.Helper()
	last, err := u.admin().LastUpgrade(u.t.Context())
	if err != nil {
		u.t.Fatal(err)
	}
	return *last
}

// stop stops the process that serves now, and waits for its end.
func (u *upgradable) stop() {
	u.t.Helper()
	pid := u.cmd.Process.Pid
	if last := u.last(); last.Result == api.UpgradeDone {
		pid = last.PID
	}
	from := u.logged()
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		u.t.Fatal(err)
	}
	u.expectFrom(from, "stopped")
	u.exit()
}

// awaitEnd waits until a process has ended. One whose parent does not wait for it remains as a
// zombie.
func awaitEnd(t testing.TB, pid int) {
	t.Helper()
	eventually(t, func() bool {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		return err != nil || strings.Contains(string(status), ") Z ")
	}, func() string { return fmt.Sprintf("process %d goes on", pid) })
}

// script writes a program that the shell runs.
func script(t testing.TB, text string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "program")
	writeProgram(t, path, []byte("#!/bin/sh\n"+text+"\n"), 0o755)
	return path
}

// writeProgram writes a program while no other test starts a process. That process would have the
// file open for writing until its own program runs, and Linux runs no file that is open for writing.
func writeProgram(t testing.TB, path string, program []byte, mode os.FileMode) {
	t.Helper()
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := os.WriteFile(path, program, mode); err != nil {
		t.Fatal(err)
	}
}

// isServed fails the test unless a peer gets answers.
func (u *upgradable) isServed() {
	u.t.Helper()
	u.dial().Close()
}
