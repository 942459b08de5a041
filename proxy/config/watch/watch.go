// Package watch reports that the content of files changed, however they were saved. It
// does not know what the files are for.
//
//	events ──▶ Debounce of quiet ──▶ compare hashes ──▶ Stable ──▶ compare again ──▶ changed(paths)
//	poll, Check ───────────────────────▲                              │
//	                                   └── a file is still written ◀──┘
package watch

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

// Options are the times of a Watcher. Zero means the default.
type Options struct {
	Debounce    time.Duration // quiet after the last event before the files are compared; 150 ms
	DebounceMax time.Duration // longest wait under a stream of events; 2 s, and at least Debounce
	Stable      time.Duration // how long a changed file must stay unchanged; 50 ms
	Poll        time.Duration // between comparisons without an event; 10 s
}

// withDefaults returns the times with the defaults in the places of those that are not set.
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

// A Watcher compares the content of files with their content before, or with what Reading has
// seen. An event of the kernel only starts a comparison: it may stand for any change. Some changes,
// as on bind mounts and network file systems, cause no event; a poll finds those.
type Watcher struct {
	// Static after Start.
	options  Options
	changed  func(paths []string)
	reset    chan struct{} // sent to by Set, holds one, never closed
	checkNow chan struct{} // sent to by Check, holds one, never closed
	stop     chan struct{} // closed by Close
	close    sync.Once
	done     chan struct{} // closed by watchLoop as it ends

	// Owned by Start until it starts watchLoop, then by watchLoop.
	notifier *fsnotify.Watcher // nil: only the poll
	watched  map[string]fs.FileInfo
	dirty    bool      // there were events since the last comparison
	since    time.Time // when dirty was set

	mu    sync.Mutex // guards what follows
	known map[string]snapshot
	err   error
}

// Start watches the files at paths, which need not exist. When the content of some files
// has changed and is stable, it calls changed once with all of them. A file that went
// missing or became unreadable counts as changed, once. The content at the time of Start
// is not a change: call Start first, then read the files.
//
// changed is called by the watcher's own goroutine, one call at a time, perhaps before
// Start returns. It may call Set and Check, but not Close.
func Start(paths []string, options Options, changed func(paths []string)) *Watcher {
	return start(paths, options, changed, fsnotify.NewWatcher)
}

// start is Start with another way to open notifications, for tests.
func start(paths []string, options Options, changed func([]string), open func() (*fsnotify.Watcher, error)) *Watcher {
	w := &Watcher{
		options:  options.withDefaults(),
		changed:  changed,
		reset:    make(chan struct{}, 1),
		checkNow: make(chan struct{}, 1),
		stop:     make(chan struct{}),
		done:     make(chan struct{}),
		watched:  make(map[string]fs.FileInfo),
		known:    make(map[string]snapshot),
	}
	notifier, err := open()
	if err != nil {
		w.err = fmt.Errorf("open file notifications: %w", err)
	} else {
		w.notifier = notifier
	}
	w.Set(paths)
	w.watchDirectories() // so that Err is set when Start returns
	go w.watchLoop()
	return w
}

// Set replaces the watched files. The present content of a new one is not a change: call
// Set first, then read the files.
func (w *Watcher) Set(paths []string) {
	w.mu.Lock()
	known := make(map[string]snapshot, len(paths))
	for _, path := range paths {
		if before, ok := w.known[path]; ok {
			known[path] = before
		} else {
			known[path] = snapshotOf(path)
		}
	}
	w.known = known
	w.mu.Unlock()
	signal(w.reset)
}

// Check makes the watcher compare its files now.
func (w *Watcher) Check() { signal(w.checkNow) }

// signal sends to a channel that holds one signal. It does not wait.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default: // the previous signal is still pending
	}
}

// Err returns why some files are watched only by the poll, or nil if events cover all.
func (w *Watcher) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// Close ends the watch. It waits for the watcher's goroutine, and so for a call of changed
// in progress.
func (w *Watcher) Close() {
	w.close.Do(func() { close(w.stop) })
	<-w.done
}

// watchLoop is the watcher's goroutine. It begins dirty, and is in one of these states:
//
//	quiet    not dirty; the settle timer is stopped
//	           event, Set, or a poll that finds a difference ─▶ dirty
//	dirty    the timer runs, for Debounce after the last event, but at most until
//	         DebounceMax after the first
//	           timer, or Check ─▶ compare
//	compare  all files are stable    ─▶ report, quiet
//	         one is being written    ─▶ dirty, for Debounce
//
// A poll while dirty compares nothing: the timer will.
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
	settle := time.NewTimer(w.noteEvent())
	defer settle.Stop()
	for {
		select {
		case <-w.stop:
			return
		case <-events: // whatever its name and kind: a ConfigMap swap never names the file
			settle.Reset(w.noteEvent())
		case <-failures: // an overflow: events are missing
			settle.Reset(w.noteEvent())
		case <-w.reset:
			w.watchDirectories()
			settle.Reset(w.noteEvent()) // for changes between Set and the watch of the directories
		case <-poll.C:
			w.watchDirectories()
			if !w.dirty && len(w.changes()) > 0 {
				settle.Reset(w.noteEvent())
			}
		case <-w.checkNow:
			w.compareAndSettle(settle)
		case <-settle.C:
			w.compareAndSettle(settle)
		}
	}
}

// compareAndSettle compares now, and again after Debounce if a file is being written.
func (w *Watcher) compareAndSettle(settle *time.Timer) {
	settle.Stop()
	w.watchDirectories() // first, so that a change after the comparison causes an event
	if !w.compare() {
		settle.Reset(w.options.Debounce)
	}
}

// noteEvent marks the watcher dirty and returns how long to wait for further events.
func (w *Watcher) noteEvent() time.Duration {
	if !w.dirty {
		w.dirty, w.since = true, time.Now()
	}
	return max(0, min(w.options.Debounce, w.options.DebounceMax-time.Since(w.since)))
}

// watchDirectories watches the directories through which the files are reached now. A
// watch on a file itself would end with the first rename.
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
			_ = w.notifier.Remove(dir) // it may have ended with its directory
		}
	}
	var failed error
	for dir := range wanted {
		// Even if it is watched: the path may lead to a new directory by now.
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

// paths returns the watched files, sorted.
func (w *Watcher) paths() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Sorted(maps.Keys(w.known))
}
