//go:build full

package deploy

import (
	"bytes"
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// tag is the version of the test releases.
const tag = "v1.98.7"

// programs are the files of a release that run.
var programs = []string{"switchyard-linux-amd64", "switchyard-linux-arm64", "yardbus-linux-amd64", "yardbus-linux-arm64"}

// commit copies this checkout as it is into a new repository with one tagged commit, whose
// hash depends on the content alone.
func commit(t *testing.T, folder string) {
	t.Helper()
	tool(t, "git", "git")
	list := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	list.Dir = root
	for name := range strings.SplitSeq(strings.TrimSuffix(execute(t, list), "\x00"), "\x00") {
		info, err := os.Lstat(filepath.Join(root, name))
		if err != nil || !info.Mode().IsRegular() {
			continue // deleted, but the deletion is not committed
		}
		to := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, []byte(read(t, filepath.Join(root, name))), info.Mode()); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{{"init", "--quiet"}, {"add", "--all"}, {"commit", "--quiet", "--message", "all"}, {"tag", tag}} {
		git := exec.Command("git", args...)
		git.Dir = folder
		git.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null",
			"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.org", "GIT_AUTHOR_DATE=2026-01-01T00:00:00Z",
			"GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.org", "GIT_COMMITTER_DATE=2026-01-01T00:00:00Z")
		execute(t, git)
	}
}

// checkout is a commit in scratch from which all tests share one release.
var checkout = struct {
	sync.Once
	folder string
}{}

func released(t *testing.T) string {
	t.Helper()
	checkout.Do(func() {
		folder := filepath.Join(scratch, "checkout")
		commit(t, folder)
		execute(t, makeIn(t, folder, "release"))
		checkout.folder = folder
	})
	if checkout.folder == "" {
		t.Fatal("there is no release: another test failed to make it")
	}
	return checkout.folder
}

// Building the commit in another folder and with other settings gives the same bytes.
func TestReleaseIsReproducible(t *testing.T) {
	first := filepath.Join(released(t), "dist", "release")
	elsewhere := filepath.Join(t.TempDir(), "another", "place")
	commit(t, elsewhere)
	again := makeIn(t, elsewhere, "release")
	again.Env = append(again.Env, "GOFLAGS=-buildvcs=false -tags=other", "GOAMD64=v3", "CGO_ENABLED=1", "LC_ALL=C", "TZ=Asia/Tokyo")
	execute(t, again)
	for _, name := range append(slices.Clone(programs), "SHA256SUMS") {
		a, b := read(t, filepath.Join(first, name)), read(t, filepath.Join(elsewhere, "dist", "release", name))
		if a != b {
			t.Errorf("%s: %d bytes and %d bytes that differ", name, len(a), len(b))
		}
		for _, place := range []string{scratch, elsewhere} {
			if strings.Contains(a, place) {
				t.Errorf("%s mentions %s", name, place)
			}
		}
	}
}

func TestReleaseIsWhatItSays(t *testing.T) {
	folder := filepath.Join(released(t), "dist", "release")
	sums := exec.Command("sha256sum", "--check", "--strict", "SHA256SUMS")
	sums.Dir = folder
	if out := execute(t, sums); strings.Count(out, ": OK") != len(programs) {
		t.Errorf("sums: %s", out)
	}
	machines := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}
	for _, name := range programs {
		machine := machines[name[strings.LastIndex(name, "-")+1:]]
		f, err := elf.Open(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if f.Machine != machine {
			t.Errorf("%s is for %v", name, f.Machine)
		}
		for _, p := range f.Progs {
			if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
				t.Errorf("%s is not static: it has a %v", name, p.Type)
			}
		}
	}
	revision := exec.Command("git", "rev-parse", "HEAD")
	revision.Dir = folder
	want := fmt.Sprintf("switchyard %s\nrevision %s\n", tag, strings.TrimSpace(execute(t, revision)))
	out, err := exec.Command("go", "version", "-m", filepath.Join(folder, "switchyard-linux-arm64")).Output()
	if err != nil || !bytes.Contains(out, []byte("\tmod\tswitchyard\t"+tag+"\t")) {
		t.Errorf("the program for arm64 says %s, %v", out, err)
	}
	if own, err := elf.Open("/proc/self/exe"); err == nil && own.Machine == elf.EM_X86_64 {
		out := execute(t, exec.Command(filepath.Join(folder, "switchyard-linux-amd64"), "version"))
		if !strings.HasPrefix(out, want) {
			t.Errorf("version prints\n%s\nwant\n%s", out, want)
		}
	}
}

func TestReleaseOfChangesIsRefused(t *testing.T) {
	folder := t.TempDir()
	commit(t, folder)
	if err := os.WriteFile(filepath.Join(folder, "cmd", "switchyard", "extra.go"), []byte("package main\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := makeIn(t, folder, "release").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "extra.go") || !strings.Contains(string(out), "a release is built from a commit") {
		t.Errorf("got %v\n%s", err, out)
	}
	if left, _ := filepath.Glob(filepath.Join(folder, "dist", "release", "*")); len(left) > 0 {
		t.Errorf("released %v", left)
	}
}
