//go:build full || race

package watch

import (
	"slices"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
)

// A file that is written all the time delays the report of the others, for DebounceMax at
// most. It is reported when it is stable.
func TestFileThatNeverRests(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	o := byEvents
	o.Debounce, o.DebounceMax, o.Stable = 20*time.Millisecond, 200*time.Millisecond, time.Second
	s := watchFile(t, plainFile(t, dir), o, fsnotify.NewWatcher)
	s.Set([]string{s.path, s.last, dir + "/noise"})
	noise := busy(t, dir+"/noise")
	write(t, s.path, "1")
	s.want(t, "1")
	noise()
	if got := s.next(t); !slices.Equal(got.paths, []string{dir + "/noise"}) {
		t.Errorf("got a call for %q, want one for the file that came to rest", got.paths)
	}
}

func TestSlowWriterIsReportedWhenDone(t *testing.T) {
	t.Parallel()
	o := byEvents
	o.Debounce = 500 * time.Millisecond
	for pause := o.Debounce; pause >= o.Debounce/2; { // a writer that stood still for longer has looked as if it was done
		s := watchFile(t, plainFile(t, t.TempDir()), o, fsnotify.NewWatcher)
		if pause = writeSlowly(t, s.path, 2*o.Debounce); pause < o.Debounce/2 {
			s.want(t, read(t, s.path))
			s.wantNoMore(t)
		}
	}
}

// writeSlowly writes pieces to the file for some time, and returns the longest time between two of them.
func writeSlowly(t *testing.T, path string, during time.Duration) (pause time.Duration) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	begun := time.Now()
	write(t, path, "")
	for last := begun; time.Since(begun) < during; <-tick.C {
		appendTo(t, path, "a piece, ")
		pause, last = max(pause, time.Since(last)), time.Now()
	}
	return pause
}
