//go:build full || race

package admin

import (
	"testing"
	"time"
)

// A policy that takes longer than a request may is waited for.
func TestSlowPolicyIsAnswered(t *testing.T) {
	t.Parallel()
	const clientTimeout = time.Second
	f := start(t, clientTimeout)
	p := f.installSlow()
	go func() {
		<-p.begun
		<-time.After(2 * clientTimeout) // longer than an answer may take
		close(p.end)
	}()
	r := f.ask("GET", "/api/v1/routes")
	if f.read(r); r.StatusCode != 200 {
		t.Errorf("got %d, want 200", r.StatusCode)
	}
}
