//go:build full || race

package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"switchyard/policy/release/history"
)

const except = "broadcast-except-sender"

// stopAndStart stops the server and starts it again.
func (r *released) stopAndStart() {
	r.Helper()
	r.process.signal(syscall.SIGTERM)
	r.exit()
	r.process = nil
	r.restart()
}

// What happens in the middle of a stage.
func TestStageWhatIf(t *testing.T) {
	t.Parallel()
	const file = `policy = "file:routes.toml"`
	r := startReleased(t, staged)
	r.table(except)
	r.awaitStage(except, "shadow")
	r.command(0, "promote", "--reason", "enough of shadow")
	r.command(0, "promote")

	// The candidate again is nothing, however it is found.
	from := r.logged()
	r.table(except)
	r.signal(syscall.SIGHUP)
	r.expectFrom(from, "policy unchanged; its release is under way")
	if s := r.awaitStage(except, "stage"); s.Share != 0.1 {
		t.Errorf("after the candidate was saved again: %+v", s)
	}

	// A smaller share than the present one waits for the next release.
	from = r.logged()
	r.configure(strings.Replace(staged, "mode", `stages = ["0.5%", "20%"], mode`, 1), file)
	r.expectFrom(from, "configuration reloaded", "release.stages")
	if s := r.awaitStage(except, "stage"); s.Share != 0.1 {
		t.Errorf("with smaller stages: %+v", s)
	}
	r.command(0, "promote")
	if s := r.awaitStage(except, "stage"); s.Share != 0.2 {
		t.Errorf("promoted to what the configuration now says: %+v", s)
	}

	// Other limits of the engine: both are loaded again, the stage stays, and the evidence begins again.
	r.chat(20)
	from = r.logged()
	r.configure(staged, file, "[wasm]\nfuel = 300000")
	r.expectFrom(from, "release continues with other limits")
	if s := r.awaitStage(except, "stage"); s.Share != 0.2 || s.Counts.PDUs != 0 {
		t.Errorf("with other limits of the engine: %+v", s)
	}
	if got := r.chat(20); got != 20 {
		t.Errorf("%d of 20 chats arrive", got)
	}

	// Another content begins a release of its own, in shadow. A verb about the one before is refused.
	r.table("consume")
	r.expectFrom(from, "release superseded")
	if s := r.awaitStage("consume", "shadow"); s.ByCandidate != 0 {
		t.Errorf("a second candidate: %+v", s)
	}
	if receipt := r.receipt(2); receipt.Result != history.Superseded || len(receipt.Steps) != 5 || receipt.Sums.Lost != 0 {
		t.Errorf("receipt: %+v", receipt)
	}
	r.command(1, "promote", "--release", "2")
	if code := r.post("promote", `{"tenant": "default", "release": 2}`); code != http.StatusConflict {
		t.Errorf("a verb about another release: %d", code)
	}
	r.awaitStage("consume", "shadow")

	// What was rolled back is skipped, also by request.
	r.command(0, "rollback")
	from = r.logged()
	r.table("consume")
	r.signal(syscall.SIGHUP)
	r.expectFrom(from, "policy unchanged")
	r.wantInForce("broadcast-all", "rolled-back", "consume")

	// A stop ends a release if that is configured.
	r.configure(strings.Replace(staged, "mode", `on_restart = "roll-back", mode`, 1), file)
	r.table(except)
	r.awaitStage(except, "shadow")
	if s := r.status(); s.Drift != "" {
		t.Errorf("drift %q during the release of another policy than the one that was rolled back", s.Drift)
	}
	r.stopAndStart()
	r.expect("release rolled back", "restart: release.on_restart is roll-back")
	r.wantInForce("broadcast-all", "rolled-back", "consume", except)
	if out := r.command(0, "history", "--verify"); !strings.Contains(out, "enough of shadow") {
		t.Errorf("the history lacks why the release was promoted: %s", out)
	}
}

// post sends a verb to the admin socket, and returns the status of the answer.
func (r *released) post(verb, body string) int {
	r.Helper()
	status, err := r.tryPost(verb, body)
	if err != nil {
		r.Fatal(err)
	}
	return status
}

func (r *released) tryPost(verb, body string) (status int, err error) {
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(r.dir, "a.sock"))
	}}}
	answer, err := c.Post("http://localhost/api/v1/releases/"+verb, "application/json", strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	answer.Body.Close()
	return answer.StatusCode, nil
}

// A pin that no longer lets the candidate in rolls it back.
func TestReleaseOutOfPin(t *testing.T) {
	t.Parallel()
	r := startReleased(t, staged)
	r.table(except)
	r.awaitStage(except, "shadow")
	r.command(0, "promote")
	r.configure(staged, fmt.Sprintf("policy_sha256 = %q", sum("broadcast-all")))
	r.expect("release rolled back", "the candidate is let in no more")
	r.wantInForce("broadcast-all", "rolled-back", except)
}

// The release of a tenant that is removed is withdrawn, with a receipt.
func TestReleaseOfRemovedTenant(t *testing.T) {
	t.Parallel()
	r := startReleased(t)
	tenant := func(action string) string {
		save(t, r.dir, "acme.toml", savedTable(action))
		return "[[listener]]\naddress = \"127.0.0.1:0\"\ntenant = \"acme\"\n[tenant.acme]\npolicy = \"file:acme.toml\"\n" + staged
	}
	const file = `policy = "file:routes.toml"`
	const first = "[[listener]]\naddress = \"127.0.0.1:0\"\ntenant = \"default\""
	r.configure(file, first, tenant("drop"))
	r.expect("policy in force", "acme")
	replace(t, filepath.Join(r.dir, "acme.toml"), savedTable(except))
	r.expect("release begins", "acme")
	r.configure(file, first)
	r.expect("release withdrawn", "acme")
	if s := r.receipt(3); s.Result != history.Withdrawn || s.Tenant != "acme" || s.Reason != "the tenant was removed" {
		t.Errorf("receipt: %+v", s)
	}
	r.command(0, "history", "--verify")
}

// After damage, the stable policy is the last one in force of a chain that verifies; and without a
// state, the configured policy is in force as the first one.
func TestReleaseOfDamagedState(t *testing.T) {
	t.Parallel()
	r := startReleased(t, staged)
	r.table(except)
	r.awaitStage(except, "shadow")
	r.command(0, "promote")
	r.process.signal(syscall.SIGKILL)
	r.exit()
	r.process = nil
	path := filepath.Join(r.dir, "state", "history.jsonl")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	replace(t, path, strings.Replace(string(text), `"share":0.01`, `"share":0.02`, 1))
	r.restart()
	r.expect("the history of policies is damaged", "history-000001.jsonl")
	r.wantMetrics("history_intact 0")
	r.expect("release rolled back", "crash: the process ended in")
	r.wantDelivered("broadcast-all")
	r.command(exitData, "history", "--verify")

	// If the damage hides which policy is the stable one, the configured policy is in force.
	r.process.signal(syscall.SIGTERM)
	r.exit()
	r.process = nil
	replace(t, path, "{}\n")
	r.restart()
	r.expect("the policy in force was not compared with the one before, which is lost")
	r.wantDelivered(except)
	r.wantMetrics(`release_drift{tenant="default"} 1`)
	r.command(0, "retry")
	r.wantMetrics(`release_drift{tenant="default"} 0`)
	if out := r.command(1, "retry"); !strings.Contains(out, "nothing is held back") {
		t.Errorf("a second retry: %s", out)
	}

	// Without any state it is the first one.
	r.process.signal(syscall.SIGTERM)
	r.exit()
	r.process = nil
	if err := os.RemoveAll(filepath.Join(r.dir, "state")); err != nil {
		t.Fatal(err)
	}
	r.restart()
	r.wantInForce(except, "")
	r.wantMetrics(`release_drift{tenant="default"} 0`)
}

// wantDelivered is wantInForce without the status, which says that the history is damaged.
func (r *released) wantDelivered(action string) {
	r.Helper()
	if got := r.chat(5); got != 5 {
		r.Errorf("%d of 5 chats arrive", got)
	}
	if out := r.command(0, "status"); !strings.Contains(out, sum(action)[:8]) {
		r.Errorf("status: %s", out)
	}
}

// A stable policy that the store has lost cannot be gone back to: the configured one is in force,
// and that is said.
func TestReleaseWithoutItsStablePolicy(t *testing.T) {
	t.Parallel()
	r := startReleased(t, staged)
	r.table(except)
	r.awaitStage(except, "shadow")
	r.process.signal(syscall.SIGTERM)
	r.exit()
	r.process = nil
	if err := os.Remove(filepath.Join(r.dir, "state", "policies", sum("broadcast-all"))); err != nil {
		t.Fatal(err)
	}
	r.restart()
	r.expect("the policy in force is gone from releases.state")
	r.wantLost(except)
	r.restart() // which does not hide it
	r.wantLost(except)
	if e := r.history()[0]; e.Kind != string(history.AtOnce) || !strings.Contains(e.Reason, "gone from releases.state") {
		t.Errorf("the last entry is %+v", e)
	}

	// It is not a policy that was returned to, so peers are not closed in the place of a rollback.
	if out := r.command(1, "rollback", "--reconnect"); !strings.Contains(out, "go back to policy "+sum("broadcast-all")[:8]) {
		t.Errorf("rollback --reconnect: %s", out)
	}

	// Either an operator accepts that, or another policy comes into force.
	r.table("drop")
	r.awaitStage("drop", "shadow")
	r.wantMetrics(`release_drift{tenant="default"} 1`)
	r.stopAndStart()
	r.awaitStage("drop", "shadow")
	r.wantMetrics(`release_drift{tenant="default"} 1`)
	r.command(0, "promote", "--all")
	r.command(0, "promote")
	r.wantInForce("drop", "")
	r.wantMetrics(`release_drift{tenant="default"} 0`)
	r.command(0, "history", "--verify")
}

// wantLost is wantInForce for a policy that came into force without a release, as the one before
// was lost.
func (r *released) wantLost(action string) {
	r.Helper()
	r.expect("the policy in force was not compared with the one before, which is lost")
	r.wantInForce(action, "lost")
	r.wantMetrics(`release_drift{tenant="default"} 1`)
	if out := r.command(0, "status"); !strings.Contains(out, "in force without a release") {
		r.Errorf("status: %s", out)
	}
}

// While the folder of the history cannot be written, releases continue, and that is said once. When it
// can be written again, nothing of them is missing.
func TestReleaseWithoutAFolder(t *testing.T) {
	t.Parallel()
	r := &released{T: t, dir: t.TempDir()}
	state := filepath.Join(r.dir, "state")
	write(t, state, "a file where the folder would be")
	r.configure(staged)
	r.table("broadcast-all")
	r.restart()
	begin := func(action string) { // status says that the history is not as it should be
		from := r.logged()
		r.table(action)
		r.expectFrom(from, "release begins", sum(action))
	}
	begin(except)
	r.command(0, "promote", "--all")
	if got := r.chat(20); got != 20 {
		t.Errorf("%d of 20 chats arrive", got)
	}
	r.command(0, "promote")
	r.expect("release done")
	begin("drop")
	r.chat(30)
	r.expect("release rolled back", "undelivered: ")
	r.wantDelivered(except)
	begin("consume")
	if n := r.count("the history of policies is kept in memory only"); n != 1 {
		t.Errorf("said %d times, want once", n)
	}

	remove(t, state)
	r.command(0, "promote")
	r.command(0, "rollback", "--reason", "enough")
	var kinds []string
	for _, e := range r.history() {
		kinds = append(kinds, e.Kind)
	}
	if got, want := strings.Join(kinds, " "), "rolled-back stage begin rolled-back begin done stage begin initial"; got != want {
		t.Errorf("the history has, the latest first, %s, want %s", got, want)
	}
	r.command(0, "history", "--verify")
	for _, action := range []string{"drop", "consume"} {
		if !strings.Contains(r.command(0, "status", "--json"), sum(action)) {
			t.Errorf("%s is not held back", action)
		}
	}
	r.stopAndStart()
	r.wantInForce(except, "rolled-back", "drop", "consume")
}
