package source

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"switchyard/plugins/teamtalk"
	"switchyard/policy/wasm"
)

// find returns the module of the policy of that name. It reads in a bubble, in which the wait for
// files written just now takes no time.
func find(t *testing.T, name, dir string, max int64) (m Module, err error) {
	t.Helper()
	synctest.Test(t, func(*testing.T) {
		var f File
		if f, err = Read(name, dir, max); err == nil {
			m, err = f.Module()
		}
	})
	return m, err
}

func TestFind(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string][]byte{"a.toml": teamtalk.Table, "a.wasm": teamtalk.Module} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"teamtalk", "file:a.toml", "file:a.wasm", "file:" + filepath.Join(dir, "a.wasm")} {
		m, err := find(t, name, dir, 1<<20)
		if err != nil || !bytes.Equal(m.Bytes, teamtalk.Module) || m.Name != name || len(m.SHA256) != 64 {
			t.Errorf("find(%s) = %d bytes, %q, %v", name, len(m.Bytes), m.SHA256, err)
		}
	}
}

// FileSHA256 is of the file's bytes, SHA256 of the module, which differ for a table.
func TestSums(t *testing.T) {
	dir := t.TempDir()
	text := append([]byte("# a remark\n"), teamtalk.Table...)
	if err := os.WriteFile(filepath.Join(dir, "a.toml"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	shipped, err := find(t, "teamtalk", dir, 1<<20)
	if err != nil || shipped.FileSHA256 != shipped.SHA256 || shipped.Path != "" {
		t.Errorf("shipped: file %q with %s, module %s, %v", shipped.Path, shipped.FileSHA256, shipped.SHA256, err)
	}
	m, err := find(t, "file:a.toml", dir, 1<<20)
	if want := sha256.Sum256(text); err != nil || m.FileSHA256 != hex.EncodeToString(want[:]) || m.SHA256 != shipped.SHA256 || m.Path != filepath.Join(dir, "a.toml") {
		t.Errorf("a table: file %q with %s, module %s, %v", m.Path, m.FileSHA256, m.SHA256, err)
	}
}

func TestFindRefuses(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "bad.toml"), []byte("[route]\nCID_MSG_DAT = \"drop\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "large.wasm"), make([]byte, 101), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]struct {
		gate wasm.Gate
		text string
	}{
		"teamtalc":         {GateFile, "did you mean teamtalk?; a file is named as \"file:teamtalc.toml\""},
		"mine":             {GateFile, "name one of teamtalk, unicast; a file is named as \"file:mine.toml\""},
		"https://h/a.toml": {GateFetch, "download it, and name the file"},
		"file:nowhere":     {GateFile, "no such file"},
		"file:.":           {GateFile, "not a regular file"},
		"file:bad.toml":    {GateTable, "bad.toml:2: "},
		"file:large.wasm":  {GateFile, "too large"},
		"file:":            {GateFile, "not a regular file"},
		"file:../nowhere/": {GateFile, "no such file"},
	} {
		_, err := find(t, name, dir, 100)
		var gate *wasm.GateError
		if !errors.As(err, &gate) || gate.Gate != want.gate || !strings.Contains(err.Error(), want.text) {
			t.Errorf("find(%s) = %v; want the %s gate and %q", name, err, want.gate, want.text)
		}
	}
}

// A policy's path may lead to a file that is a secret, and errors reach readers of the log and
// of the admin interface. So no error quotes such a file.
func TestErrorsQuoteNothing(t *testing.T) {
	dir := t.TempDir()
	for _, secret := range []string{
		"KxQz7KxQz", "KxQz = KxQz and more", `"KxQz`, `KxQz = "KxQz"`, "KxQz = KxQz", "KxQz = 0bKxQz", "KxQz = 99999999999999999999", "KxQz = 1_KxQz",
		"-----BEGIN PRIVATE KEY-----\nKxQzKxQz\nKxQz==\n-----END PRIVATE KEY-----\n",
		`{"KxQz": "KxQz", "KxQz"}`, "[KxQz]\nKxQz = \"KxQz\"\n", "[[KxQz]]\nKxQz=1\n[KxQz]\n", "KxQz = 1\nKxQz = 2\n", `KxQz = "KxQz\KxQz"`, "KxQz:KxQz:0:0",
		"KxQz\x00KxQz", "\x7fELFKxQz", "KxQz = 2026-13-13", "KxQz.KxQz = {KxQz = 1, KxQz = 2}", "KxQz = [KxQz", "[KxQz", "KxQz = '''KxQz", "KxQz = +KxQz",
	} {
		for _, name := range []string{"a.toml", "a.wasm"} {
			path := filepath.Join(dir, name)
			os.Remove(path)
			if err := os.WriteFile(filepath.Join(dir, "secret"), []byte(secret), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink("secret", path); err != nil {
				t.Fatal(err)
			}
			m, err := find(t, "file:"+name, dir, 1<<20)
			if err == nil {
				e := wasm.NewEngine(wasm.DefaultLimits(), nil)
				_, err = m.Load(t.Context(), e, nil)
				e.Close()
			}
			if err == nil || strings.Contains(strings.ToLower(err.Error()), "kxqz") || strings.Contains(err.Error(), "9999") || strings.Contains(err.Error(), "-13") {
				t.Errorf("%s of %q: %v", name, secret, err)
			}
		}
	}
}

func TestArgument(t *testing.T) {
	for arg, want := range map[string]string{
		"teamtalk": "teamtalk", "routes.toml": "file:routes.toml", "/x/p.wasm": "file:/x/p.wasm", "file:p.wasm": "file:p.wasm", "https://h/p.wasm": "https://h/p.wasm", "./x": "file:./x",
	} {
		if got := Argument(arg); got != want {
			t.Errorf("Argument(%s) = %s, want %s", arg, got, want)
		}
	}
}
