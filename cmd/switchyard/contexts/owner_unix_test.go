//go:build unix

package contexts

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// What root writes in the folder of another user, as by sudo, belongs to that user.
func TestRootLeavesTheFileToItsUser(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	owner := os.Getuid()
	if owner == 0 && os.Chown(home, 1, 1) == nil { // a container may not map it
		owner = 1
	}
	f := &File{path: filepath.Join(home, ".config", "switchyard", "contexts.toml"), Context: map[string]Context{}}
	for range 2 { // the file is made, and then replaced
		if err := f.Write(); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{f.path, filepath.Dir(f.path), filepath.Join(home, ".config")} {
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if is := info.Sys().(*syscall.Stat_t); int(is.Uid) != owner || info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s is %v of user %d, want one of user %d alone", path, info.Mode(), is.Uid, owner)
			}
		}
	}
}
