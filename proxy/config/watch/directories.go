package watch

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// maxLinks is how many symbolic links a path may go through, as in Linux.
const maxLinks = 40

// directories returns the directories in which a change can make path lead to another
// file: the one that holds the file, and each that holds a symbolic link on the way. If
// the path does not exist, the last existing directory on the way is among them. For a
// mounted ConfigMap,
//
//	/etc/c/f ──▶ ..data/f,  ..data ──▶ ..2026_01_02,  /etc/c/..2026_01_02/f
//
// they are /etc/c, for both links, and /etc/c/..2026_01_02.
func directories(path string) []string {
	path, err := filepath.Abs(path)
	if err != nil { // the working directory was removed
		return nil
	}
	var found []string
	root := filepath.VolumeName(path) + string(filepath.Separator)
	at, rest := root, names(path)
	for links := 0; len(rest) > 0; {
		name := rest[0]
		rest = rest[1:]
		if name == ".." { // in the target of a link; at itself is free of links
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
