package watch

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"time"

	"switchyard/policy/stablefile"
)

// maxHashed is the size in bytes up to which a file is compared by its content.
// A larger one is too large for anything that is configured; its size and time
// have to do.
const maxHashed = 64 << 20

// A content is what a file contains, or why that cannot be known. Equal contents
// are equal values.
type content struct {
	sum   [sha256.Size]byte
	fault string
}

// A sight is what a file was at one moment.
type sight struct {
	content
	info fs.FileInfo // nil if it could not be opened
}

// see looks at a file once. It may see a write half done.
func see(path string) sight {
	f, info, err := stablefile.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return sight{content: content{fault: "missing"}}
	}
	if err != nil {
		return sight{content: content{fault: err.Error()}}
	}
	defer f.Close()
	if info.Size() > maxHashed {
		fault := fmt.Sprintf("%d bytes of %s", info.Size(), info.ModTime())
		return sight{content{fault: fault}, info}
	}
	hash := sha256.New()
	if _, err := io.Copy(hash, io.LimitReader(f, maxHashed)); err != nil {
		return sight{content{fault: err.Error()}, info}
	}
	return sight{content{sum: [sha256.Size]byte(hash.Sum(nil))}, info}
}

func (s sight) equal(t sight) bool {
	return s.content == t.content && stablefile.Same(s.info, t.info)
}

// differing returns the files that are not what they were known to be.
func (w *Watcher) differing() map[string]sight {
	differing := make(map[string]sight)
	for _, path := range w.paths() {
		if now := see(path); w.differs(path, now) {
			differing[path] = now
		}
	}
	return differing
}

func (w *Watcher) differs(path string, now sight) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	known, ok := w.known[path]
	return ok && known != now.content
}

// look reports the files that changed, all at once, and whether that is all. While
// one of them is still being written the others wait for it, as they may belong
// together, but no longer than DebounceMax.
func (w *Watcher) look() (settled bool) {
	w.mark()
	overdue := time.Since(w.since) >= w.options.DebounceMax
	differing := w.differing()
	if len(differing) > 0 && !w.pause(w.options.Stable) {
		return true
	}
	settled = true
	for path, before := range differing {
		if !see(path).equal(before) {
			delete(differing, path)
			settled = false
		}
	}
	if settled || overdue {
		w.dirty = false
		w.report(differing)
	}
	if !settled {
		w.mark()
	}
	return settled
}

// report takes the sights for what is known from now on and tells of them.
func (w *Watcher) report(sights map[string]sight) {
	var changed []string
	for path, now := range sights {
		if w.differs(path, now) { // Set may have dropped it meanwhile
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
			w.known[path] = sights[path].content
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
