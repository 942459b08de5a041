//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package statefolder

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// Lock keeps other processes out of a folder until unlock is called. If another process
// has the lock, it waits for at most timeout: that process may be suspended.
func Lock(folder string, timeout time.Duration) (unlock func(), err error) {
	f, err := os.Open(folder)
	if err != nil {
		return nil, err
	}
	for end := time.Now().Add(timeout); ; time.Sleep(5 * time.Millisecond) {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return func() { f.Close() }, nil // which unlocks
		case errors.Is(err, syscall.EINTR):
		case !errors.Is(err, syscall.EWOULDBLOCK):
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", folder, err)
		case time.Now().After(end):
			f.Close()
			return nil, fmt.Errorf("lock %s: another process has it for longer than %v", folder, timeout)
		}
	}
}

// Sync makes a rename in a folder durable.
func Sync(folder string) error {
	f, err := os.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
