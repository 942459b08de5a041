//go:build unix

package watch

import (
	"strings"
	"syscall"
	"testing"

	"github.com/fsnotify/fsnotify"
)

func TestPipeInTheFilesPlace(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := watchFile(t, plainFile(t, dir), byEvents, fsnotify.NewWatcher)
	check(t, syscall.Mkfifo(dir+"/pipe", 0o600))
	rename(t, dir+"/pipe", dir+"/f")
	if got := s.next(t); !strings.Contains(got.contents[0], "a pipe") {
		t.Errorf("got a call with %q, want the pipe's error", got.contents)
	}
	s.wantNoMore(t)
}
