package main

import (
	"context"
	"os"
	"syscall"
	"testing"
	"time"

	"switchyard/cmd/switchyard/dialogue"
)

// moreDialogues names a directory of further recorded dialogues to be replayed.
const moreDialogues = "SWITCHYARD_DIALOGUES"

// Every dialogue recorded from the original goes the same with Switchyard, byte for
// byte and connection by connection.
func TestDialogues(t *testing.T) {
	dirs := []string{"dialogue/testdata"}
	if dir := os.Getenv(moreDialogues); dir != "" {
		dirs = append(dirs, dir)
	}
	for _, dir := range dirs {
		dialogues, err := dialogue.Load(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range dialogues {
			t.Run(d.Name, func(t *testing.T) {
				t.Parallel()
				p := start(t, t.TempDir())
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				got, err := d.Play(ctx, p.address)
				if err != nil {
					t.Fatal(err)
				}
				if err := dialogue.Compare(d.Want, got); err != nil {
					t.Error(err)
				}
				p.signal(syscall.SIGTERM)
				if code := p.exit(); code != exitStopped {
					t.Errorf("exit code %d, want %d", code, exitStopped)
				}
			})
		}
	}
}

// Heartbeats and timeouts keep the original's bounds, at shorter intervals than its 5
// and 30 s.
func TestTiming(t *testing.T) {
	t.Parallel()
	const heartbeat, timeout = 2 * time.Second, 6 * time.Second
	p := start(t, t.TempDir(), "--set", "peer.heartbeat="+heartbeat.String(), "--set", "peer.timeout="+timeout.String())
	if err := dialogue.Timing(t.Context(), p.address, heartbeat, timeout); err != nil {
		t.Error(err)
	}
}
