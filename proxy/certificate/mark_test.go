package certificate

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Each of the files says that a byte order mark is what is wrong with it.
func TestByteOrderMarks(t *testing.T) {
	dir := t.TempDir()
	path := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	plain, marked, wide := path("plain", "-----BEGIN"), path("marked", "\ufeff-----BEGIN"), path("wide", "\xff\xfe-\x00")
	for _, c := range []struct {
		files Files
		want  string
	}{
		{Files{Certificate: marked, Key: plain}, "certificate " + marked + ": it begins with a byte order mark"},
		{Files{Certificate: plain, Key: marked}, "key " + marked + ": it begins with a byte order mark"},
		{Files{Certificate: plain, Key: plain, ClientCA: wide}, "client_ca " + wide + ": it is UTF-16"},
	} {
		if _, err := read(c.files, 0); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.files, err, c.want)
		}
	}
}
