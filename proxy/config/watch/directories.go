package watch

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// maxLinks is how many symbolic links the way to a file may have, as in Linux.
const maxLinks = 40

// directories returns the directories in which a change can make path lead to
// another file: the one that holds the file, and each that holds a symbolic link
// on the way. Where the way ends early, that is the last directory there is.
func directories(path string) []string {
	path, err := filepath.Abs(path)
	if err != nil { // there is no working directory any more
		return nil
	}
	var found []string
	root := filepath.VolumeName(path) + string(filepath.Separator)
	at, rest := root, names(path)
	for links := 0; len(rest) > 0; {
		name := rest[0]
		rest = rest[1:]
		if name == ".." { // of a link's target; at has no links in it
			at = filepath.Dir(at)
			continue
		}
		next := filepath.Join(at, name)
		info, err := os.Lstat(next)
		switch {
		case err != nil:
			return append(found, at)
		case info.Mode()&fs.ModeSymlink != 0:
			found = append(found, at)
			target, err := os.Readlink(next)
			if links++; err != nil || links > maxLinks {
				return found
			}
			if filepath.IsAbs(target) {
				at = root
			}
			rest = append(names(target), rest...)
		case len(rest) == 0:
			return append(found, at)
		default:
			at = next
		}
	}
	return append(found, at) // the path leads to a directory
}

// names splits a path at its separators.
func names(path string) []string {
	path = path[len(filepath.VolumeName(path)):]
	parts := strings.Split(path, string(filepath.Separator))
	return slices.DeleteFunc(parts, func(s string) bool { return s == "" || s == "." })
}
