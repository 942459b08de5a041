package watch

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestReadStable(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir+"/f", "content")
	write(t, dir+"/empty", "")
	link(t, "f", dir+"/link")
	link(t, "loop", dir+"/loop")
	check(t, syscall.Mkfifo(dir+"/pipe", 0o600))
	write(t, dir+"/huge", "")
	check(t, os.Truncate(dir+"/huge", 1<<40)) // all hole: reading it would take minutes
	for _, c := range []struct {
		path, want string
		err        error
	}{
		{path: dir + "/f", want: "content"},
		{path: dir + "/link", want: "content"},
		{path: dir + "/empty", want: ""},
		{path: dir + "/none", err: fs.ErrNotExist},
		{path: dir + "/f/under", err: syscall.ENOTDIR},
		{path: dir + "/loop", err: syscall.ELOOP},
		{path: dir, err: ErrIrregular},
		{path: dir + "/pipe", err: ErrIrregular},
		{path: "/dev/zero", err: ErrIrregular},
		{path: dir + "/huge", err: ErrTooLarge},
	} {
		got, err := ReadStable(c.path, time.Millisecond, int64(len("content")))
		if string(got) != c.want || !errors.Is(err, c.err) {
			t.Errorf("ReadStable(%s) = %q, %v, want %q, %v", c.path, got, err, c.want, c.err)
		}
		if err != nil && !strings.Contains(err.Error(), c.path) {
			t.Errorf("ReadStable(%s): error %q does not name the file", c.path, err)
		}
	}
}

func TestReadStableOneByteTooLarge(t *testing.T) {
	t.Parallel()
	path := plainFile(t, t.TempDir())
	write(t, path, "1234")
	if _, err := ReadStable(path, 0, 3); !errors.Is(err, ErrTooLarge) {
		t.Errorf("got %v, want %v", err, ErrTooLarge)
	}
	if got, err := ReadStable(path, 0, 4); string(got) != "1234" || err != nil {
		t.Errorf("got %q, %v, want all four bytes", got, err)
	}
}

// The files of /proc never are what their size says, as if they grew all the time.
func TestReadStableOfFileInMotion(t *testing.T) {
	t.Parallel()
	if _, err := ReadStable("/proc/version", time.Millisecond, 1<<20); !errors.Is(err, ErrChanging) {
		t.Errorf("got %v, want %v", err, ErrChanging)
	}
}

// A read that begins while a writer has written half waits for the other half.
func TestReadStableIsNotTorn(t *testing.T) {
	t.Parallel()
	path := plainFile(t, t.TempDir())
	write(t, path, "half, ")
	done := make(chan struct{})
	go func() {
		defer close(done)
		timer := time.NewTimer(30 * time.Millisecond)
		defer timer.Stop()
		<-timer.C
		if err := os.WriteFile(path, []byte("half, other half"), 0o644); err != nil {
			t.Error(err)
		}
	}()
	got, err := ReadStable(path, 300*time.Millisecond, 100)
	<-done
	if want := "half, other half"; string(got) != want || err != nil {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

func TestDirectories(t *testing.T) {
	t.Parallel()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	check(t, err)
	for _, d := range []string{"/etc", "/etc/..v1", "/srv", "/srv/r1", "/srv/r1/deep"} {
		mkdir(t, dir+d)
	}
	write(t, dir+"/etc/plain", "")
	write(t, dir+"/etc/..v1/f", "")
	write(t, dir+"/srv/r1/deep/f", "")
	link(t, "..v1", dir+"/etc/..data")
	link(t, "..data/f", dir+"/etc/f")
	link(t, dir+"/srv/r1", dir+"/srv/current")
	link(t, "../srv/current/deep/../deep/f", dir+"/etc/far")
	link(t, "nowhere/f", dir+"/etc/dangling")
	link(t, "loop", dir+"/etc/loop")
	for _, c := range []struct {
		path string
		want []string
	}{
		{"/etc/plain", []string{"/etc"}},
		{"/etc/./../etc/plain", []string{"/etc"}},
		{"/etc/f", []string{"/etc", "/etc/..v1"}},
		{"/srv/current/deep/f", []string{"/srv", "/srv/r1/deep"}},
		{"/etc/far", []string{"/etc", "/srv", "/srv/r1/deep"}},
		{"/etc/dangling", []string{"/etc"}},
		{"/etc/loop", []string{"/etc"}},
		{"/etc/no/such/file", []string{"/etc"}},
		{"/etc/plain/under", []string{"/etc/plain"}},
	} {
		var got []string
		for _, d := range directories(dir + c.path) {
			got = append(got, strings.TrimPrefix(d, dir))
		}
		slices.Sort(got)
		if got = slices.Compact(got); !slices.Equal(got, c.want) {
			t.Errorf("directories(%s) = %q, want %q", c.path, got, c.want)
		}
	}
}
