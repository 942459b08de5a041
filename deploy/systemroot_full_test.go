//go:build full

package deploy

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// A systemRoot is a folder that looks like the root of a system to a package: with a shell and the
// few programs that the scripts of the packages use, copied from this machine, and a systemctl of
// the test's own, as no systemd runs there.
type systemRoot struct {
	t      *testing.T
	folder string
}

// The copied programs, and the Debian packages that have them.
var copiedPrograms = map[string]string{
	"sh": "dash", "systemd-sysusers": "systemd", "sed": "sed", "seq": "coreutils", "sleep": "coreutils", "cat": "coreutils", "env": "coreutils",
	"mkdir": "coreutils", "rmdir": "coreutils", "rm": "coreutils", "ln": "coreutils",
}

func newSystemRoot(t *testing.T) systemRoot {
	t.Helper()
	r := systemRoot{t, t.TempDir()}
	for _, folder := range []string{"usr/bin", "usr/sbin", "usr/lib", "usr/lib64", "usr/lib/sysusers.d", "etc", "dev", "run", "tmp", "var/lib/dpkg/updates", "var/lib/dpkg/info"} {
		if err := os.MkdirAll(r.path(folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, folder := range []string{"bin", "sbin", "lib", "lib64"} {
		if err := os.Symlink("usr/"+folder, r.path(folder)); err != nil {
			t.Fatal(err)
		}
	}
	for name, from := range copiedPrograms {
		r.copyProgram(tool(t, name, from))
	}
	r.write("dev/null", "", 0o666)
	// What the packages depend on is there, as far as dpkg knows.
	r.write("var/lib/dpkg/status", "Package: systemd\nStatus: install ok installed\nMaintainer: a\nArchitecture: "+arch+"\nVersion: 257\nDescription: systemd\n", 0o644)
	r.systemctl("257")
	return r
}

func (r systemRoot) path(name string) string { return filepath.Join(r.folder, name) }

func (r systemRoot) write(name, text string, mode os.FileMode) {
	r.t.Helper()
	if err := os.MkdirAll(filepath.Dir(r.path(name)), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(r.path(name), []byte(text), mode); err != nil {
		r.t.Fatal(err)
	}
	if err := os.Chmod(r.path(name), mode); err != nil {
		r.t.Fatal(err)
	}
}

// library matches what ldd says of a library, and of the loader.
var library = regexp.MustCompile(`(?m)(?:=> |^\t)(/\S+) \(0x`)

// copyProgram copies a program and its libraries to the same places.
func (r systemRoot) copyProgram(path string) {
	r.t.Helper()
	files := [][]string{{"", path}}
	files = append(files, library.FindAllStringSubmatch(execute(r.t, exec.Command("ldd", path)), -1)...)
	for _, file := range files {
		r.write(file[1], read(r.t, file[1]), 0o755)
	}
}

// systemctl makes a systemctl that says it is of a version. It answers of the service as if systemd
// had started the process with the number in /run/main-pid, and keeps what it is asked in
// /run/asked.
func (r systemRoot) systemctl(version string) {
	r.t.Helper()
	r.write("usr/bin/systemctl", fmt.Sprintf(`#!/bin/sh
case "$1" in
--version) echo "systemd %s (test)" ;;
show) if [ -e /run/main-pid ]; then cat /run/main-pid; else echo 0; fi ;;
*) echo "$*" >> /run/asked ;;
esac
`, version), 0o755)
}

// booted makes it look as if systemd runs.
func (r systemRoot) booted() {
	r.t.Helper()
	if err := os.MkdirAll(r.path("run/systemd/system"), 0o755); err != nil {
		r.t.Fatal(err)
	}
}

// asked returns what systemctl was asked since the last call.
func (r systemRoot) asked() string {
	r.t.Helper()
	text, err := os.ReadFile(r.path("run/asked"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		r.t.Fatal(err)
	}
	os.Remove(r.path("run/asked"))
	return string(text)
}

func (r systemRoot) exists(name string) bool {
	_, err := os.Lstat(r.path(name))
	return err == nil
}

// run runs a program of the root, and returns its exit code and output.
func (r systemRoot) run(args ...string) (int, string) {
	r.t.Helper()
	var out bytes.Buffer
	cmd := &exec.Cmd{Path: args[0], Args: args, Dir: "/", Env: []string{"PATH=/usr/bin:/usr/sbin"}, Stdout: &out, Stderr: &out,
		SysProcAttr: &syscall.SysProcAttr{Chroot: r.folder}}
	err := cmd.Run()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		r.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String()
}

// dpkg runs dpkg, which must succeed.
func (r systemRoot) dpkg(args ...string) string {
	r.t.Helper()
	cmd := exec.CommandContext(r.t.Context(), tool(r.t, "dpkg", "dpkg"), append([]string{"--root=" + r.folder}, args...)...)
	// Who installs may have another server in mind, which is none of the package's.
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "SWITCHYARD_SERVER=127.0.0.1:1",
		"PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin") // where dpkg looks for programs that it needs
	return execute(r.t, cmd)
}

// rpm runs rpm, which must succeed. It does not know what dpkg has installed.
func (r systemRoot) rpm(args ...string) string {
	r.t.Helper()
	return execute(r.t, exec.CommandContext(r.t.Context(), tool(r.t, "rpm", "rpm"), append([]string{"--root", r.folder, "--dbpath", "/var/lib/rpm"}, args...)...))
}

// wantInstalled wants the files of a package, and that the program runs and takes the
// configuration.
func (r systemRoot) wantInstalled(completion string) {
	r.t.Helper()
	for name, mode := range map[string]os.FileMode{
		"usr/bin/switchyard":                                  0o755,
		"etc/switchyard/config.toml":                          0o644,
		"usr/lib/systemd/system/switchyard.service":           0o644,
		"usr/lib/sysusers.d/switchyard.conf":                  0o644,
		"usr/share/man/man1/switchyard.1.gz":                  0o644,
		"usr/share/man/man1/switchyard-policy-eval.1.gz":      0o644,
		"usr/share/man/man5/switchyard.toml.5.gz":             0o644,
		"usr/share/bash-completion/completions/switchyard":    0o644,
		"usr/share/fish/vendor_completions.d/switchyard.fish": 0o644,
		completion:                             0o644,
		"usr/share/doc/switchyard/copyright":   0o644,
		"usr/share/switchyard/before-253.conf": 0o644,
	} {
		info, err := os.Lstat(r.path(name))
		if err != nil || info.Mode() != mode {
			r.t.Errorf("%s: %v, want the mode %v: %v", name, info, mode, err)
		}
	}
	if code, out := r.run("/usr/bin/switchyard", "version"); code != 0 || !strings.HasPrefix(out, "switchyard "+tag+"\n") {
		r.t.Errorf("version: exit code %d, %s", code, out)
	}
	if code, out := r.run("/usr/bin/switchyard", "check", "--config", "/etc/switchyard/config.toml"); code != 0 {
		r.t.Errorf("check: exit code %d, %s", code, out)
	}
	start := unit(r.t, r.path("usr/lib/systemd/system/switchyard.service"))["Service.ExecStart"]
	if len(start) != 1 || !strings.HasPrefix(start[0], "/usr/bin/switchyard ") {
		r.t.Errorf("the unit starts %q", start)
	}
	if users := read(r.t, r.path("etc/passwd")); !strings.Contains(users, "\nswitchyard:") && !strings.HasPrefix(users, "switchyard:") {
		r.t.Errorf("the users are\n%s", users)
	}
	for _, licence := range []string{"The Go standard library", "Apache License", "github.com/tetratelabs/wazero v"} {
		if !strings.Contains(read(r.t, r.path("usr/share/doc/switchyard/copyright")), licence) {
			r.t.Errorf("the file copyright does not say %q", licence)
		}
	}
}
