package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// With "auto", each configuration has a history of its own: a tenant of the same name in another one
// is another tenant. The installed service and the image have the folder itself.
func TestHistoryFolder(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", "/cache")
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	shared := filepath.Join(cache, "switchyard", "releases")
	dir := t.TempDir()
	t.Chdir(dir)
	folder := func(path, state string) string {
		t.Helper()
		c := Default()
		c.Path, c.Releases.State = path, state
		got, err := c.HistoryFolder()
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	for _, c := range [][3]string{
		{"/etc/switchyard/config.toml", "auto", shared},
		{"/etc/switchyard/../switchyard/config.toml", "auto", shared},
		{"/srv/hub/config.toml", "state", "/srv/hub/state"},
		{"/srv/hub/config.toml", "/var/state", "/var/state"},
		{"/srv/hub/config.toml", "", ""},
	} {
		if got := folder(c[0], c[1]); got != c[2] {
			t.Errorf("%s with %q: %s, want %s", c[0], c[1], got, c[2])
		}
	}

	seen := map[string]string{shared: systemFile}
	for _, path := range []string{"/srv/hub/config.toml", "/srv/hub-config.toml", "/srv/hub/other.toml", "/srv/" + strings.Repeat("ä/", 200) + "config.toml", "config.toml", "sub/config.toml"} {
		got := folder(path, "auto")
		if other := seen[got]; other != "" {
			t.Errorf("%s and %s share %s", path, other, got)
		}
		seen[got] = path
		if filepath.Dir(got) != shared || len(filepath.Base(got)) > 80 {
			t.Errorf("%s has %s, want a folder in %s", path, got, shared)
		}
	}
	if got := folder("/srv/hub/config.toml", "auto"); !strings.HasPrefix(filepath.Base(got), "srv-hub-config.toml-") {
		t.Errorf("got %s, want a name that tells the file", got)
	}
	absolute, _ := filepath.Abs("config.toml")
	for _, same := range []string{"", "./config.toml", absolute} { // without a file, the one that could be there
		if got, want := folder(same, "auto"), folder("config.toml", "auto"); got != want {
			t.Errorf("%q has %s, want %s", same, got, want)
		}
	}
}
