//go:build unix

package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A formatted table keeps its group and its mode, by which the server may read it. As root, it keeps
// its owner as well.
func TestFormatKeepsTheOwner(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "routes.toml")
	text := []byte("[route]\nCID_MSG_DATA=\"drop\"\n")
	if err := os.WriteFile(name, text, 0o640); err != nil {
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
		if err := writeKeepingMode(name, text, text); err != nil {
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

// A file that an editor saves while it is formatted keeps what the editor has saved.
func TestFormatKeepsWhatWasSavedMeanwhile(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "routes.toml")
	saved := []byte("[route]\nCID_MSG_DATA=\"broadcast-all\"\n")
	if err := os.WriteFile(name, saved, 0o640); err != nil {
		t.Fatal(err)
	}
	err := writeKeepingMode(name, []byte("[route]\nCID_MSG_DATA=\"drop\"\n"), []byte("[route]\nCID_MSG_DATA = \"drop\"\n"))
	if err == nil || !strings.Contains(err.Error(), "it was changed meanwhile; format it again") {
		t.Errorf("got error %v, want that the file was changed", err)
	}
	files, err := os.ReadDir(filepath.Dir(name))
	if err != nil || len(files) != 1 {
		t.Errorf("the folder has %v, %v, want the table alone", files, err)
	}
	if got, err := os.ReadFile(name); err != nil || string(got) != string(saved) {
		t.Errorf("the file has %q, %v, want what was saved", got, err)
	}
}
