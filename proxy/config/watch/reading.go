package watch

import (
	"fmt"
	"os"
	"strings"
)

// A reading describes a file at the time when a caller of Reading began to read it.
type reading struct {
	known  content  // the watcher compares the file with this
	before snapshot // what the file was when the reading began
	place  string   // see placeOf
}

// Reading prepares the watcher for a caller that reads the files at paths. The caller calls read when it
// has read them. The watcher then compares the files with what the caller read. It reports a file that
// was written, replaced or moved before the call of read, whatever the file contains: the caller may
// have read a content that is gone. Reading ignores paths that the watcher does not watch.
func (w *Watcher) Reading(paths []string) (read func()) {
	readings := make(map[string]reading, len(paths))
	for _, path := range paths {
		known := w.knownOf(path)
		readings[path] = reading{known.content, known.again(path), placeOf(path)}
	}
	return func() {
		moved := false
		for path, r := range readings {
			now := r.before
			if !now.again(path).equal(now) || placeOf(path) != r.place {
				now, moved = snapshot{content: content{fault: "changed while it was read"}}, true
			}
			w.mu.Lock()
			// If known differs from r.known, a comparison or another reading ended later and knows more.
			if known, ok := w.known[path]; ok && known.content == r.known {
				w.known[path] = now
			}
			w.mu.Unlock()
		}
		if moved {
			w.Check() // because the comparison after the last event may be over
		}
	}
}

// knownOf returns what the watcher compares the file with.
func (w *Watcher) knownOf(path string) snapshot {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.known[path]
}

// placeOf describes the directories on the way to a file. The description changes when a program renames,
// makes or removes a name in one of them, even if the path leads to the same file again.
func placeOf(path string) string {
	var place strings.Builder
	for _, dir := range directories(path) {
		if info, err := os.Stat(dir); err == nil {
			fmt.Fprintln(&place, dir, info.ModTime().UnixNano())
		}
	}
	return place.String()
}
