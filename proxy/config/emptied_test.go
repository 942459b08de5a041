package config

import (
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
)

// A file that sets nothing has lost its content; the defaults are not meant by it.
func TestEmptiedFile(t *testing.T) {
	synctest.Test(t, emptiedFile) // no read waits until its file is at rest
}

func emptiedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.toml")
	for _, text := range []string{"", "\n", "# managed by a tool\n", "\xef\xbb\xbf\r\n", " \t\r\n# one\r\n  # two"} {
		writeFile(t, path, text)
		if _, err := Load(path, nil, nil); err == nil || !strings.Contains(err.Error(), "sets nothing") {
			t.Errorf("%q: got %v, want a fault", text, err)
		}
	}
	for _, text := range []string{"[log]\n", "# a comment\nlog.level = \"info\""} {
		writeFile(t, path, text)
		if _, err := Load(path, nil, nil); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}
