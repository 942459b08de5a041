//go:build full

package deploy

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// makeIn returns a command that runs make in a folder, without the variables of a make
// that runs these tests.
func makeIn(t *testing.T, folder string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), tool(t, "make", "make"), append([]string{"--no-print-directory"}, args...)...)
	cmd.Dir = folder
	cmd.Env = slices.DeleteFunc(os.Environ(), func(e string) bool {
		return strings.HasPrefix(e, "MAKE") || strings.HasPrefix(e, "MFLAGS=") || strings.HasPrefix(e, "DESTDIR=") || strings.HasPrefix(e, "PREFIX=")
	})
	return cmd
}

// install runs 'make install' in this checkout without writing to it.
func install(t *testing.T, at string, args ...string) {
	t.Helper()
	execute(t, makeIn(t, root, append(args, "install", "DIST="+filepath.Join(scratch, "dist"))...))
}

// files returns the names and modes of all files below a folder.
func files(t *testing.T, folder string) map[string]fs.FileMode {
	t.Helper()
	found := map[string]fs.FileMode{}
	err := filepath.WalkDir(folder, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		found[strings.TrimPrefix(name, folder)] = info.Mode()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestInstall(t *testing.T) {
	at := t.TempDir()
	install(t, at, "DESTDIR="+at, "PREFIX=/usr")
	found := files(t, at)
	for name, mode := range map[string]fs.FileMode{
		"/usr/bin/switchyard":                                  0o755,
		"/usr/share/man/man1/switchyard.1":                     0o644,
		"/usr/share/man/man1/switchyard-policy-eval.1":         0o644,
		"/usr/share/man/man5/switchyard.toml.5":                0o644,
		"/usr/share/man/man5/switchyard-table.5":               0o644,
		"/usr/share/bash-completion/completions/switchyard":    0o644,
		"/usr/share/zsh/site-functions/_switchyard":            0o644,
		"/usr/share/fish/vendor_completions.d/switchyard.fish": 0o644,
		"/usr/lib/systemd/system/switchyard.service":           0o644,
		"/usr/lib/sysusers.d/switchyard.conf":                  0o644,
		"/etc/switchyard/config.toml":                          0o644,
	} {
		if found[name] != mode {
			t.Errorf("%s has the mode %v, want %v", name, found[name], mode)
		}
	}
	start := unit(t, filepath.Join(at, "usr/lib/systemd/system/switchyard.service"))["Service.ExecStart"]
	if want := []string{"/usr/bin/switchyard serve --config /etc/switchyard/config.toml"}; !slices.Equal(start, want) {
		t.Errorf("the unit starts %q, want %q", start, want)
	}
	out := execute(t, exec.Command(filepath.Join(at, "usr/bin/switchyard"), "check", "--config", filepath.Join(at, "etc/switchyard/config.toml")))
	if !strings.Contains(out, "sound") {
		t.Errorf("check of the installed configuration prints %q", out)
	}

	// A second 'make install' builds nothing, so 'sudo make install' leaves no files of root's
	// in the checkout.
	dist := filepath.Join(scratch, "dist")
	execute(t, makeIn(t, root, "--question", "--old-file="+filepath.Join(dist, "switchyard"), "man", "completions", "DIST="+dist))

	// The operator's configuration survives an upgrade and uninstalling.
	config := filepath.Join(at, "etc/switchyard/config.toml")
	if err := os.WriteFile(config, []byte("# mine\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	install(t, at, "DESTDIR="+at, "PREFIX=/usr")
	execute(t, makeIn(t, root, "uninstall", "DESTDIR="+at, "PREFIX=/usr"))
	if left := files(t, at); len(left) != 1 || read(t, config) != "# mine\n" {
		t.Errorf("after uninstalling there are %v, and the configuration is %q", left, read(t, config))
	}
}
