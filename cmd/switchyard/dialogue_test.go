package main

import (
	"context"
	"os"
	"syscall"
	"testing"

	"switchyard/cmd/switchyard/dialogue"
)

// moreDialogues names a directory of further recorded dialogues to be replayed.
const moreDialogues = "SWITCHYARD_DIALOGUES"

// Switchyard answers every dialogue that was recorded from the original with the same bytes on
// each connection.
func TestDialogues(t *testing.T) {
	t.Parallel()
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
				playDialogue(t, d)
			})
		}
	}
}

// playDialogue plays the dialogue with a server that has those further arguments.
func playDialogue(t *testing.T, d dialogue.Dialogue, args ...string) {
	p := start(t, t.TempDir(), args...)
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
}
