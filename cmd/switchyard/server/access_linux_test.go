package server

import (
	"log/slog"
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
	f.close()
	if n := a.lost(); n != 10_000 {
		t.Errorf("%d lines are lost, want all", n)
	}
}
