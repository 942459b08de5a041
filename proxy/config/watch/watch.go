// Package watch notices that the content of files changed, in whichever way they
// were saved. It does not know what the files are for.
package watch

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

// Options are the times that a Watcher keeps; zero ones take the default.
type Options struct {
	Debounce    time.Duration // quiet after the last event before the files are looked at; 150 ms
	DebounceMax time.Duration // longest wait under a stream of events; 2 s, and at least Debounce
	Stable      time.Duration // how long a changed file must stay as it is; 50 ms
	Poll        time.Duration // between looks that no event asked for; 10 s
}

func (o Options) withDefaults() Options {
	set := func(d *time.Duration, value time.Duration) {
		if *d <= 0 {
			*d = value
		}
	}
	set(&o.Debounce, 150*time.Millisecond)
	set(&o.DebounceMax, 2*time.Second)
	set(&o.Stable, 50*time.Millisecond)
	set(&o.Poll, 10*time.Second)
	o.DebounceMax = max(o.DebounceMax, o.Debounce)
	return o
}

// A Watcher compares what files contain with what they contained before. Events
// of the kernel only say when to look: any event may stand for any change, and
// some changes (on bind mounts and network file systems) send none, for which
// there is a poll.
type Watcher struct {
	// Static after Start.
	options Options
	changed func(paths []string)
	reset   chan struct{} // sent to by Set, holds one, never closed
	nudge   chan struct{} // sent to by Check, holds one, never closed
	stop    chan struct{} // closed by Close
	close   sync.Once
	done    chan struct{} // closed by watchLoop as it ends

	// Owned by watchLoop, and before that by Start.
	notifier *fsnotify.Watcher // nil: the poll alone
	watched  map[string]fs.FileInfo
	dirty    bool      // something happened since the last look
	since    time.Time // when it began to

	mu    sync.Mutex // guards what follows
	known map[string]content
	err   error
}

// Start watches the files at paths, present or not. Each time the content of some
// of them has changed and has come to rest, changed is told which, in one call; a
// file that went missing or cannot be read any more counts as changed, once. What
// the files contain now is not a change: start first, then read them.
//
// The calls come one at a time from the watcher's own goroutine, perhaps before
// Start has returned. They may call Set and Check, but not Close.
func Start(paths []string, options Options, changed func(paths []string)) *Watcher {
	return start(paths, options, changed, fsnotify.NewWatcher)
}

func start(paths []string, options Options, changed func([]string), open func() (*fsnotify.Watcher, error)) *Watcher {
	w := &Watcher{
		options: options.withDefaults(),
		changed: changed,
		reset:   make(chan struct{}, 1),
		nudge:   make(chan struct{}, 1),
		stop:    make(chan struct{}),
		done:    make(chan struct{}),
		watched: make(map[string]fs.FileInfo),
		known:   make(map[string]content),
	}
	notifier, err := open()
	if err != nil {
		w.err = fmt.Errorf("open file notifications: %w", err)
	} else {
		w.notifier = notifier
	}
	w.Set(paths)
	w.watchDirectories() // so that Err knows of it
	go w.watchLoop()
	return w
}

// Set makes paths the files that are watched. What the new ones among them contain
// now is not a change: set first, then read them.
func (w *Watcher) Set(paths []string) {
	w.mu.Lock()
	known := make(map[string]content, len(paths))
	for _, path := range paths {
		if before, ok := w.known[path]; ok {
			known[path] = before
		} else {
			known[path] = see(path).content
		}
	}
	w.known = known
	w.mu.Unlock()
	signal(w.reset)
}

// Check makes the watcher look at its files now, as if something had happened.
func (w *Watcher) Check() { signal(w.nudge) }

func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default: // the one before has not been taken yet
	}
}

// Err says why changes are noticed by the poll alone, at least for some of the
// files; nil if events tell of them.
func (w *Watcher) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// Close ends the watch and waits until its goroutine, and a call of changed that
// is under way, have ended.
func (w *Watcher) Close() {
	w.close.Do(func() { close(w.stop) })
	<-w.done
}

func (w *Watcher) watchLoop() {
	defer close(w.done)
	var events chan fsnotify.Event
	var failures chan error
	if w.notifier != nil {
		defer w.notifier.Close()
		events, failures = w.notifier.Events, w.notifier.Errors
	}
	poll := time.NewTicker(w.options.Poll)
	defer poll.Stop()
	settle := time.NewTimer(w.mark())
	defer settle.Stop()
	for {
		select {
		case <-w.stop:
			return
		case <-events: // by no name and no kind: a ConfigMap swap never names the file
			settle.Reset(w.mark())
		case <-failures: // an overflow: events are missing
			settle.Reset(w.mark())
		case <-w.reset:
			w.watchDirectories()
			settle.Reset(w.mark()) // for what changed between Set's look and the watch
		case <-poll.C:
			w.watchDirectories()
			if !w.dirty && len(w.differing()) > 0 {
				settle.Reset(w.mark())
			}
		case <-w.nudge:
			w.lookAndSettle(settle)
		case <-settle.C:
			w.lookAndSettle(settle)
		}
	}
}

func (w *Watcher) lookAndSettle(settle *time.Timer) {
	settle.Stop()
	w.watchDirectories() // before looking, so that what comes after the look sends an event
	if !w.look() {
		settle.Reset(w.options.Debounce)
	}
}

// mark notes that something happened and returns how long to wait for more.
func (w *Watcher) mark() time.Duration {
	if !w.dirty {
		w.dirty, w.since = true, time.Now()
	}
	return max(0, min(w.options.Debounce, w.options.DebounceMax-time.Since(w.since)))
}

// watchDirectories makes the kernel tell of the directories that the files are
// reached by now. Watches on the files would die with the first rename.
func (w *Watcher) watchDirectories() {
	if w.notifier == nil {
		return
	}
	wanted := make(map[string]fs.FileInfo)
	for _, path := range w.paths() {
		for _, dir := range directories(path) {
			if info, err := os.Stat(dir); err == nil {
				wanted[dir] = info
			}
		}
	}
	for dir, before := range w.watched {
		if now, ok := wanted[dir]; !ok || !os.SameFile(before, now) {
			_ = w.notifier.Remove(dir) // it may have gone with its directory
		}
	}
	var failed error
	for dir := range wanted {
		// Also where it is watched: its inode may be a new directory's by now.
		if err := w.notifier.Add(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			failed = fmt.Errorf("watch directory %s: %w", dir, err)
			delete(wanted, dir)
		}
	}
	w.watched = wanted
	w.mu.Lock()
	w.err = failed
	w.mu.Unlock()
}

func (w *Watcher) paths() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	paths := make([]string, 0, len(w.known))
	for path := range w.known {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	return paths
}
