package watch

import (
	"fmt"
	"os"
	"strings"
)

// A reading is what a file was when somebody began to read it.
type reading struct {
	known  content // what the watcher compared it with
	before snapshot
	place  string
}

// Reading must be called before somebody reads files, and the function read afterwards. The next
// comparison is then with what was read. A file that was written, replaced or moved meanwhile counts
// as changed, whatever it contains: what was read of it may be gone. Paths that are not watched are
// ignored.
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
			// Another comparison or reading that ended meanwhile knows more.
			if known, ok := w.known[path]; ok && known.content == r.known {
				w.known[path] = now
			}
			w.mu.Unlock()
		}
		if moved {
			w.Check() // the comparison after the last event may be over
		}
	}
}

// knownOf returns what the watcher compares the file with.
func (w *Watcher) knownOf(path string) snapshot {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.known[path]
}

// placeOf describes the directories through which a file is reached. It changes when a name in one of
// them is renamed, made or removed, also if the path leads to the same file in the end.
func placeOf(path string) string {
	var place strings.Builder
	for _, dir := range directories(path) {
		if info, err := os.Stat(dir); err == nil {
			fmt.Fprintln(&place, dir, info.ModTime().UnixNano())
		}
	}
	return place.String()
}
