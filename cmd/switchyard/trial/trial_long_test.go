//go:build full || race

package trial

import (
	"context"
	"errors"
	"testing"
)

// A module that takes long is tried with more time, while others pass it.
func TestSlowTrialsArePassed(t *testing.T) {
	r := New()
	r.lanes[1] <- struct{}{} // a trial that does not end
	ctx, cancel := context.WithCancel(t.Context())
	slow := make(chan error)
	go func() {
		_, err := r.Try(ctx, trialOf(module(manyBlocks(8000))))
		slow <- err
	}()
	for range 3 {
		if report, err := r.Try(t.Context(), trialOf(module(broadcast))); err != nil || report.Refusal != nil && !report.Refusal.Slow {
			t.Errorf("got %+v, %v", report, err)
		}
	}
	select {
	case err := <-slow:
		t.Fatalf("the slow module was tried in the first lane alone: %v", err)
	default:
	}
	cancel()
	if err := <-slow; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}
