//go:build unix

package stablefile

import (
	"errors"
	"syscall"
	"testing"
	"time"
)

func TestReadPipe(t *testing.T) {
	t.Parallel()
	path := t.TempDir() + "/pipe"
	check(t, syscall.Mkfifo(path, 0o600))
	if got, err := Read(path, time.Millisecond, 1); len(got) > 0 || !errors.Is(err, ErrIrregular) {
		t.Errorf("got %q, %v, want %v", got, err, ErrIrregular)
	}
}
