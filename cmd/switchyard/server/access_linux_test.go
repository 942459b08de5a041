package server

import (
	"log/slog"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A disk that takes nothing costs lines, which are counted, and holds nobody up.
func TestAccessLogOfAFullDisk(t *testing.T) {
	t.Parallel()
	f, err := openAccess("/dev/full", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	a := new(accessLog)
	a.file.Store(f)
	for range 10_000 {
		f.write(accessLine{Event: "opened", Peer: "192.0.2.1:5"})
	}
	closeWhole(t, f)
	if n := a.lost(); n != 10_000 {
		t.Errorf("%d lines are lost, want all", n)
	}
}

func TestAccessLogOfAPipeWithoutReader(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openAccess(path, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "start the reader first") {
		t.Errorf("got %v", err)
	}
}
