package watch

import (
	"os"
	"sync"
	"testing"
	"time"
)

// busy writes to a file every few milliseconds. The function that it returns stops that.
func busy(t *testing.T, path string) func() {
	write(t, path, "")
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case now := <-tick.C:
				if err := os.WriteFile(path, []byte(now.String()), 0o644); err != nil {
					t.Error(err)
					return
				}
			}
		}
	}()
	end := sync.OnceFunc(func() {
		close(stop)
		<-done
	})
	t.Cleanup(end)
	return end
}

func plainFile(t *testing.T, dir string) string {
	write(t, dir+"/f", "0")
	return dir + "/f"
}

func fileInDirectory(t *testing.T, dir string) string {
	write(t, mkdir(t, dir+"/d")+"/f", "0")
	return dir + "/d/f"
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	check(t, err)
	return string(content)
}

func write(t *testing.T, path, content string) {
	t.Helper()
	check(t, os.WriteFile(path, []byte(content), 0o644))
}

func appendTo(t *testing.T, path, content string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	check(t, err)
	_, err = f.WriteString(content)
	check(t, err)
	check(t, f.Close())
}

func mkdir(t *testing.T, path string) string {
	t.Helper()
	check(t, os.Mkdir(path, 0o755))
	return path
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	check(t, os.Rename(from, to))
}

func remove(t *testing.T, path string) {
	t.Helper()
	check(t, os.Remove(path))
}

func removeAll(t *testing.T, path string) {
	t.Helper()
	check(t, os.RemoveAll(path))
}

// link points the link at path to target in one step, as careful deployments do.
func link(t *testing.T, target, path string) {
	t.Helper()
	check(t, os.Symlink(target, path+".new"))
	rename(t, path+".new", path)
}
