//go:build full

package watch

import (
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
)

// A bind mount of a single file sends no event when its source is written.
func TestBindMountByPoll(t *testing.T) {
	t.Parallel()
	dir, source := t.TempDir(), filepath.Join(t.TempDir(), "source")
	write(t, source, "0")
	path := plainFile(t, dir)
	if out, err := exec.Command("mount", "--bind", source, path).CombinedOutput(); err != nil {
		t.Fatalf("mount --bind: %v: %s; run this test as root", err, out)
	}
	t.Cleanup(func() { check(t, exec.Command("umount", path).Run()) })
	o := byEvents
	o.Poll = 50 * time.Millisecond
	s := watchFile(t, path, o, fsnotify.NewWatcher)
	for _, content := range []string{"1", "2"} {
		write(t, source, content)
		s.want(t, content)
	}
	s.wantNoMore(t)
}
