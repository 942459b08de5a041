//go:build full

package main

import (
	"path/filepath"
	"testing"
	"time"

	"switchyard/cmd/switchyard/dialogue"
)

// Heartbeats and timeouts keep the original's bounds, at shorter intervals than its 5 and 30 s.
func TestTiming(t *testing.T) {
	t.Parallel()
	const heartbeat, timeout = 2 * time.Second, 6 * time.Second
	p := start(t, t.TempDir(), "--set", "peer.heartbeat="+heartbeat.String(), "--set", "peer.timeout="+timeout.String())
	if err := dialogue.Timing(t.Context(), p.address, heartbeat, timeout); err != nil {
		t.Error(err)
	}
}

// TestDialogues with a server for each dialogue, with the default configuration but for patientLimits.
func TestDialoguesAlone(t *testing.T) {
	t.Parallel()
	for _, d := range loadDialogues(t) {
		t.Run(d.Name, func(t *testing.T) {
			t.Parallel()
			playDialogueAlone(t, d)
		})
	}
}

// playDialogueAlone plays the dialogue with a server that has those further arguments.
func playDialogueAlone(t *testing.T, d dialogue.Dialogue, args ...string) {
	t.Helper()
	p := start(t, t.TempDir(), args...)
	together(t, []dialogue.Dialogue{d}, []string{p.address}, func() {})
	p.mustStop()
}

// Whatever a policy says that is compared with the one in force, peers notice nothing of it.
func TestDialoguesBesideAnAudit(t *testing.T) {
	dialogues, err := dialogue.Load("dialogue/testdata")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	audited := map[string]string{"traps": "../../policy/wasm/testdata/trap.wasm"}
	for name, verdict := range map[string]string{"closes": "close", "broadcasts": "broadcast-all", "handles": "handle online-user-info"} {
		audited[name] = filepath.Join(dir, name+".toml")
		write(t, audited[name], "[route]\nelse = \""+verdict+"\"\n")
	}
	for name, file := range audited {
		path, err := filepath.Abs(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range dialogues {
			t.Run(name+"/"+d.Name, func(t *testing.T) {
				t.Parallel()
				playDialogueAlone(t, d, "--set", "tenant.default.audit=file:"+path)
			})
		}
	}
}
