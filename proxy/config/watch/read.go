package watch

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// attempts is how often ReadStable tries to find a file at rest.
const attempts = 10

var (
	// ErrChanging is the error of a file that was written to all the time.
	ErrChanging = errors.New("it is still being written")
	// ErrIrregular is the error of a path that leads to a directory, a pipe, a
	// device or a socket.
	ErrIrregular = errors.New("not a regular file")
	// ErrTooLarge is the error of a file that is larger than its reader allows.
	ErrTooLarge = errors.New("too large")
)

// ReadStable reads a file whole, and only if its size, time and inode stayed the
// same from stable before the read until after it, so that no write is seen half
// done. It waits for a file in motion, some ten times stable; then the error is an
// ErrChanging. A file of more than max bytes is an ErrTooLarge and is not read.
func ReadStable(path string, stable time.Duration, max int64) ([]byte, error) {
	for range attempts {
		before, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		// Waiting comes before reading: file times are coarse, and a write in the
		// same tick as the first look would not show in the last.
		time.Sleep(stable)
		content, err := readLimited(path, max)
		if errors.Is(err, fs.ErrNotExist) {
			continue // on its way to being replaced
		}
		if err != nil {
			return nil, err
		}
		after, err := os.Stat(path)
		if err == nil && sameFile(before, after) && int64(len(content)) == after.Size() {
			return content, nil
		}
	}
	return nil, fmt.Errorf("read %s: %w", path, ErrChanging)
}

func readLimited(path string, max int64) ([]byte, error) {
	f, info, err := open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info.Size() > max {
		return nil, fmt.Errorf("read %s: %w: %d bytes, at most %d are allowed", path, ErrTooLarge, info.Size(), max)
	}
	// One byte more than allowed shows that it has grown since.
	content, err := io.ReadAll(io.LimitReader(f, max+1))
	if err == nil && int64(len(content)) > max {
		err = fmt.Errorf("read %s: %w: more than %d bytes", path, ErrTooLarge, max)
	}
	return content, err
}

// open opens a regular file. It never waits, as opening a pipe would, and does not
// open a device, to which that may mean something.
func open(path string) (*os.File, fs.FileInfo, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, nil, err
	}
	if err := regular(path, info); err != nil {
		return nil, nil, err
	}
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	info, err = f.Stat()
	if err == nil {
		err = regular(path, info) // another may have taken its place
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, info, nil
}

func regular(path string, info fs.FileInfo) error {
	switch mode := info.Mode(); {
	case mode.IsRegular():
		return nil
	case mode.IsDir():
		return fmt.Errorf("read %s: %w but a directory", path, ErrIrregular)
	case mode&fs.ModeNamedPipe != 0:
		return fmt.Errorf("read %s: %w but a pipe", path, ErrIrregular)
	case mode&fs.ModeSocket != 0:
		return fmt.Errorf("read %s: %w but a socket", path, ErrIrregular)
	default:
		return fmt.Errorf("read %s: %w but a device", path, ErrIrregular)
	}
}
