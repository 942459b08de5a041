package stablefile

import (
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// A file that has not changed for long is read without a wait, whatever its time of
// modification; one that has just changed is not.
func TestReadDoesNotWaitForAnOldFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := t.TempDir() + "/f"
		write(t, path, "content")
		check(t, os.Chtimes(path, time.Unix(0, 0), time.Unix(0, 0))) // as cp -p does
		info, err := os.Stat(path)
		check(t, err)
		time.Sleep(time.Until(changeTime(info))) // the bubble's clock begins years before
		waits := func(stable time.Duration) time.Duration {
			start := time.Now()
			_, err := Read(path, stable, 100)
			check(t, err)
			return time.Since(start)
		}
		if got := waits(long); got != long {
			t.Errorf("a file that has just changed is read after %v, want %v", got, long)
		}
		if got := waits(time.Hour); got != 0 {
			t.Errorf("a file that changed %v ago is read after %v, want at once", long, got)
		}
	})
}
