package watch

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
)

func TestSet(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := watchFile(t, plainFile(t, dir), byEvents, fsnotify.NewWatcher)
	other := mkdir(t, dir+"/other") + "/g"
	write(t, other, "0")
	s.Set([]string{other, s.last})
	write(t, s.path, "no longer watched")
	s.wantNoMore(t)
	s.path = other
	write(t, other, "1")
	s.want(t, "1")
	s.wantNoMore(t)
}

// A file that was saved before Set, and is watched before and after it, has changed.
func TestSetForgetsNoChange(t *testing.T) {
	t.Parallel()
	o := byEvents
	o.Debounce = time.Hour
	s := watchFile(t, plainFile(t, t.TempDir()), o, func() (*fsnotify.Watcher, error) { return nil, errors.New("none") })
	write(t, s.path, "1")
	s.Set([]string{s.path, s.last})
	s.Check()
	s.want(t, "1")
}

// changed may call Set, as a reload does that changes the set of files.
func TestSetWithinTheCall(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir+"/a", "0")
	write(t, dir+"/b", "0")
	calls := make(chan []string, 10)
	ready := make(chan struct{})
	var w *Watcher
	w = Start([]string{dir + "/a"}, byEvents, func(paths []string) {
		<-ready
		w.Set([]string{dir + "/b"})
		calls <- paths
	})
	defer w.Close()
	close(ready)
	for _, name := range []string{"a", "b"} {
		write(t, dir+"/"+name, "1")
		select {
		case got := <-calls:
			if want := []string{dir + "/" + name}; !slices.Equal(got, want) {
				t.Errorf("got a call for %q, want one for %q", got, want)
			}
		case <-time.After(deadline):
			t.Fatalf("no call for %s within %s", name, deadline)
		}
	}
}

func TestCheckLooksAtOnce(t *testing.T) {
	t.Parallel()
	none := func() (*fsnotify.Watcher, error) { return nil, errors.New("none") }
	o := byEvents
	o.Debounce = time.Hour
	s := watchFile(t, plainFile(t, t.TempDir()), o, none)
	write(t, s.path, "1")
	s.Check()
	s.want(t, "1")
}

func TestCloseTwice(t *testing.T) {
	t.Parallel()
	s := watchFile(t, plainFile(t, t.TempDir()), byEvents, fsnotify.NewWatcher)
	s.Close()
	s.Close()
	write(t, s.path, "1")
	s.Check()
	if len(s.calls) != 0 {
		t.Errorf("got %d calls of a closed watcher, want none", len(s.calls))
	}
}
