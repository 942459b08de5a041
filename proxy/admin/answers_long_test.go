//go:build full || race

package admin

import (
	"strings"
	"testing"

	"switchyard/proxy/hub"
)

// A server whose log stands still is not alive, however often it is asked.
func TestNotLive(t *testing.T) {
	t.Parallel()
	var p Probes
	f := start(t, patient)
	held := hold(t, f)
	f.await("it is noticed", func() bool { return p.Alive([]Tenant{f.tenant}) != nil })
	r := f.ask("GET", "/livez")
	if got := f.read(r); r.StatusCode != 503 || !strings.Contains(got, "tenant default: it has not routed a PDU of the server's own") {
		t.Errorf("%d %q, want 503", r.StatusCode, got)
	}
	if r := f.ask("GET", "/readyz"); r.StatusCode != 503 {
		t.Errorf("readyz: %d", r.StatusCode)
	}
	held()
	f.await("it lives again", func() bool {
		r := f.ask("GET", "/livez")
		return f.read(r) == "ok\n"
	})
}

// hold has the hub's lock held until what it returns is called.
func hold(t *testing.T, f *fixture) (release func()) {
	t.Helper()
	blocker := &blocker{hold: make(chan struct{}), held: make(chan struct{})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.hub.Attach(blocker)()
	}()
	<-blocker.held
	return func() {
		close(blocker.hold)
		<-done
	}
}

// A blocker is a tap that does what no tap may.
type blocker struct {
	hold, held chan struct{}
}

func (b *blocker) Joined(uint64, *hub.Membership)  {}
func (b *blocker) Left(uint64)                     {}
func (b *blocker) Grouped(uint64, *hub.Membership) {}
func (b *blocker) Judged(hub.Judged)               {}

func (b *blocker) Present(uint64, bool, *hub.Membership) {
	close(b.held)
	<-b.hold
}
