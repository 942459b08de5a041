package source

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"switchyard/pdu"
	"switchyard/policy/abi"
)

// saveAll writes files into a folder.
func saveAll(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// A table and what it extends are one content, whose sum changes with each of them, and from which
// alone the same module is made again.
func TestExtendedTable(t *testing.T) {
	dir := t.TempDir()
	saveAll(t, dir, map[string]string{
		"routes.toml":    "extends = 'b/east.toml'\n[route]\nCID_MSG_DATA = 'broadcast-all'\n",
		"b/east.toml":    "extends = 'common.toml'\n",
		"b/common.toml":  "extends = 'teamtalk'\n[route]\nCID_FILE_NOTIFY = 'drop'\n",
		"elsewhere.toml": "[route]\nelse = 'drop'",
	})
	path := filepath.Join(dir, "routes.toml")
	wantBases := []string{filepath.Join(dir, "b", "east.toml"), filepath.Join(dir, "b", "common.toml")}
	if got := Bases(path); !slices.Equal(got, wantBases) {
		t.Errorf("bases are %q, want %q", got, wantBases)
	}
	first, err := find(t, "file:routes.toml", dir, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	for command, want := range map[pdu.CommandID]string{
		pdu.CID_MSG_DATA: "routes.toml:3", pdu.CID_FILE_NOTIFY: "b/common.toml:3", pdu.CID_OTHER_HEARTBEAT: "teamtalk:",
	} {
		if got := first.Rule(pdu.SID_MSG, command).Source; !strings.HasPrefix(got, want) {
			t.Errorf("%v is from %s, want %s", command, got, want)
		}
	}
	kept, err := File{Name: "file:routes.toml", Path: path, Bytes: first.File, SHA256: sum(first.File)}.Module()
	if err != nil || kept.SHA256 != first.SHA256 || kept.FileSHA256 != first.FileSHA256 {
		t.Errorf("what is kept is another policy: %v, %s, %s", err, kept.SHA256, kept.FileSHA256)
	}
	saveAll(t, dir, map[string]string{"b/common.toml": "extends = 'teamtalk'\n[route]\nCID_FILE_NOTIFY = 'broadcast-all'\n"})
	if second, err := find(t, "file:routes.toml", dir, 1<<20); err != nil || second.FileSHA256 == first.FileSHA256 || second.SHA256 == first.SHA256 {
		t.Errorf("with another base: %v, file %s, module %s", err, second.FileSHA256, second.SHA256)
	}
}

// A base may be a symbolic link out of the folder: whoever can make one can also write the table.
func TestBaseIsASymbolicLink(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	saveAll(t, elsewhere, map[string]string{"common.toml": "[route]\nCID_MSG_DATA = 'drop'\n"})
	saveAll(t, dir, map[string]string{"routes.toml": "extends = 'base.toml'\n"})
	if err := os.Symlink(filepath.Join(elsewhere, "common.toml"), filepath.Join(dir, "base.toml")); err != nil {
		t.Fatal(err)
	}
	m, err := find(t, "file:routes.toml", dir, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if got := m.Table.Verdict(pdu.SID_MSG, pdu.CID_MSG_DATA); got != abi.Drop {
		t.Errorf("got %v", got)
	}
}

func TestBasesOfFaultyTables(t *testing.T) {
	dir := t.TempDir()
	saveAll(t, dir, map[string]string{
		"missing.toml": "extends = 'none.toml'", "a.toml": "extends = 'b.toml'\n[route]\nfaulty", "b.toml": "extends = 'a.toml'",
		"out.toml": "extends = '../x.toml'", "shipped.toml": "extends = 'teamtalk'",
	})
	for name, want := range map[string][]string{"missing.toml": {"none.toml"}, "b.toml": {"a.toml"}, "out.toml": nil, "shipped.toml": nil, "none.toml": nil} {
		var got []string
		for _, file := range Bases(filepath.Join(dir, name)) {
			got = append(got, filepath.Base(file))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// A fault of the syntax elsewhere does not hide what a table extends.
func TestExtendedTableWithASyntaxFault(t *testing.T) {
	dir := t.TempDir()
	saveAll(t, dir, map[string]string{"routes.toml": "extends = 'teamtalk'\n[route]\nCID_MSG_DATA = 'drop'\nCID_MSG_DATA = 'close'\n"})
	_, err := find(t, "file:routes.toml", dir, 1000)
	if err == nil || !strings.Contains(err.Error(), "routes.toml:4: route.CID_MSG_DATA is on line 3 already") || strings.Contains(err.Error(), "extends") {
		t.Errorf("got %v", err)
	}
}

func TestExtendedTableRefused(t *testing.T) {
	dir := t.TempDir()
	saveAll(t, dir, map[string]string{"base.toml": "[route]\nelse = 'drop'\n", "folder.toml/x": "", "large.toml": "# " + strings.Repeat("x", 2000)})
	for base, want := range map[string]string{
		"bas.toml":    `did you mean base.toml?`,
		"routs.toml":  `routs.toml; save it there, or name another table`,
		"teamtalc":    `routes.toml:1: it extends "teamtalc": no table of that name is shipped; did you mean teamtalk?`,
		"unicast":     `it extends "unicast": this shipped policy is not a table; extend teamtalk, or a file that ends in .toml`,
		"folder.toml": "not a regular file but a directory",
		"large.toml":  "too large",
	} {
		saveAll(t, dir, map[string]string{"routes.toml": "extends = '" + base + "'\n"})
		if _, err := find(t, "file:routes.toml", dir, 1000); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "refused at the table gate") {
			t.Errorf("%s: got %v, want %s", base, err, want)
		}
	}
}
