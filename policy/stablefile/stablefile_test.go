package stablefile

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		write(t, dir+"/f", "content")
		write(t, dir+"/empty", "")
		check(t, os.Symlink("f", dir+"/link"))
		check(t, os.Symlink("loop", dir+"/loop"))
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
			{path: "/dev/zero", err: ErrIrregular},
			{path: dir + "/huge", err: ErrTooLarge},
		} {
			got, err := Read(c.path, time.Millisecond, int64(len("content")))
			if string(got) != c.want || !errors.Is(err, c.err) {
				t.Errorf("Read(%s) = %q, %v, want %q, %v", c.path, got, err, c.want, c.err)
			}
			if err != nil && !strings.Contains(err.Error(), c.path) {
				t.Errorf("Read(%s): error %q does not name the file", c.path, err)
			}
		}
	})
}

func TestReadOneByteTooLarge(t *testing.T) {
	t.Parallel()
	path := t.TempDir() + "/f"
	write(t, path, "1234")
	if _, err := Read(path, 0, 3); !errors.Is(err, ErrTooLarge) {
		t.Errorf("got %v, want %v", err, ErrTooLarge)
	}
	if got, err := Read(path, 0, 4); string(got) != "1234" || err != nil {
		t.Errorf("got %q, %v, want all four bytes", got, err)
	}
}

// The size of a file in /proc is 0, so it looks as if it had grown after each attempt.
func TestReadOfFileInMotion(t *testing.T) {
	t.Parallel()
	if _, err := Read("/proc/version", time.Millisecond, 1<<20); !errors.Is(err, ErrChanging) {
		t.Errorf("got %v, want %v", err, ErrChanging)
	}
}

// A read that begins when half of the file is written waits for the other half.
func TestReadIsNotTorn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := t.TempDir() + "/f"
		write(t, path, "half, ")
		time.AfterFunc(time.Second, func() { write(t, path, "half, other half") })
		got, err := Read(path, 2*time.Second, 100)
		if want := "half, other half"; string(got) != want || err != nil {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	})
}

// A writer that stalls between the truncation and the write does not make the file empty.
func TestReadIsNotTruncated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := t.TempDir() + "/f"
		write(t, path, "")
		time.AfterFunc(long/2, func() { write(t, path, "content") })
		if got, err := Read(path, time.Millisecond, 100); string(got) != "content" || err != nil {
			t.Errorf("got %q, %v, want what was written after the truncation", got, err)
		}
	})
}

// Two writers that stall do not make the file empty either.
func TestReadIsNotTruncatedTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := t.TempDir() + "/f"
		write(t, path, "")
		after := func(d time.Duration, content string) {
			time.AfterFunc(d, func() {
				write(t, path, content)
				age := time.Now().Add(d) // the times of real files do not follow the bubble's clock
				check(t, os.Chtimes(path, age, age))
			})
		}
		after(long/2, "first")
		after(long*3/4, "")
		after(long*3/2, "second")
		if got, err := Read(path, time.Millisecond, 100); string(got) != "second" || err != nil {
			t.Errorf("got %q, %v, want what was written after the second truncation", got, err)
		}
	})
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	check(t, os.WriteFile(path, []byte(content), 0o644))
}
