//go:build full

package deploy

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func debianPackage(t *testing.T) string {
	t.Helper()
	return filepath.Join(packages(t), "switchyard_"+version+"-1_"+arch+".deb")
}

// The package is installed, keeps what the operator has written, and leaves nothing when it is
// purged but the user. It starts nothing.
func TestDebianPackage(t *testing.T) {
	if !asRoot(t) {
		return
	}
	r := newSystemRoot(t)
	r.booted()
	r.systemctl("252")
	r.dpkg("--install", debianPackage(t))
	r.wantInstalled("usr/share/zsh/vendor-completions/_switchyard")
	if asked := r.asked(); asked != "daemon-reload\n" {
		t.Errorf("systemd is asked to %q", asked)
	}
	const dropIn = "etc/systemd/system/switchyard.service.d/before-253.conf"
	if at, err := os.Readlink(r.path(dropIn)); err != nil || at != "/usr/share/switchyard/before-253.conf" {
		t.Errorf("for systemd 252 there is no drop-in: %s, %v", at, err)
	}

	const mine = "[admin]\naddress = \"127.0.0.1:1\"\n"
	r.write("etc/switchyard/config.toml", mine, 0o644)
	r.systemctl("257")
	r.dpkg("--install", debianPackage(t))
	if got := read(t, r.path("etc/switchyard/config.toml")); got != mine {
		t.Errorf("the operator's configuration became\n%s", got)
	}
	if r.exists(dropIn) {
		t.Error("the drop-in stays with a newer systemd")
	}

	r.asked()
	r.write("var/lib/switchyard/state", "kept", 0o600)
	r.write("var/log/switchyard/access.log", "kept", 0o600)
	r.systemctl("252")
	r.dpkg("--install", debianPackage(t))
	r.dpkg("--remove", "switchyard")
	if asked := r.asked(); !strings.Contains(asked, "stop switchyard.service\ndisable --quiet switchyard.service\ndaemon-reload\n") {
		t.Errorf("systemd is asked to %q", asked)
	}
	if r.exists("usr/bin/switchyard") || r.exists(dropIn) || !r.exists("etc/switchyard/config.toml") || !r.exists("var/lib/switchyard/state") || !r.exists("var/log/switchyard/access.log") {
		t.Error("after a removal the program must be gone, and the configuration, the state and the access log must not")
	}
	r.dpkg("--purge", "switchyard")
	for _, name := range []string{"etc/switchyard", "var/lib/switchyard", "var/log/switchyard", "usr/share/switchyard", "usr/share/doc/switchyard", "etc/systemd/system/switchyard.service.d"} {
		if r.exists(name) {
			t.Errorf("after a purge there is %s", name)
		}
	}
	if !strings.Contains(read(t, r.path("etc/passwd")), "switchyard:") {
		t.Error("the user is gone, and another one may get its number and its files")
	}
}

// An upgrade of the package puts the new program in the place of the running one: the connection of
// a peer stays open. So it does where root has no right to operate, and where that fails, the old
// program keeps serving.
func TestDebianUpgradeKeepsConnections(t *testing.T) {
	if !asRoot(t) {
		return
	}
	r := newSystemRoot(t)
	r.booted()
	r.dpkg("--install", debianPackage(t))
	r.write("etc/switchyard/config.toml", "[admin]\naddress = \"\"\nsocket = \"/run/switchyard/admin.sock\"\n", 0o644)

	s := startService(r)
	out := r.dpkg("--install", debianPackage(t))
	if !strings.Contains(out, "upgraded  from "+tag+" to "+tag) || !strings.Contains(out, "sessions  1 moved, 0 drained, 0 closed") {
		t.Errorf("dpkg prints\n%s", out)
	}
	s.wantTaken()

	// The signal works without the socket.
	r.write("etc/switchyard/config.toml", "[admin]\naddress = \"\"\n", 0o644)
	r.dpkg("--install", debianPackage(t))
	s.wantTaken()

	// A program that cannot take over does not.
	r.write("etc/switchyard/config.toml", "[admin]\naddress = \"\"\nsocket = \"/run/switchyard/admin.sock\"\n", 0o644)
	r.write("config.toml", "nonsense = 1\n", 0o644)
	out = r.dpkg("--install", debianPackage(t))
	if !strings.Contains(out, "the previous program keeps serving, because the new one has not taken over") {
		t.Errorf("dpkg prints\n%s", out)
	}
	s.wantAnswer()
}

// The program may end while it is asked to hand over. Then no other process gets the signal; least of
// all the package manager, which dies of it.
func TestDebianUpgradeOfAnEndedProgram(t *testing.T) {
	if !asRoot(t) {
		return
	}
	r := newSystemRoot(t)
	r.booted()
	r.dpkg("--install", debianPackage(t))
	ends := `#!/bin/sh
[ "$1" = show ] || exit 0
cat /run/main-pid
echo %s > /run/main-pid
`
	for name, next := range map[string]string{"it is gone": "0", "its number is": "2147483647"} {
		r.write("run/main-pid", "1\n", 0o644)
		r.write("usr/bin/systemctl", fmt.Sprintf(ends, next), 0o755)
		cmd := exec.Command("/bin/sh", "/var/lib/dpkg/info/switchyard.postinst", "configure", "1.0.0-1")
		cmd.Env = []string{"PATH=/usr/bin:/usr/sbin"}
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: r.folder, Setpgid: true}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", name, err, out)
		}
	}
}
