//go:build full || race

package jetstream

import (
	"context"
	"strings"
	"testing"
	"time"
)

// Check tries what a hub needs only when it enters, or when it has missed a record, so that a
// permission that is missing for that shows before.
func TestCheckTriesPermissions(t *testing.T) {
	b := startFake(t)
	times := short
	times.answer = 500 * time.Millisecond // which a refusal takes; an answer takes as long under the race detector
	l := begun(t, b, times)
	for _, tc := range []struct {
		forbid string
		try    func(context.Context) error
	}{
		{"sy.test.main.state.", l.tryState},
		{"$JS.API.DIRECT.GET.", func(ctx context.Context) error { return l.tryGet(ctx, l.connection.Load(), fakeStream) }},
	} {
		b.forbids(tc.forbid)
		var err error
		for end := time.Now().Add(limit); time.Now().Before(end); { // the refusal may come late on a busy machine
			if err = tc.try(t.Context()); err == nil || strings.Contains(err.Error(), tc.forbid) {
				break
			}
		}
		if err == nil || !strings.Contains(err.Error(), "permit the hubs' user") {
			t.Errorf("error %v without the permission for %s", err, tc.forbid)
		}
	}
	b.forbids("")
	var err error
	for end := time.Now().Add(limit); time.Now().Before(end); {
		if err = l.tryState(t.Context()); err == nil {
			break
		}
	}
	if err != nil {
		t.Errorf("error %v with all permissions", err)
	}
}

// forbids sets what begins the subjects to which nobody may publish.
func (b *fakeBus) forbids(subjects string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forbid = subjects
}
