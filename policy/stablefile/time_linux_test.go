package stablefile

import (
	"os"
	"testing"
	"time"
)

// A file that has not changed for long is read without a wait, whatever its time of
// modification; one that has just changed is not.
func TestReadDoesNotWaitForAnOldFile(t *testing.T) {
	t.Parallel()
	path := t.TempDir() + "/f"
	write(t, path, "content")
	check(t, os.Chtimes(path, time.Unix(0, 0), time.Unix(0, 0))) // as cp -p does
	read := make(chan error, 1)
	go func() {
		_, err := Read(path, 3*time.Second, 100)
		read <- err
	}()
	info, err := os.Stat(path)
	check(t, err)
	select {
	case err := <-read:
		t.Errorf("a file that has just changed was read at once: %v", err)
	case <-time.After(long + 100*time.Millisecond - time.Since(changeTime(info))):
	}
	old := make(chan error, 1)
	go func() {
		_, err := Read(path, time.Hour, 100)
		old <- err
	}()
	select {
	case err := <-old:
		check(t, err)
	case <-time.After(30 * time.Second):
		t.Fatal("Read waits for a file that changed long ago")
	}
	check(t, <-read)
}
