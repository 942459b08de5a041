//go:build full || race

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"switchyard/pdu"
	"switchyard/pdu/pdutest"
	"switchyard/policy/release/history"
	"switchyard/proxy/admin/api"
)

// A released server has a policy in a file, and operators who use its socket.
type released struct {
	*testing.T
	*process
	dir              string
	sender, receiver peer
	said             uint16
}

func startReleased(t *testing.T, tenant ...string) *released {
	t.Helper()
	r := &released{T: t, dir: t.TempDir()}
	r.configure(tenant...)
	r.table("broadcast-all")
	r.restart()
	return r
}

// configure saves a configuration with further lines about the tenant.
func (r *released) configure(tenant ...string) {
	r.Helper()
	if !slices.ContainsFunc(tenant, func(line string) bool { return strings.HasPrefix(line, "policy = ") }) {
		tenant = append(tenant, `policy = "file:routes.toml"`)
	}
	save(r.T, r.dir, "config.toml", "[admin]\nsocket = \"a.sock\"\n[releases]\nstate = \"state\"\n[reload]\ndebounce = \"10ms\"\n[tenant.default]\n"+strings.Join(tenant, "\n")+"\n")
}

// restart starts the server, again if it ran; it is killed without a warning.
func (r *released) restart() {
	r.Helper()
	if r.process != nil {
		r.process.signal(syscall.SIGKILL)
		r.exit()
	}
	r.process = start(r.T, r.dir)
	r.sender, r.receiver = r.dial(), r.dial()
}

// table saves a policy that does this with chats.
func (r *released) table(action string) {
	r.Helper()
	replace(r.T, filepath.Join(r.dir, "routes.toml"), savedTable(action))
}

// sum returns the SHA-256 of the policy that does this with chats.
func sum(action string) string { return history.Sum([]byte(savedTable(action))) }

// command runs a command about policies, and wants an exit code.
func (r *released) command(want int, args ...string) string {
	r.Helper()
	stdout, stderr := runIn(r.T, r.dir, want, append([]string{"policy"}, args...)...)
	return stdout + stderr
}

// status returns the status of the only tenant, when the history has been written: on a slow disk, what
// changes takes effect before its entry is written.
func (r *released) status() api.Release {
	r.Helper()
	var all api.Releases
	eventually(r.T, func() bool {
		all = api.Releases{}
		if err := json.Unmarshal([]byte(r.command(0, "status", "--json")), &all); err != nil {
			r.Fatal(err)
		}
		return all.History.Unsaved == 0 && all.History.Error == ""
	}, func() string { return fmt.Sprintf("status %+v", all) })
	if len(all.Releases) != 1 || !all.History.Intact || all.History.Entries == 0 {
		r.Fatalf("status %+v", all)
	}
	return all.Releases[0]
}

// wantInForce says a chat, which reaches the other peer unless the policy drops it, and compares
// the status. held are the actions of the policies that are held back.
func (r *released) wantInForce(action, drift string, held ...string) {
	r.Helper()
	r.said++
	chat := pdutest.Raw(pdu.CID_MSG_DATA, r.said, []byte{8, 1})
	r.sender.say(chat)
	if action == "broadcast-all" {
		r.sender.expect(chat)
	}
	if action != "drop" {
		r.receiver.expect(chat)
	}
	r.sender.settle()
	r.receiver.settle()
	want := fmt.Sprintf("drift %q, in force %s, held", drift, sum(action))
	for _, action := range held {
		want += " " + sum(action)
	}
	var got string
	eventually(r.T, func() bool { // it is published after it is logged
		s := r.status()
		inForce := sum(action) // not that of a policy that was killed
		if !s.Killed && s.InForce != nil {
			inForce = s.InForce.SHA256
		}
		got = fmt.Sprintf("drift %q, in force %s, held", s.Drift, inForce)
		for _, p := range s.Held {
			got += " " + p.SHA256
		}
		return got == want
	}, func() string { return fmt.Sprintf("status: %s\nwant    %s", got, want) })
}

// awaitInForce waits until a policy is in force.
func (r *released) awaitInForce(action string) {
	r.Helper()
	r.command(0, "status", "--wait", "--sha256", sum(action)[:12], "--timeout", "60s")
}

// One command brings the previous policy back. What was rolled back is skipped, also after a
// crash, until it changes or is tried again.
func TestRollback(t *testing.T) {
	t.Parallel()
	r := startReleased(t)
	r.wantInForce("broadcast-all", "")
	if out := r.command(1, "rollback"); !strings.Contains(out, "there is no policy to go back to") {
		t.Errorf("with nothing before: %s", out)
	}
	r.table("drop")
	r.awaitInForce("drop")
	r.wantInForce("drop", "")
	if out := r.command(0, "rollback", "--reason", "nobody can talk"); !strings.Contains(out, "rolled back to "+sum("broadcast-all")[:8]) {
		t.Errorf("rollback: %s", out)
	}
	r.wantInForce("broadcast-all", "rolled-back", "drop")
	r.command(1, "status", "--wait", "--sha256", sum("drop"))

	// Neither a request nor the same content again nor a restart brings it back.
	from := r.logged()
	r.table("drop")
	r.signal(syscall.SIGHUP)
	r.expectFrom(from, "policy unchanged")
	r.wantInForce("broadcast-all", "rolled-back", "drop")
	r.restart()
	r.expect("policy held back: it was rolled back before")
	r.wantInForce("broadcast-all", "rolled-back", "drop")

	// Another content does, and then what it was rolled back for is still known.
	r.table("broadcast-except-sender")
	r.awaitInForce("broadcast-except-sender")
	r.wantInForce("broadcast-except-sender", "", "drop")
	from = r.logged()
	r.table("drop")
	r.expectFrom(from, "policy held back: it was rolled back before")
	r.wantInForce("broadcast-except-sender", "rolled-back", "drop")
	r.command(0, "retry", "--reason", "they may not talk")
	r.wantInForce("drop", "")
	if out := r.command(1, "retry"); !strings.Contains(out, "nothing is held back") {
		t.Errorf("a second retry: %s", out)
	}

	// Back to any that is kept, with the policy loaded from its file or from the store.
	r.command(0, "rollback", "--to", sum("broadcast-all")[:8])
	r.wantInForce("broadcast-all", "rolled-back", "drop")
	r.command(0, "rollback", "--to", strings.ToUpper(sum("drop")))
	r.wantInForce("drop", "", "broadcast-all")
	for to, want := range map[string]string{"00000000": "no policy that was in force", sum("drop")[:7]: "too short for a SHA-256", "v6": "no policy that was in force"} {
		if out := r.command(1, "rollback", "--to", to); !strings.Contains(out, want) {
			t.Errorf("to %s: %s", to, out)
		}
	}
	if out := r.command(1, "rollback", "--release", "1"); !strings.Contains(out, "release 1 is not the present one") {
		t.Errorf("of another release: %s", out)
	}
	r.command(exitUsage, "rollback", "--to", "")
	r.command(exitUsage, "rollback", "--tenant", "acme")
	r.command(exitUsage, "status", "--wait")
	r.command(exitNotYet, "status", "--wait", "--sha256", "0000", "--timeout", "1ms")
	r.command(0, "history", "--verify")
}

// A kill puts the shipped policy in force until revive, whatever is saved and also after a crash.
func TestKill(t *testing.T) {
	t.Parallel()
	r := startReleased(t)
	r.wantInForce("broadcast-all", "")
	r.command(0, "kill", "--reason", "fire")
	r.wantInForce("broadcast-except-sender", "killed") // as teamtalk does
	from := r.logged()
	r.table("drop")
	r.signal(syscall.SIGHUP)
	r.expectFrom(from, "policy unchanged", `"policy":"teamtalk"`)
	r.wantInForce("broadcast-except-sender", "killed")
	if out := r.command(1, "rollback"); !strings.Contains(out, "policy revive") {
		t.Errorf("rollback: %s", out)
	}
	r.restart()
	r.expect("policy held back: the tenant's policy was killed")
	r.wantInForce("broadcast-except-sender", "killed")
	if out := r.command(0, "rollback", "--reconnect"); !strings.Contains(out, "killed; after revive, in force is") {
		t.Errorf("rollback --reconnect: %s", out)
	}
	r.sender, r.receiver = r.dial(), r.dial() // the others are closed in the next two seconds
	r.command(0, "revive")
	r.wantInForce("drop", "")
	if out := r.command(1, "revive"); !strings.Contains(out, "was not killed") {
		t.Errorf("a second revive: %s", out)
	}
}

// The history has every change with who caused it, and each has a receipt whose sums add up. It is
// verified without a server, and shows what was changed in it.
func TestHistoryOfPolicies(t *testing.T) {
	t.Parallel()
	r := startReleased(t)
	r.table("drop")
	r.awaitInForce("drop")
	r.wantInForce("drop", "")
	r.table("burn")
	r.expect("policy refused")
	r.command(0, "rollback", "--reason", "nobody can talk")
	var h api.ReleaseHistory
	if err := json.Unmarshal([]byte(r.command(0, "history", "--json", "--tenant", "default")), &h); err != nil {
		t.Fatal(err)
	}
	want := []struct{ kind, by, from, to string }{
		{"rolled-back", "socket, user ", sum("drop"), sum("broadcast-all")},
		{"refused", "file", sum("drop"), ""},
		{"at-once", "file", sum("broadcast-all"), sum("drop")},
		{"initial", "file", "", sum("broadcast-all")},
	}
	if len(h.Entries) != len(want) {
		t.Fatalf("%d entries, want %d: %+v", len(h.Entries), len(want), h.Entries)
	}
	for i, w := range want {
		e := h.Entries[i]
		from, to := "", ""
		if e.From != nil {
			from = e.From.SHA256
		}
		if e.To != nil && e.Kind != "refused" {
			to = e.To.SHA256
		}
		if e.Kind != w.kind || !strings.HasPrefix(e.Who.By, w.by) || from != w.from || to != w.to || (w.by == "file") != (e.Who.Changed != nil && e.Who.Owner != "") {
			t.Errorf("entry %+v, want %+v", e, w)
		}
	}
	if !strings.Contains(h.Entries[1].Reason, "table gate") || h.Entries[0].Reason != "nobody can talk" {
		t.Errorf("reasons %q and %q", h.Entries[1].Reason, h.Entries[0].Reason)
	}

	receipt := r.command(0, "receipt", "4")
	for _, words := range []string{"rolled-back", "held back  file:routes.toml, sha256 " + sum("drop"), "nobody can talk", "lost       0", "signers    none"} {
		if !strings.Contains(receipt, words) {
			t.Errorf("the receipt lacks %q:\n%s", words, receipt)
		}
	}
	var s history.Statement
	if err := json.Unmarshal([]byte(r.command(0, "receipt", "4", "--json")), &s); err != nil {
		t.Fatal(err)
	}
	if n := s.Predicate.Sums; n == nil || n.Received == 0 || n.Received != n.Accepted+n.Dropped || n.Due != n.Delivered+n.Pending+n.Discarded {
		t.Errorf("sums %+v", n)
	}
	r.command(exitUsage, "receipt", "3") // a refusal has none
	r.command(exitUsage, "receipt", "x")

	r.signal(syscall.SIGTERM)
	r.exit()
	l := r.expect("policy rolled back")
	r.process = nil
	out := r.command(0, "history", "--verify")
	if !strings.Contains(out, fmt.Sprintf("sound: entry %v is the last, head %v, ", l["history"], l["head"])) || l["history"] != 4.0 || !strings.Contains(out, "nobody can talk") {
		t.Errorf("verify: %s", out)
	}
	if latest, first := strings.Index(out, string(history.RolledBack)), strings.Index(out, string(history.Initial)); latest < 0 || first < latest {
		t.Errorf("not the latest first: %s", out)
	}
	path := filepath.Join(r.dir, "state", "history.jsonl")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	replace(t, path, strings.Replace(string(text), "nobody", "somebody", 1))
	if out := r.command(exitData, "history", "--verify"); !strings.Contains(out, "history.jsonl:4: ") {
		t.Errorf("verify what was changed: %s", out)
	}
	r.table("drop")
	r.restart()
	r.expect("the history of policies is damaged", "history-000001.jsonl")
	from := r.logged()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	r.table("broadcast-except-sender")
	r.expectFrom(from, "the history of policies is damaged", "it was removed")
}

// A folder that cannot be written stops nothing, and is said once.
func TestHistoryIsNotWritten(t *testing.T) {
	t.Parallel()
	r := &released{T: t, dir: t.TempDir()}
	save(t, r.dir, "state", "a file where the folder would be")
	r.configure()
	r.table("broadcast-all")
	r.restart()
	for _, action := range []string{"drop", "broadcast-except-sender"} {
		from := r.logged()
		r.table(action)
		r.expectFrom(from, "policy reloaded", sum(action))
	}
	if n := r.count("the history of policies is kept in memory only"); n != 1 {
		t.Errorf("said %d times, want once", n)
	}
	r.command(0, "rollback")
	if out := r.command(0, "status"); !strings.Contains(out, "4 entries are not written") || !strings.Contains(out, "rolled-back") {
		t.Errorf("status: %s", out)
	}
}
