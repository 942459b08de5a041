//go:build full || race

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"switchyard/policy/release/history"
	"switchyard/proxy/admin/api"
)

// Another policy_config is another policy, though the file is the same: it is released in stages,
// and the release is withdrawn when the configuration is put back.
func TestReleaseOfPolicyConfig(t *testing.T) {
	t.Parallel()
	sound, err := os.ReadFile("../../policy/wasm/testdata/sound.wasm")
	if err != nil {
		t.Fatal(err)
	}
	r := &released{T: t, dir: t.TempDir()}
	save(t, r.dir, "sound.wasm", string(sound))
	const file = `policy = "file:sound.wasm"`
	first, second := `policy_config = { greeting = "good morning" }`, `policy_config = { greeting = "good evening" }`
	r.configure(staged, file, first)
	r.process = start(t, r.dir) // no peers: the policy answers none of their questions
	inForce := r.status().InForce
	r.configure(staged, file, second)
	r.expect("release begins")
	var s api.Release
	begun := func() bool { s = r.status(); return s.Stage != nil }
	eventually(t, begun, func() string { return fmt.Sprintf("status %+v", s) })
	if c := s.Stage.Candidate; s.Stage.State != "shadow" || c.SHA256 != inForce.SHA256 || c.Identity == inForce.Identity || s.InForce.Identity != inForce.Identity {
		t.Errorf("in force %+v, candidate %+v in %s", s.InForce, c, s.Stage.State)
	}

	from := r.logged()
	r.configure(staged, file, first)
	r.expectFrom(from, "release withdrawn")
	r.configure(staged, file, second)
	r.expectFrom(from, "release begins")
	eventually(t, begun, func() string { return fmt.Sprintf("status %+v", s) })
	r.command(0, "promote", "--all")
	r.command(0, "promote")
	r.expect("release done")
	entries := r.history()
	if e := entries[0]; e.Kind != string(history.Done) || e.From.Identity != inForce.Identity || e.To.SHA256 != inForce.SHA256 || e.To.Identity == inForce.Identity {
		t.Errorf("the last entry is %+v", e)
	}
	r.command(0, "rollback")
	eventually(t, func() bool { s = r.status(); return s.InForce.Identity == inForce.Identity }, func() string { return fmt.Sprintf("status %+v", s) })
}

// history returns the entries of the history, the latest first.
func (r *released) history() []api.HistoryEntry {
	r.Helper()
	var h api.ReleaseHistory
	if err := json.Unmarshal([]byte(r.command(0, "history", "--json")), &h); err != nil {
		r.Fatal(err)
	}
	return h.Entries
}

// routes and signed are the lines of a tenant whose policy must be signed by one of two keys.
const routes, signed = `policy = "file:routes.toml"`, staged + "\nrequire_signature = true\n[signatures]\nstate = \"state\"\nkeys = [\"old.pub\", \"new.pub\"]"

// startSigned serves a policy that the old key signed as version 1.
func startSigned(t *testing.T) *released {
	t.Helper()
	r := &released{T: t, dir: t.TempDir()}
	for _, key := range []string{"old", "new"} {
		runHere(t, 0, "policy", "keygen", filepath.Join(r.dir, key))
	}
	r.configure(routes, signed)
	r.sign("broadcast-all", 1, "old")
	r.restart()
	return r
}

// sign saves a policy that does this with chats, and signs it.
func (r *released) sign(action string, version int, key string) {
	r.Helper()
	r.table(action)
	os.Remove(filepath.Join(r.dir, "routes.toml.sig")) // the command signs no lower version over it
	r.signAgain(version, key)
}

func (r *released) signAgain(version int, key string) {
	r.Helper()
	runHere(r.T, 0, "policy", "sign", filepath.Join(r.dir, "routes.toml"), "--key", filepath.Join(r.dir, key),
		"--version", fmt.Sprint(version), "--tenant", "default", "--expires", "90d")
}

// wantLedger waits until the ledger has a version of the policy as the highest that was in force.
func (r *released) wantLedger(version int) {
	r.Helper()
	var text []byte
	eventually(r.T, func() bool {
		text, _ = os.ReadFile(filepath.Join(r.dir, "state", "versions.json"))
		var ledger struct{ Tenants map[string]map[string]int }
		return json.Unmarshal(text, &ledger) == nil && ledger.Tenants["default"]["routes.toml"] == version
	}, func() string { return fmt.Sprintf("the ledger is %s, want version %d", text, version) })
}

// A signed version counts as having been in force only when its release is done. Until then its
// predecessor may come into force again, also after a crash. After that it is a downgrade, which only
// an operator may order.
func TestReleaseOfSignedVersion(t *testing.T) {
	t.Parallel()
	r := startSigned(t)
	r.wantLedger(1)
	r.sign(except, 2, "new")
	r.awaitStage(except, "shadow")
	r.command(0, "promote")
	r.wantLedger(1)
	r.restart()
	r.expect("release rolled back", "crash: the process ended in stage")
	r.wantInForce("broadcast-all", "rolled-back", except)
	r.wantLedger(1)
	r.command(0, "retry")
	r.awaitStage(except, "shadow")
	r.command(0, "promote", "--all")
	r.awaitStage(except, "bake")
	r.wantLedger(1)
	r.signAgain(3, "old") // the same content: the release continues
	from := r.logged()
	r.signal(syscall.SIGHUP)
	r.expectFrom(from, "policy unchanged; its release is under way")
	r.command(0, "promote")
	r.awaitInForce(except)
	r.wantLedger(3)

	from = r.logged()
	r.sign("broadcast-all", 1, "old")
	r.expectFrom(from, "policy refused", "it is version 1, and version 3 was in force already")
	r.command(0, "rollback", "--to", "v1")
	r.wantLedger(1)          // as after downgrade_to
	r.signal(syscall.SIGHUP) // the refused file is let in again, if the watcher has not done so already
	r.wantInForce("broadcast-all", "", except)
	r.sign(except, 2, "new")
	r.restart()
	r.wantInForce("broadcast-all", "rolled-back", except)
}

// A candidate that its signature no longer lets in is rolled back, whatever was withdrawn.
func TestReleaseWithoutItsSignature(t *testing.T) {
	t.Parallel()
	for name, withdraw := range map[string]func(r *released){
		"a key of the configuration": func(r *released) {
			r.configure(routes, strings.Replace(signed, `["old.pub", "new.pub"]`, `["old.pub"]`, 1))
		},
		"a key in its file": func(r *released) {
			old, err := os.ReadFile(filepath.Join(r.dir, "old.pub"))
			if err != nil {
				r.Fatal(err)
			}
			replace(r.T, filepath.Join(r.dir, "new.pub"), string(old))
		},
		"the signature":     func(r *released) { remove(r.T, filepath.Join(r.dir, "routes.toml.sig")) },
		"a sound signature": func(r *released) { replace(r.T, filepath.Join(r.dir, "routes.toml.sig"), "{}") },
		"the right of its version": func(r *released) {
			replace(r.T, filepath.Join(r.dir, "state", "versions.json"), `{"format": 1, "tenants": {"default": {"routes.toml": 3}}}`)
			r.signal(syscall.SIGHUP)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := startSigned(t)
			r.sign(except, 2, "new")
			r.awaitStage(except, "shadow")
			r.command(0, "promote")
			withdraw(r)
			r.expect("release rolled back", "the candidate is let in no more")
			r.wantInForce("broadcast-all", "rolled-back", except)
			if got := r.chat(20); got != 20 {
				t.Errorf("%d of 20 chats arrive", got)
			}
		})
	}
}

// A policy whose verdicts are all those of the one in force has nothing to compare: after the shadow
// it is in force.
func TestReleaseOfTheSameVerdicts(t *testing.T) {
	t.Parallel()
	r := startReleased(t, staged)
	replace(t, filepath.Join(r.dir, "routes.toml"), savedTable("broadcast-all")+"# the same\n")
	if l := r.expect("release begins"); l["commands"] != "none" || l["stage"] != "shadow" {
		t.Errorf("begun with %v in %v", l["commands"], l["stage"])
	}
	if got := r.chat(5); got != 5 {
		t.Errorf("%d of 5 chats arrive", got)
	}
	r.command(0, "promote")
	if l := r.expect("release done"); l["judged_by_candidate"] != 0.0 {
		t.Errorf("the candidate judged %v PDUs", l["judged_by_candidate"])
	}
	if s := r.receipt(2); s.Result != history.Done || len(s.Steps) != 1 || s.Steps[0].Alike == 0 || s.Steps[0].ByStable != 0 || s.Judged.Lost != 0 {
		t.Errorf("receipt: %+v", s)
	}
}

// Limits of the engine that the candidate no longer fits into roll it back; what is in force then
// has the new limits.
func TestReleaseOutOfLimits(t *testing.T) {
	t.Parallel()
	r := startReleased(t, staged)
	sound, err := os.ReadFile("../../policy/wasm/testdata/sound.wasm") // it has three pages of memory
	if err != nil {
		t.Fatal(err)
	}
	save(t, r.dir, "sound.wasm", string(sound))
	const file = `policy = "file:sound.wasm"`
	r.configure(staged, file)
	r.expect("release begins")
	r.command(0, "promote")
	from := r.logged()
	r.configure(staged, file, "[wasm]\nmemory = \"128KiB\"")
	r.expectFrom(from, "release rolled back", "the candidate does not load with the present limits", "compile gate", "raise wasm.memory")
	s := r.status()
	if len(s.Held) != 1 || s.Held[0].SHA256 != history.Sum(sound) || s.Drift != "rolled-back" {
		t.Errorf("status: %+v", s)
	}
	r.wantDelivered("broadcast-all")
}
