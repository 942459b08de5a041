//go:build unix

package main

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// A formatted table keeps its group and its mode, by which the server may read it. As root, it keeps
// its owner as well.
func TestFormatKeepsTheOwner(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "routes.toml")
	if err := os.WriteFile(name, []byte("[route]\nCID_MSG_DATA=\"drop\"\n"), 0o640); err != nil {
		t.Fatal(err)
	}
	owner := os.Getuid()
	groups, err := os.Getgroups()
	if err != nil {
		t.Fatal(err)
	}
	if owner == 0 {
		owner, groups = 1, []int{1}
	}
	for _, group := range append(groups, os.Getgid()) {
		if os.Chown(name, owner, group) != nil {
			continue // a container may not map it
		}
		if err := writeKeepingMode(name, []byte("[route]\n")); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if is := info.Sys().(*syscall.Stat_t); int(is.Uid) != owner || int(is.Gid) != group || info.Mode().Perm() != 0o640 {
			t.Errorf("the file is %v of %d:%d, want -rw-r----- of %d:%d", info.Mode(), is.Uid, is.Gid, owner, group)
		}
	}
}
