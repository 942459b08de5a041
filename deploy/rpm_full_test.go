//go:build full

package deploy

import (
	"path/filepath"
	"strings"
	"testing"
)

// The RPM package is installed, keeps the operator's configuration in an upgrade, and is removed.
func TestRPMPackage(t *testing.T) {
	if !asRoot(t) {
		return
	}
	machine := map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[arch]
	file := filepath.Join(packages(t), "switchyard-"+version+"-1."+machine+".rpm")
	r := newSystemRoot(t)
	r.booted()
	if out := r.rpm("--query", "--package", "--requires", "--configfiles", file); !strings.Contains(out, "systemd\n") || !strings.Contains(out, "\n/etc/switchyard/config.toml\n") {
		t.Errorf("it requires, and has the configuration files\n%s", out)
	}
	// The systemd that it requires is there, but rpm has not installed it.
	r.rpm("--install", "--nodeps", file)
	r.wantInstalled("usr/share/zsh/site-functions/_switchyard")
	if asked := r.asked(); asked != "daemon-reload\n" {
		t.Errorf("systemd is asked to %q", asked)
	}

	const mine = "[admin]\naddress = \"\"\n"
	r.write("etc/switchyard/config.toml", mine, 0o644)
	s := startService(r)
	r.rpm("--upgrade", "--nodeps", "--replacepkgs", file)
	if got := read(t, r.path("etc/switchyard/config.toml")); got != mine {
		t.Errorf("the operator's configuration became\n%s", got)
	}
	s.wantTaken()
	r.asked()
	r.rpm("--erase", "switchyard")
	if asked := r.asked(); asked != "stop switchyard.service\ndisable --quiet switchyard.service\ndaemon-reload\n" {
		t.Errorf("systemd is asked to %q", asked)
	}
	if r.exists("usr/bin/switchyard") || !r.exists("etc/switchyard/config.toml.rpmsave") {
		t.Error("after it is removed, the program must be gone, and the operator's configuration must not")
	}
}
