//go:build full || race

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"switchyard/pdu"
	"switchyard/pdu/pdutest"
)

// Each way of saving a policy's file is noticed and takes effect: a message is returned to its
// sender before, and not after. Without the tag full only the ways that differ most are tried.
func TestWaysOfSaving(t *testing.T) {
	t.Parallel()
	const before, after = "broadcast-all", "broadcast-except-sender"
	for name, way := range map[string]struct {
		file string                         // the policy's path in dir
		prep func(t *testing.T, dir string) // creates the first version; nil for a plain file
		save func(t *testing.T, dir, path string)
		args []string
	}{
		"in place": {save: func(t *testing.T, _, path string) {
			write(t, path, savedTable(after))
		}},
		"in pieces": {save: func(t *testing.T, _, path string) {
			f, err := os.Create(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			for _, b := range []byte(savedTable(after)) {
				if _, err := f.Write([]byte{b}); err != nil {
					t.Fatal(err)
				}
			}
		}},
		"rename over it": {save: func(t *testing.T, _, path string) {
			replace(t, path, savedTable(after))
		}},
		"rename from elsewhere": {save: func(t *testing.T, dir, path string) {
			elsewhere := filepath.Join(dir, "elsewhere")
			mkdir(t, elsewhere)
			write(t, filepath.Join(elsewhere, "x"), savedTable(after))
			rename(t, filepath.Join(elsewhere, "x"), path)
		}},
		"remove and create": {save: func(t *testing.T, _, path string) {
			remove(t, path)
			write(t, path, savedTable(after))
		}},
		"symlink swapped": {
			prep: func(t *testing.T, dir string) {
				write(t, filepath.Join(dir, "v1.toml"), savedTable(before))
				symlink(t, "v1.toml", filepath.Join(dir, "routes.toml"))
			},
			save: func(t *testing.T, dir, path string) {
				write(t, filepath.Join(dir, "v2.toml"), savedTable(after))
				symlink(t, "v2.toml", path+".new")
				rename(t, path+".new", path)
			},
		},
		"folder swapped": {
			file: "current/routes.toml",
			prep: func(t *testing.T, dir string) {
				mkdir(t, filepath.Join(dir, "release1"))
				write(t, filepath.Join(dir, "release1/routes.toml"), savedTable(before))
				symlink(t, "release1", filepath.Join(dir, "current"))
			},
			save: func(t *testing.T, dir, _ string) {
				mkdir(t, filepath.Join(dir, "release2"))
				write(t, filepath.Join(dir, "release2/routes.toml"), savedTable(after))
				symlink(t, "release2", filepath.Join(dir, "current.new"))
				rename(t, filepath.Join(dir, "current.new"), filepath.Join(dir, "current"))
			},
		},
		"ConfigMap": { // what the kubelet does: no event ever names the file
			prep: func(t *testing.T, dir string) {
				mkdir(t, filepath.Join(dir, "..2026_1"))
				write(t, filepath.Join(dir, "..2026_1/routes.toml"), savedTable(before))
				symlink(t, "..2026_1", filepath.Join(dir, "..data"))
				symlink(t, "..data/routes.toml", filepath.Join(dir, "routes.toml"))
			},
			save: func(t *testing.T, dir, _ string) {
				mkdir(t, filepath.Join(dir, "..2026_2"))
				write(t, filepath.Join(dir, "..2026_2/routes.toml"), savedTable(after))
				symlink(t, "..2026_2", filepath.Join(dir, "..data_tmp"))
				rename(t, filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data"))
				if err := os.RemoveAll(filepath.Join(dir, "..2026_1")); err != nil {
					t.Fatal(err)
				}
			},
		},
		"bind mount": { // which causes no event in the directory, so polling notices it
			args: []string{"--set", "reload.poll=200ms"},
			prep: func(t *testing.T, dir string) {
				source, path := filepath.Join(dir, "source.toml"), filepath.Join(dir, "mounted", "routes.toml")
				mkdir(t, filepath.Dir(path))
				write(t, source, savedTable(before))
				write(t, path, "")
				if out, err := exec.Command("mount", "--bind", source, path).CombinedOutput(); err != nil {
					t.Skipf("a bind mount needs the right to mount: %s", out)
				}
				t.Cleanup(func() { exec.Command("umount", path).Run() })
			},
			file: "mounted/routes.toml",
			save: func(t *testing.T, dir, _ string) {
				write(t, filepath.Join(dir, "source.toml"), savedTable(after))
			},
		},
		"config.toml": { // the configuration names another file
			save: func(t *testing.T, dir, _ string) {
				write(t, filepath.Join(dir, "other.toml"), savedTable(after))
				write(t, filepath.Join(dir, "config.toml"), "[tenant.default]\npolicy = \"file:other.toml\"\n")
			},
		},
	} {
		if !full && !slices.Contains([]string{"in place", "rename over it", "ConfigMap", "bind mount"}, name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if way.file == "" {
				way.file = "routes.toml"
			}
			path := filepath.Join(dir, way.file)
			if way.prep == nil {
				write(t, path, savedTable(before))
			} else {
				way.prep(t, dir)
			}
			write(t, filepath.Join(dir, "config.toml"), fmt.Sprintf("[tenant.default]\npolicy = \"file:%s\"\n", way.file))
			p := start(t, dir, way.args...)
			c, other := p.dial(), p.dial()
			m1, m2 := pdutest.Raw(pdu.CID_MSG_DATA, 1, []byte("before")), pdutest.Raw(pdu.CID_MSG_DATA, 2, []byte("after"))
			c.say(m1)
			c.expect(m1)

			way.save(t, dir, path)
			p.expect("policy reloaded")
			c.say(m2)
			c.settle()
			other.expect(m1, m2)
			if n := p.count("policy reloaded"); n != 1 {
				t.Errorf("%d reloads, want one", n)
			}
			if n := p.count("refused"); n != 0 {
				t.Errorf("something was refused %d times", n)
			}
		})
	}
}

func symlink(t *testing.T, to, path string) {
	t.Helper()
	if err := os.Symlink(to, path); err != nil {
		t.Fatal(err)
	}
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}
