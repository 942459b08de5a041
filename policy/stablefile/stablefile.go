// Package stablefile reads a file only while it is not being written. It does not wait for
// changes: package proxy/config/watch does that.
package stablefile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// attempts is how often Read tries.
const attempts = 10

// long is how long ago a file must have changed to be read without a wait. File times have
// ticks of much less.
const long = time.Second

var (
	// ErrChanging is the error for a file that changed during every attempt.
	ErrChanging = errors.New("it is still being written")
	// ErrIrregular is the error for a path that leads to a directory, a pipe, a
	// device or a socket.
	ErrIrregular = errors.New("not a regular file")
	// ErrTooLarge is the error for a file that is larger than its reader allows.
	ErrTooLarge = errors.New("too large")
)

// Read returns the whole content of a file. The file's size, time and inode must stay
// unchanged from stable before the read until after it, so that a half-done write is never
// returned. Where the system says that the file has not changed for long, Read does not wait,
// so that reading hundreds of unchanged files takes no time. Read retries while the file
// changes, for about ten times stable, and then returns ErrChanging. A file of more than max
// bytes is not read: the error is ErrTooLarge.
//
// A program that writes a file in place truncates it first. A file that has just changed is
// therefore empty only if it still is after another second in which nothing has written to it,
// unless stable is zero.
func Read(path string, stable time.Duration, max int64) ([]byte, error) {
	var empty fs.FileInfo // of the file when it was last found empty
	for range attempts {
		before, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		// The wait comes before the read. File times are coarse: a write within the tick
		// of the first Stat leaves the time as it is, but ends before the read begins.
		changed := changeTime(before)
		recent := changed.IsZero() || time.Since(changed) < long
		if recent {
			time.Sleep(stable)
		}
		content, err := readLimited(path, max)
		if errors.Is(err, fs.ErrNotExist) {
			continue // it is being replaced
		}
		if err != nil {
			return nil, err
		}
		after, err := os.Stat(path)
		if err != nil || !Same(before, after) || int64(len(content)) != after.Size() {
			continue
		}
		if len(content) == 0 && recent && stable > 0 && !Same(empty, after) {
			empty = after
			time.Sleep(long)
			continue
		}
		return content, nil
	}
	return nil, fmt.Errorf("read %s: %w", path, ErrChanging)
}

func readLimited(path string, max int64) ([]byte, error) {
	f, info, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info.Size() > max {
		return nil, fmt.Errorf("read %s: %w: %d bytes, at most %d are allowed", path, ErrTooLarge, info.Size(), max)
	}
	// One byte more than allowed shows that the file has grown since.
	content, err := io.ReadAll(io.LimitReader(f, max+1))
	if err == nil && int64(len(content)) > max {
		err = fmt.Errorf("read %s: %w: more than %d bytes", path, ErrTooLarge, max)
	}
	return content, err
}

// Open opens a regular file for reading, and returns its state at that moment. For anything
// else the error is ErrIrregular: opening a pipe could block, and opening a device could
// have effects.
func Open(path string) (*os.File, fs.FileInfo, error) {
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
		err = regular(path, info) // it may have been replaced
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

// Same reports whether a and b describe the same file, and no program wrote to it in between. It
// also notices a program that sets the old modification time again. nil stands for a file that
// could not be opened.
func Same(a, b fs.FileInfo) bool {
	if a == nil || b == nil {
		return a == b
	}
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime()) && changeTime(a).Equal(changeTime(b))
}
