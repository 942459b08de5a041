package watch

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
)

// The watcher compares a file with what its reader read. It compares nothing before the test calls Check.
func TestReading(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		save    func(t *testing.T, path string, reading func() func())
		changed bool
	}{
		"what was saved": {func(t *testing.T, path string, reading func() func()) {
			write(t, path, "1")
			reading()()
		}, false},
		"what is gone": {func(t *testing.T, path string, reading func() func()) {
			write(t, path, "1")
			reading()()
			write(t, path, "0")
		}, true},
		"what came and went": {func(t *testing.T, path string, reading func() func()) {
			done := reading()
			write(t, path, "1")
			write(t, path, "0")
			done()
		}, true},
		"what came back": {func(t *testing.T, path string, reading func() func()) {
			remove(t, path)
			reading()()
			write(t, path, "0")
		}, true},
		"what was there for a moment": {func(t *testing.T, path string, reading func() func()) {
			remove(t, path)
			reading()()
			backdate(t, filepath.Dir(path))
			done := reading()
			write(t, path, "1")
			remove(t, path)
			done()
		}, true},
		"what was moved aside": {func(t *testing.T, path string, reading func() func()) {
			done := reading()
			rename(t, path, path+".aside")
			write(t, path, "1")
			rename(t, path+".aside", path)
			done()
		}, true},
		"what a link led to": {func(t *testing.T, path string, reading func() func()) {
			rename(t, path, path+".before")
			write(t, path+".after", "1")
			link(t, path+".before", path)
			reading()()
			backdate(t, filepath.Dir(path))
			done := reading()
			link(t, path+".after", path)
			link(t, path+".before", path)
			done()
		}, true},
		"what another one read": {func(t *testing.T, path string, reading func() func()) {
			done := reading()
			rename(t, path, path+".aside")
			write(t, path, "1")
			reading()()
			rename(t, path+".aside", path)
			done()
		}, true},
		"the same again": {func(t *testing.T, path string, reading func() func()) {
			reading()()
			write(t, path, "0")
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := byEvents
			o.Debounce = time.Hour
			s := watchFile(t, plainFile(t, t.TempDir()), o, fsnotify.NewWatcher)
			backdate(t, s.path)
			backdate(t, filepath.Dir(s.path))
			c.save(t, s.path, func() func() { return s.Reading([]string{s.path}) })
			if !c.changed {
				write(t, s.last, "1")
			}
			s.Check()
			if got := s.next(t).paths; slices.Contains(got, s.path) != c.changed {
				t.Errorf("got a call for %q; that the file changed is %t", got, c.changed)
			}
		})
	}
}

// backdate makes a file or a directory old. Times are coarse: without this, one that is changed at once
// may look as it did.
func backdate(t *testing.T, path string) {
	t.Helper()
	if err := os.Chtimes(path, time.Time{}, time.Unix(1e9, 0)); err != nil {
		t.Fatal(err)
	}
}
