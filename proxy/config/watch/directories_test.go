package watch

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

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
