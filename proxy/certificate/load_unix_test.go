//go:build unix

package certificate

import (
	"strings"
	"syscall"
	"testing"
)

func TestLoadRefusesPipes(t *testing.T) {
	f := newFixture(t)
	pipe := f.dir + "/pipe"
	check(t, syscall.Mkfifo(pipe, 0o600))
	_, err := load(Files{Certificate: f.files.Certificate, Key: pipe}, 0)
	if want := "key " + pipe + ": not a regular file; write"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %q", err, want)
	}
}
