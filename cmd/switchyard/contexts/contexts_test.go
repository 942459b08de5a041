package contexts

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for server, want := range map[string]Endpoint{
		"https://hub.example.org:8281":  {Address: "hub.example.org:8281", TLS: true},
		"https://hub.example.org/":      {Address: "hub.example.org:8280", TLS: true},
		"https://[2001:db8::1]:1":       {Address: "[2001:db8::1]:1", TLS: true},
		"hub.example.org:8281":          {Address: "hub.example.org:8281", TLS: true},
		"127.0.0.1:8280":                {Address: "127.0.0.1:8280"},
		"localhost":                     {Address: "localhost:8280"},
		"http://[::1]:8280":             {Address: "[::1]:8280"},
		"https://127.0.0.1:8280":        {Address: "127.0.0.1:8280", TLS: true},
		"unix:/run/switchyard/admin.sk": {Socket: "/run/switchyard/admin.sk"},
		"unix:///run/admin.sock":        {Socket: "/run/admin.sock"},
		"/run/admin.sock":               {Socket: "/run/admin.sock"},
	} {
		if got, err := Parse(server); err != nil || got != want {
			t.Errorf("%s: got %+v, %v, want %+v", server, got, err, want)
		}
	}
	for server, want := range map[string]string{
		"":                              "is not an address",
		"ftp://hub":                     "write https://",
		"unix:admin.sock":               "write unix:/PATH",
		"http://hub.example.org:8280":   "without TLS",
		"https://hub/api/v1":            "more than host and port",
		"https://anna:sesame@hub":       "no user or password",
		"https://hub:port":              "is not an address",
		"https://hub:65536":             "has no port from 1 to 65535; write https://HOST:PORT",
		"hub:0":                         "has no port from 1 to 65535",
		"https://hub:8280?token=sesame": "more than host and port",
	} {
		if got, err := Parse(server); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %+v, %v, want an error with %q", server, got, err, want)
		}
	}
}

// A file that is written can be read, and only its user can read it.
func TestWriteAndRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "switchyard", "contexts.toml")
	f, err := Read(path)
	if err != nil || len(f.Context) != 0 {
		t.Fatalf("a file that does not exist is %+v, %v", f, err)
	}
	want := Context{Server: "https://hub:1", TokenFile: "/a token", CA: "/ca.pem", Cert: "/c.pem", Key: "/k.pem", ServerName: "hub"}
	f.Context["north"], f.Current = want, "north"
	if err := f.Write(); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file is %v, %v", info, err)
	}
	got, err := Read(path)
	if err != nil || got.Current != "north" || got.Context["north"] != want {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := got.Find("nort"); err == nil || !strings.Contains(err.Error(), "did you mean north?") {
		t.Errorf("got %v", err)
	}
	none, err := Read("")
	if err != nil || none.Write() == nil {
		t.Error("without a place for the file it is written")
	}
}

// A symbolic link stays one, and what it leads to is replaced.
func TestWriteThroughALink(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	link, target := filepath.Join(dir, "contexts.toml"), filepath.Join(dir, "settings", "hubs.toml")
	if err := errors.Join(os.Mkdir(filepath.Dir(target), 0o700), os.WriteFile(target, nil, 0o600), os.Symlink(target, link)); err != nil {
		t.Fatal(err)
	}
	f, err := Read(link)
	if err != nil {
		t.Fatal(err)
	}
	f.Context["north"] = Context{Server: "unix:/s"}
	if err := f.Write(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode().Type() != os.ModeSymlink {
		t.Errorf("the link is %v, %v", info.Mode(), err)
	}
	if again, err := Read(target); err != nil || again.Context["north"].Server != "unix:/s" {
		t.Errorf("it leads to %+v, %v", again, err)
	}
}

func TestReadFaults(t *testing.T) {
	path := filepath.Join(t.TempDir(), "contexts.toml")
	for text, want := range map[string]string{
		"curent = \"a\"\n": "contexts.toml:1: unknown key \"curent\"; did you mean current?",
		"\n[context.a]\nserver = \"unix:/s\"\ntokn = 1\n":  "contexts.toml:4: unknown key \"context.a.tokn\"",
		"\n[context.a]\ntoken_file = \"/t\"\n":             "contexts.toml:2: context.a: it has no server",
		"[context.local]\nserver = \"unix:/s\"\n":          "choose another name",
		"[context.a]\nserver = \"http://hub\"\n":           "without TLS",
		"[context.a]\nserver = \"https://h\"\ncert=\"/c\"": "cert and key belong together",
		"[context.a]\nserver = \"unix:/s\"\nca=\"/c\"":     "are for TLS",
		"[context.a]\nserver = 7\n":                        "contexts.toml",
		"[context.a\n":                                     ":1: expected '.' or ']'",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want an error with %q", text, err, want)
		}
	}
	if err := os.Chmod(path, 0o620); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(path); err == nil || !strings.Contains(err.Error(), "chmod go-w") {
		t.Errorf("a file that a group may write: %v", err)
	}
	folder := filepath.Join(t.TempDir(), "contexts.toml")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(folder); err == nil || !strings.Contains(err.Error(), "contexts.toml is not a regular file; move it away") {
		t.Errorf("a folder: %v", err)
	}
}

func TestCheckName(t *testing.T) {
	for _, name := range []string{"a", "North-2_x.y", strings.Repeat("a", 40)} {
		if err := CheckName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"", Local, "a b", "a/b", "ä", strings.Repeat("a", 41)} {
		if CheckName(name) == nil {
			t.Errorf("%q is accepted", name)
		}
	}
}

func TestPath(t *testing.T) {
	for _, c := range []struct{ config, home, want string }{
		{"/x", "/home/anna", "/x/switchyard/contexts.toml"},
		{"relative", "/home/anna", "/home/anna/.config/switchyard/contexts.toml"},
		{"", "/home/anna", "/home/anna/.config/switchyard/contexts.toml"},
		{"", "", ""},
	} {
		variables := map[string]string{"XDG_CONFIG_HOME": c.config, "HOME": c.home}
		if got := Path(func(name string) string { return variables[name] }); got != c.want {
			t.Errorf("%+v: got %q", c, got)
		}
	}
}

// Files of TLS that cannot be used are named with the remedy.
func TestTLSFaults(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("nothing"), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for want, c := range map[string]Context{
		"has no certificate": {CA: write("ca.pem", 0o600)},
		"no such file":       {CA: filepath.Join(dir, "none")},
		"chmod o=":           {Cert: write("c.pem", 0o644), Key: write("open.key", 0o644)},
		"name the PEM files": {Cert: write("c.pem", 0o644), Key: write("k.pem", 0o600)},
	} {
		c.Server = "https://hub:1"
		if _, err := c.TLSConfig(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
	if c, err := (Context{Server: "127.0.0.1:1"}).TLSConfig(); c != nil || err != nil {
		t.Errorf("without TLS: %v, %v", c, err)
	}
}
