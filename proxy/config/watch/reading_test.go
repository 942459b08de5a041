package watch

import (
	"os"
	"slices"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
)

// Somebody else reads the file, and the next comparison is with what it read. Nothing is compared before
// Check.
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
			// Times of files are coarse: without this, what is saved at once may look as it did.
			if err := os.Chtimes(s.path, time.Time{}, time.Unix(1e9, 0)); err != nil {
				t.Fatal(err)
			}
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
