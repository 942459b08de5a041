package watch

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"

	"switchyard/policy/stablefile"
)

// maxHashed is the size in bytes up to which a file is compared by its content. No
// configured file is larger; such a file is compared by size and time.
const maxHashed = 64 << 20

// Files are compared by content and not by time: a tool that writes the same bytes again, or a
// mount that changes its times, is not a reason to reload. The states of a file, as the comparison
// sees it:
//
//	                  now = known         now ≠ known
//	first look        nothing to do       wait for Stable, then look again
//	second look       —                   the same as in the first look: report it
//	                                      different: it is being written, wait for Debounce
//
// After DebounceMax, the files that are stable are reported without waiting for the others.

// A content is the hash of a file, or why there is none. It is comparable.
type content struct {
	sum   [sha256.Size]byte
	fault string
}

// A snapshot is the state of a file at one moment.
type snapshot struct {
	content
	info fs.FileInfo // nil if it could not be opened
}

// snapshotOf takes a snapshot, perhaps in the middle of a write.
func snapshotOf(path string) snapshot {
	f, info, err := stablefile.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return snapshot{content: content{fault: "missing"}}
	}
	if err != nil {
		return snapshot{content: content{fault: err.Error()}}
	}
	defer f.Close()
	if info.Size() > maxHashed {
		fault := fmt.Sprintf("%d bytes of %s", info.Size(), info.ModTime())
		return snapshot{content{fault: fault}, info}
	}
	hash := sha256.New()
	if _, err := io.Copy(hash, io.LimitReader(f, maxHashed)); err != nil {
		return snapshot{content{fault: err.Error()}, info}
	}
	return snapshot{content{sum: [sha256.Size]byte(hash.Sum(nil))}, info}
}

// again takes a snapshot after s. It does not read a file that looks as it did.
func (s snapshot) again(path string) snapshot {
	if info, err := os.Stat(path); err == nil && s.info != nil && stablefile.Same(s.info, info) {
		return s
	}
	return snapshotOf(path)
}

// equal reports whether nothing wrote to the file between two snapshots, not even the same bytes.
func (s snapshot) equal(t snapshot) bool {
	return s.content == t.content && stablefile.Same(s.info, t.info)
}

// changes returns the files whose content differs from the known one.
func (w *Watcher) changes() map[string]snapshot {
	differing := make(map[string]snapshot)
	for _, path := range w.paths() {
		if now := snapshotOf(path); w.differs(path, now) {
			differing[path] = now
		}
	}
	return differing
}

// differs reports whether a file is watched and has another content than the known one.
func (w *Watcher) differs(path string, now snapshot) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	known, ok := w.known[path]
	return ok && known.content != now.content
}

// compare reports the files that changed, together, and returns whether all were stable.
// While one is still being written, the others wait for it for up to DebounceMax, since
// they may belong together.
func (w *Watcher) compare() (settled bool) {
	w.noteEvent()
	overdue := time.Since(w.since) >= w.options.DebounceMax
	differing := w.changes()
	if len(differing) > 0 && !w.pause(w.options.Stable) {
		return true
	}
	settled = true
	for path, before := range differing {
		if !snapshotOf(path).equal(before) {
			delete(differing, path)
			settled = false
		}
	}
	if settled || overdue {
		w.dirty = false
		w.report(differing)
	}
	if !settled {
		w.noteEvent()
	}
	return settled
}

// report stores the snapshots as known content and calls changed.
func (w *Watcher) report(snapshots map[string]snapshot) {
	var changed []string
	for path, now := range snapshots {
		if w.differs(path, now) { // false if Set has removed it meanwhile
			changed = append(changed, path)
		}
	}
	if len(changed) == 0 {
		return
	}
	slices.Sort(changed)
	w.mu.Lock()
	for _, path := range changed {
		if _, ok := w.known[path]; ok {
			w.known[path] = snapshots[path]
		}
	}
	w.mu.Unlock()
	w.changed(changed)
}

// pause waits, or returns false as soon as the watcher is closed.
func (w *Watcher) pause(d time.Duration) bool {
	select {
	case <-w.stop:
		return false
	case <-time.After(d):
		return true
	}
}
