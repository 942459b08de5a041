package server

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"switchyard/proxy/admin"
)

// A disk that does not answer holds up neither operators nor the end of the server.
func TestDiskOfTheHistoryHangs(t *testing.T) {
	s, r := serveStaged(t)
	s.historyTime = time.Millisecond // read when the server stops
	path := filepath.Join(s.dir, "state", "history.jsonl")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(path, 0o600); err != nil { // whoever opens it waits for the other end
		t.Fatal(err)
	}
	records := s.state.records.Load()
	for _, verb := range []string{admin.Promote, admin.Rollback, admin.Retry} {
		if err := s.verb(admin.Verb{Name: verb}); err != nil {
			t.Errorf("%s: %v", verb, err)
		}
	}
	s.expect(`msg":"release rolled back"`, 1)
	s.expect(`msg":"the history of policies is kept in memory only"`, 1)
	if now := s.state.Release("a"); now.InForce == nil || now.InForce.SHA256 != r.from.SHA256 {
		t.Errorf("status: %+v", now)
	}
	if h := s.state.metrics().History; h.Unsaved < 3 {
		t.Errorf("metrics: %+v", h)
	}
	s.state.Drain()
	s.stop(nil)
	s.expect(`msg":"entries of the history of policies are lost, as its folder cannot be written"`, 1)

	other, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	other.Close()
	records.Flush(time.Minute) // the writer finds no file
}
