package watch

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
	"go.uber.org/goleak"

	"switchyard/policy/stablefile"
)

// Almost all of the tests' time is waiting, so many run at once, on however few cores.
func TestMain(m *testing.M) {
	flag.Parse()
	flag.Set("test.parallel", "64")
	goleak.VerifyTestMain(m)
}

// byEvents makes only events start comparisons: the poll never comes. The debounce is long
// enough that a busy machine does not split one change in two.
var byEvents = Options{Debounce: 250 * time.Millisecond, DebounceMax: 20 * time.Second, Stable: 20 * time.Millisecond, Poll: time.Hour}

// deadline is how long a test waits for a call. It only costs time when it fails.
const deadline = time.Minute

// A call is one call of changed, and what its files contained then.
type call struct {
	paths    []string
	contents []string
}

// A scene watches the file of a test and, elsewhere, a last file. A change of the last
// file shows that no call is pending: the next call has to be for the last file alone.
type scene struct {
	*Watcher
	path, last string
	calls      chan call
}

func watchFile(t *testing.T, path string, o Options, open func() (*fsnotify.Watcher, error)) *scene {
	t.Helper()
	s := &scene{path: path, last: filepath.Join(t.TempDir(), "last"), calls: make(chan call, 1000)}
	write(t, s.last, "0")
	s.Watcher = start([]string{path, s.last}, o, s.record, open)
	t.Cleanup(s.Close)
	return s
}

func (s *scene) record(paths []string) {
	c := call{paths: paths}
	for _, path := range paths {
		content, err := stablefile.Read(path, byEvents.Stable, 1<<20)
		if err != nil {
			content = []byte("error: " + err.Error())
		}
		c.contents = append(c.contents, string(content))
	}
	s.calls <- c
}

func (s *scene) next(t *testing.T) call {
	t.Helper()
	select {
	case c := <-s.calls:
		return c
	case <-time.After(deadline):
		t.Fatalf("no call within %s", deadline)
		return call{}
	}
}

// want waits for a call for the file, and checks its content.
func (s *scene) want(t *testing.T, content string) {
	t.Helper()
	got := s.next(t)
	if want := []string{s.path}; !slices.Equal(got.paths, want) || got.contents[0] != content {
		t.Fatalf("got a call for %q with %q, want one for %q with %q", got.paths, got.contents, want, content)
	}
}

// wantNoMore checks that there was no further call.
func (s *scene) wantNoMore(t *testing.T) {
	t.Helper()
	write(t, s.last, time.Now().String())
	if got := s.next(t); !slices.Equal(got.paths, []string{s.last}) {
		t.Fatalf("got a further call for %q with %q", got.paths, got.contents)
	}
}

// Every way to give a file new content causes one call. It is done twice: the second call
// shows that the watch followed the file.
func TestChangeIsReportedOnce(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		prepare func(t *testing.T, dir string) (path string)
		save    func(t *testing.T, dir, content string)
	}{
		{"truncate and write", plainFile, func(t *testing.T, dir, content string) {
			write(t, dir+"/f", content)
		}},
		{"append", plainFile, func(t *testing.T, dir, content string) {
			old := read(t, dir+"/f")
			appendTo(t, dir+"/f", strings.TrimPrefix(content, old))
		}},
		{"rename over", plainFile, func(t *testing.T, dir, content string) {
			write(t, dir+"/f.tmp", content)
			rename(t, dir+"/f.tmp", dir+"/f")
		}},
		{"rename from another directory", plainFile, func(t *testing.T, dir, content string) {
			elsewhere := t.TempDir() + "/f"
			write(t, elsewhere, content)
			rename(t, elsewhere, dir+"/f")
		}},
		{"remove and create", plainFile, func(t *testing.T, dir, content string) {
			remove(t, dir+"/f")
			write(t, dir+"/f", content)
		}},
		{"swap of the file's link", func(t *testing.T, dir string) string {
			write(t, mkdir(t, dir+"/store0")+"/f", "0")
			link(t, "store0/f", dir+"/f")
			return dir + "/f"
		}, func(t *testing.T, dir, content string) {
			store := mkdir(t, dir+"/store"+content)
			write(t, store+"/f", content)
			link(t, filepath.Base(store)+"/f", dir+"/f")
		}},
		{"write behind the file's link", func(t *testing.T, dir string) string {
			write(t, mkdir(t, dir+"/store")+"/f", "0")
			link(t, dir+"/store/f", dir+"/f")
			return dir + "/f"
		}, func(t *testing.T, dir, content string) {
			write(t, dir+"/store/f", content)
		}},
		{"swap of a directory's link", func(t *testing.T, dir string) string {
			write(t, mkdir(t, dir+"/release0")+"/f", "0")
			link(t, "release0", dir+"/current")
			return dir + "/current/f"
		}, func(t *testing.T, dir, content string) {
			release := mkdir(t, dir+"/release"+content)
			write(t, release+"/f", content)
			link(t, filepath.Base(release), dir+"/current")
		}},
		{"write behind a swapped directory's link", func(t *testing.T, dir string) string {
			write(t, mkdir(t, dir+"/release0")+"/f", "0")
			write(t, mkdir(t, dir+"/release1")+"/f", "1")
			link(t, "release0", dir+"/current")
			return dir + "/current/f"
		}, func(t *testing.T, dir, content string) {
			if target, _ := os.Readlink(dir + "/current"); target == "release0" {
				link(t, "release1", dir+"/current")
				write(t, dir+"/release0/f", "old")
			}
			write(t, dir+"/release1/f", content)
		}},
		{"ConfigMap swap", func(t *testing.T, dir string) string {
			write(t, mkdir(t, dir+"/..v0")+"/f", "0")
			link(t, "..v0", dir+"/..data")
			link(t, "..data/f", dir+"/f")
			return dir + "/f"
		}, func(t *testing.T, dir, content string) {
			before, _ := os.Readlink(dir + "/..data")
			write(t, mkdir(t, dir+"/..v"+content)+"/f", content)
			link(t, "..v"+content, dir+"/..data")
			removeAll(t, dir+"/"+before)
		}},
		{"directory renamed and made again", fileInDirectory, func(t *testing.T, dir, content string) {
			fresh := mkdir(t, dir+"/fresh"+content)
			write(t, fresh+"/f", content)
			rename(t, dir+"/d", dir+"/old"+content)
			rename(t, fresh, dir+"/d")
		}},
		{"directory removed and made again", fileInDirectory, func(t *testing.T, dir, content string) {
			removeAll(t, dir+"/d")
			write(t, mkdir(t, dir+"/d")+"/f", content)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s := watchFile(t, c.prepare(t, dir), byEvents, fsnotify.NewWatcher)
			for _, content := range []string{"01", "012"} {
				c.save(t, dir, content)
				s.want(t, content)
			}
			s.wantNoMore(t)
		})
	}
}

func TestSameContentIsNotTold(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		do   func(t *testing.T, dir string)
	}{
		{"chmod", func(t *testing.T, dir string) { check(t, os.Chmod(dir+"/f", 0o600)) }},
		{"touch", func(t *testing.T, dir string) { check(t, os.Chtimes(dir+"/f", time.Now(), time.Now())) }},
		{"the same bytes in place", func(t *testing.T, dir string) { write(t, dir+"/f", "0") }},
		{"the same bytes renamed over", func(t *testing.T, dir string) {
			write(t, dir+"/g", "0")
			rename(t, dir+"/g", dir+"/f")
		}},
		{"a file beside it", func(t *testing.T, dir string) { write(t, dir+"/g", "1") }},
		{"gone and back", func(t *testing.T, dir string) {
			rename(t, dir+"/f", dir+"/g")
			rename(t, dir+"/g", dir+"/f")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s := watchFile(t, plainFile(t, dir), byEvents, fsnotify.NewWatcher)
			c.do(t, dir)
			s.wantNoMore(t)
		})
	}
}

func TestThousandRenames(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := watchFile(t, plainFile(t, dir), byEvents, fsnotify.NewWatcher)
	for i := range 1000 {
		write(t, dir+"/g", fmt.Sprint(i))
		rename(t, dir+"/g", dir+"/f")
	}
	for s.next(t).contents[0] != "999" {
	}
	s.wantNoMore(t)
}

func TestTwoFilesAreReportedTogether(t *testing.T) {
	t.Parallel()
	s := watchFile(t, plainFile(t, t.TempDir()), byEvents, fsnotify.NewWatcher)
	write(t, s.last, "1")
	write(t, s.path, "1")
	want := []string{s.path, s.last}
	slices.Sort(want)
	if got := s.next(t); !slices.Equal(got.paths, want) {
		t.Errorf("got a call for %q, want one for %q", got.paths, want)
	}
	s.wantNoMore(t)
}

func TestMissingFileIsReportedOnceAndItsReturn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := watchFile(t, fileInDirectory(t, dir), byEvents, fsnotify.NewWatcher)
	removeAll(t, dir+"/d")
	if got := s.next(t); !slices.Equal(got.paths, []string{s.path}) || !strings.Contains(got.contents[0], "no such file") {
		t.Errorf("got a call for %q with %q, want one for the missing file", got.paths, got.contents)
	}
	s.wantNoMore(t)
	write(t, mkdir(t, dir+"/d")+"/f", "back")
	s.want(t, "back")
	s.wantNoMore(t)
}

func TestFileThatIsNotThereYet(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := watchFile(t, dir+"/a/b/f", byEvents, fsnotify.NewWatcher)
	check(t, os.MkdirAll(dir+"/a/b", 0o755))
	s.wantNoMore(t)
	write(t, s.path, "1")
	s.want(t, "1")
}

// A stream of events in the directory delays the report of a change, for DebounceMax at
// most.
func TestStreamOfEvents(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	o := byEvents
	o.Debounce, o.DebounceMax = 5*time.Second, 200*time.Millisecond
	w := Options{DebounceMax: o.DebounceMax, Debounce: o.Debounce}.withDefaults()
	if w.DebounceMax != o.Debounce {
		t.Errorf("DebounceMax %s below Debounce %s, want it raised", w.DebounceMax, o.Debounce)
	}
	o.Debounce = 150 * time.Millisecond
	s := watchFile(t, plainFile(t, dir), o, fsnotify.NewWatcher)
	busy(t, dir+"/noise")
	write(t, s.path, "1")
	s.want(t, "1")
}

func TestPollAlone(t *testing.T) {
	t.Parallel()
	limit := errors.New("too many open files")
	o := byEvents
	o.Poll = 20 * time.Millisecond
	s := watchFile(t, plainFile(t, t.TempDir()), o, func() (*fsnotify.Watcher, error) { return nil, limit })
	if err := s.Err(); !errors.Is(err, limit) {
		t.Errorf("Err() = %v, want %v", err, limit)
	}
	for _, content := range []string{"1", "2"} {
		write(t, s.path, content)
		s.want(t, content)
	}
	s.wantNoMore(t)
}

func TestErrWithEvents(t *testing.T) {
	t.Parallel()
	s := watchFile(t, plainFile(t, t.TempDir()), byEvents, fsnotify.NewWatcher)
	if err := s.Err(); err != nil {
		t.Errorf("Err() = %v, want nil", err)
	}
}

// If the kernel says that events are missing, the files are compared.
func TestMissingEvents(t *testing.T) {
	t.Parallel()
	failures := make(chan error)
	s := watchFile(t, plainFile(t, t.TempDir()), byEvents, func() (*fsnotify.Watcher, error) {
		w, err := fsnotify.NewWatcher()
		if err == nil {
			w.Events, w.Errors = nil, failures
		}
		return w, err
	})
	write(t, s.path, "1")
	s.Check() // or the comparison of the beginning could find the next change
	s.want(t, "1")
	write(t, s.path, "2")
	failures <- fsnotify.ErrEventOverflow
	s.want(t, "2")
}
