// Package statefolder writes files in a folder that several processes share, so that after a
// crash each of them is whole. It knows nothing of their content.
package statefolder

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// LockTimeout is how long a process usually waits for another one that writes in the folder.
const LockTimeout = 2 * time.Second

// Replace writes a file, readable only by its owner, under another name and renames it, so
// that after a crash either the old or the new file is complete. The caller has locked the
// folder.
func Replace(path string, text []byte) error {
	next := path + ".next"
	if err := os.Remove(next); err != nil && !errors.Is(err, fs.ErrNotExist) { // of a crash
		return err
	}
	if err := WriteNew(next, text, 0o600); err != nil {
		return err
	}
	if err := os.Rename(next, path); err != nil {
		return err
	}
	return Sync(filepath.Dir(path))
}

// Exchange is Replace for a folder that nobody locks: the other name is one that no file has. It does
// not wait until the renaming is durable, so the old file may be back after a crash. prepare, if it is
// not nil, gives the file its mode and owner before it is renamed.
func Exchange(path string, text []byte, prepare func(*os.File) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // of mode 0600
	// The error has the path of the temporary file, which the user did not name.
	if fault, ok := errors.AsType[*fs.PathError](err); ok {
		return fmt.Errorf("no file can be written in the folder %s: %w; make the folder, or allow writing in it", filepath.Dir(path), fault.Err)
	}
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // does nothing after the rename
	_, err = f.Write(text)
	if err == nil && prepare != nil {
		err = prepare(f)
	}
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// WriteNew writes a file and makes its content durable. It overwrites nothing, and leaves
// nothing behind if it fails.
func WriteNew(path string, text []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already; name another file", path)
	}
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}
