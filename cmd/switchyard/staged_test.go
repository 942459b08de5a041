//go:build full || race

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"switchyard/pdu"
	"switchyard/pdu/pdutest"
	"switchyard/policy/release/history"
	"switchyard/proxy/admin/api"
)

// staged are the lines of a tenant whose releases wait long enough for a test to look.
const staged = "release = { mode = \"staged\", hold = \"1h\", sample = 10 }"

// awaitStage waits until a release of the policy that does this with chats is in that state.
func (r *released) awaitStage(action, state string) *api.ReleaseStage {
	r.Helper()
	var s api.Release
	eventually(r.T, func() bool {
		s = r.status()
		return s.Stage != nil && s.Stage.State == state && s.Stage.Candidate.SHA256 == sum(action)
	}, func() string { return fmt.Sprintf("status %+v, want %s in %s", s, action, state) })
	return s.Stage
}

// chat says n chats of as many users, and returns how many the other peer got.
func (r *released) chat(n int) (got int) {
	r.Helper()
	for i := range n {
		r.sender.say(pdutest.Raw(pdu.CID_MSG_DATA, uint16(i), []byte{8, byte(1 + i%100)}))
	}
	r.sender.say(pdutest.StatusRequest(7, 1, nil))
	drain := func(c peer) (chats int) {
		for {
			p := c.next()
			if pdu.ParseHeader(p).Command != pdu.CID_MSG_DATA {
				return chats
			}
			chats++
		}
	}
	drain(r.sender)
	r.receiver.say(pdutest.StatusRequest(7, 1, nil))
	return drain(r.receiver)
}

// A good candidate is compared in shadow, obeyed for a share of the users, and then for all. The
// receipt has each step and what was counted.
func TestGoodRelease(t *testing.T) {
	t.Parallel()
	r := startReleased(t, staged)
	r.table("broadcast-except-sender")
	r.awaitStage("broadcast-except-sender", "shadow")
	if got := r.chat(200); got != 200 {
		t.Errorf("in shadow, %d of 200 chats arrive", got)
	}
	if s := r.awaitStage("broadcast-except-sender", "shadow"); s.ByCandidate != 0 || s.ByStable < 200 || s.Counts.Differ < 200 || len(s.Commands) != 1 || len(s.Unseen) != 0 {
		t.Errorf("in shadow: %+v", s)
	}
	if out := r.command(0, "promote", "--reason", "looks good"); !strings.Contains(out, "at 1 %") {
		t.Errorf("promote: %s", out)
	}
	r.command(0, "promote")
	r.command(0, "promote")
	if s := r.awaitStage("broadcast-except-sender", "stage"); s.Share != 0.5 {
		t.Errorf("stage: %+v", s)
	}
	if got := r.chat(200); got != 200 {
		t.Errorf("in a stage, %d of 200 chats arrive", got)
	}
	if s := r.awaitStage("broadcast-except-sender", "stage"); s.ByCandidate < 40 || s.ByStable < 240 {
		t.Errorf("at half of the users: %+v", s)
	}
	r.command(0, "pause")
	if out := r.command(1, "pause"); !strings.Contains(out, "is paused already") {
		t.Errorf("a second pause: %s", out)
	}
	if out := r.command(0, "status"); !strings.Contains(out, "at 50 %, paused") || !strings.Contains(out, "faults 0, closes 0, undelivered 0") ||
		!strings.Contains(out, "undelivered 0 of 0.1 %, copies -") || !strings.Contains(out, "bake after 'switchyard policy resume'") {
		t.Errorf("status: %s", out)
	}
	r.command(75, "status", "--wait", "--sha256", sum("broadcast-except-sender"), "--timeout", "1ms")
	r.wantMetrics(`release_stage{stage="stage",tenant="default"} 1`, `release_share_ratio{of="wanted",tenant="default"} 0.5`, `release_share_ratio{of="units",tenant="default"} 0.5`, "history_intact 1", "history_entries 6",
		`release_unweighed_total{tenant="default"} 0`,
		`release_budget_ratio{budget="copies",tenant="default"} 0`, `release_differences_total{kind="verdict",tenant="default"} 400`)
	r.command(0, "resume")
	r.command(0, "promote", "--all")
	r.awaitStage("broadcast-except-sender", "bake")
	if out := r.command(1, "promote", "--release", "1"); !strings.Contains(out, "is not the present one") {
		t.Errorf("of another release: %s", out)
	}
	r.command(0, "promote")
	r.awaitInForce("broadcast-except-sender")
	r.wantInForce("broadcast-except-sender", "")
	if out := r.command(1, "promote"); !strings.Contains(out, "no release is under way") {
		t.Errorf("without a release: %s", out)
	}
	r.wantMetrics(`release_stage{stage="bake",tenant="default"} 0`, `releases_total{result="done",tenant="default"} 1`, `release_differences_total{kind="verdict",tenant="default"} 400`,
		`release_paused_seconds{tenant="default"} 0`)
	s := r.receipt(2)
	if s.Result != history.Done || len(s.Steps) != 5 || s.Steps[0].State != "shadow" || s.Steps[3].Share != 0.5 || s.Steps[3].ByCandidate < 40 ||
		len(s.Steps[3].Commands) != 1 || s.Steps[3].Commands[0].Command != "CID_MSG_DATA" || s.Sums.Lost != 0 || s.Judged.Lost != 0 || s.Judged.Received == 0 {
		t.Errorf("receipt: %+v", s)
	}
	r.command(0, "rollback") // to the previous policy, which is still loaded
	r.wantInForce("broadcast-all", "rolled-back", "broadcast-except-sender")
	r.command(0, "history", "--verify")
}

// wantMetrics fails unless the server has these lines among its metrics.
func (r *released) wantMetrics(lines ...string) {
	r.Helper()
	text := r.metrics()
	for _, line := range lines {
		if !strings.Contains(text, "\nswitchyard_"+line+"\n") {
			name, _, _ := strings.Cut(line, "{")
			r.Errorf("no %s among the metrics: %q", line, regexp.MustCompile("(?m)^switchyard_"+name+".*$").FindAllString(text, -1))
		}
	}
}

// metrics returns what a scrape gets.
func (r *released) metrics() string {
	r.Helper()
	c := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(r.dir, "a.sock"))
	}}}
	response, err := c.Get("http://switchyard/metrics")
	if err != nil {
		r.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		r.Fatal(err)
	}
	return string(text)
}

// receipt returns what the receipt of a release says, when the history has been written.
func (r *released) receipt(release int) history.Predicate {
	r.Helper()
	r.status()
	var out, errs bytes.Buffer
	args := []string{"policy", "receipt", fmt.Sprint(release), "--json", "--config", filepath.Join(r.dir, "config.toml")}
	eventually(r.T, func() bool { // operators see the end of a release a moment after the log has it
		out.Reset()
		errs.Reset()
		return run(args, []string{"XDG_CACHE_HOME=" + r.dir}, &out, &errs) == exitStopped
	}, errs.String)
	var s history.Statement
	if err := json.Unmarshal(out.Bytes(), &s); err != nil {
		r.Fatal(err)
	}
	return s.Predicate
}

// The server rolls a candidate that drops a command back in shadow, before it routes any PDU as
// that candidate says. From then on the server skips this policy.
func TestBadRelease(t *testing.T) {
	t.Parallel()
	r := startReleased(t, staged)
	r.table("drop")
	r.awaitStage("drop", "shadow")
	if got := r.chat(30); got != 30 {
		t.Errorf("%d of 30 chats arrive", got)
	}
	l := r.expect("release rolled back", "undelivered: ", " PDUs, and 0.1 % are allowed") // maybe before the last chat
	if l["judged_by_candidate"] != 0.0 {
		t.Errorf("obeyed by %v PDUs", l["judged_by_candidate"])
	}
	r.wantInForce("broadcast-all", "rolled-back", "drop")
	s := r.receipt(2)
	if s.Result != history.RolledBack || s.Steps[0].Commands[0].Undelivered == 0 || s.Held == nil || s.Held.SHA256 != sum("drop") || len(s.Budgets) != 6 {
		t.Fatalf("receipt: %+v", s)
	}
	if b := s.Budgets[2]; b.Budget != "undelivered" || b.Used != 1 || b.Allowed != 0.001 || b.Evidence < 3 || s.Budgets[0].Evidence != 0 {
		t.Errorf("budgets of the receipt: %+v", s.Budgets)
	}
	if out := r.command(0, "receipt", "2"); !strings.Contains(out, "undelivered 100 of 0.1 %") {
		t.Errorf("receipt: %s", out)
	}
	r.command(1, "status", "--wait", "--sha256", sum("drop"))
	r.restart()
	r.wantInForce("broadcast-all", "rolled-back", "drop")
	r.command(0, "retry")
	r.awaitStage("drop", "shadow")
	if got := r.chat(30); got != 30 {
		t.Errorf("%d of 30 chats arrive", got)
	}
	r.expect("release rolled back", "undelivered: ")
}

// What happens to a release when files are saved, when the server stops or crashes, and when an
// operator ends it.
func TestReleaseWhatIf(t *testing.T) {
	t.Parallel()
	r := startReleased(t, staged)
	r.table("broadcast-except-sender")
	r.awaitStage("broadcast-except-sender", "shadow")

	// The same content again is nothing, and one that is refused changes nothing.
	from := r.logged()
	r.table("broadcast-except-sender")
	r.table("burn")
	r.expectFrom(from, "policy refused")
	r.awaitStage("broadcast-except-sender", "shadow")

	// Another one supersedes it; the one in force withdraws that.
	r.table("consume")
	r.expectFrom(from, "release superseded")
	r.awaitStage("consume", "shadow")
	r.table("broadcast-all")
	r.expectFrom(from, "release withdrawn")
	r.wantInForce("broadcast-all", "")

	// After a stop it continues in the same stage.
	r.table("broadcast-except-sender")
	r.awaitStage("broadcast-except-sender", "shadow")
	r.command(0, "promote")
	if got := r.chat(20); got != 20 {
		t.Errorf("%d of 20 chats arrive", got)
	}
	r.command(0, "pause", "--reason", "for the night")
	r.process.signal(syscall.SIGTERM)
	r.exit()
	r.process = nil
	r.restart()
	r.expect("release continues")
	if s := r.awaitStage("broadcast-except-sender", "stage"); s.Share != 0.01 || s.Counts.PDUs < 20 || s.Weighed != 0 || !s.Paused || s.Reason != "for the night" {
		t.Errorf("after a stop: %+v", s)
	}
	r.command(0, "resume")

	// Other limits: the same stage, and the evidence again.
	from = r.logged()
	r.configure(staged, "may = [\"broadcast-all\", \"broadcast-except-sender\", \"drop\", \"handle\"]")
	r.expectFrom(from, "release continues with other limits")
	if s := r.awaitStage("broadcast-except-sender", "stage"); s.Share != 0.01 || s.Counts.PDUs != 0 {
		t.Errorf("with other limits: %+v", s)
	}

	// After a crash it is rolled back.
	r.restart()
	r.expect("release rolled back", "crash: the process ended in stage")
	r.wantInForce("broadcast-all", "rolled-back", "broadcast-except-sender")
	r.command(0, "retry")
	r.awaitStage("broadcast-except-sender", "shadow")
	r.command(0, "rollback", "--reason", "not now")
	r.expect("release rolled back", "not now")
	r.wantInForce("broadcast-all", "rolled-back", "broadcast-except-sender")

	// A kill ends it, and at-once lets it in.
	r.table("drop")
	r.awaitStage("drop", "shadow")
	r.command(0, "kill")
	r.wantInForce("broadcast-except-sender", "killed", "broadcast-except-sender")
	r.command(0, "revive")
	r.awaitStage("drop", "shadow")
	r.configure()
	r.awaitInForce("drop")
	r.command(0, "history", "--verify")
}

// A candidate that handles a command as a change of who is present is refused, unless that is
// meant.
func TestReleaseOfPresence(t *testing.T) {
	t.Parallel()
	r := startReleased(t, staged)
	replace(t, r.dir+"/routes.toml", savedTable("broadcast-all")+"CID_OTHER_ROLE_SET = \"handle role-set\"\n")
	r.expect("policy refused", "release gate", "CID_OTHER_ROLE_SET")
	r.configure(strings.Replace(staged, "mode", "presence = \"at-once\", mode", 1))
	r.expect("release begins")
	r.command(0, "promote")
	if s := r.status(); s.Stage == nil || s.Stage.State != "bake" {
		t.Errorf("after the shadow: %+v", s.Stage)
	}
}

// A candidate that traps is not obeyed where it does, though half of the users would, and is rolled
// back.
func TestTrappingRelease(t *testing.T) {
	t.Parallel()
	r := startReleased(t, staged)
	trap, err := os.ReadFile("../../policy/wasm/testdata/trap.wasm")
	if err != nil {
		t.Fatal(err)
	}
	save(t, r.dir, "trap.wasm", string(trap))
	r.configure(strings.Replace(staged, "mode", "shadow = false, stages = [\"50%\"], mode", 1), "policy = \"file:trap.wasm\"")
	r.expect("release begins", `"stage":"stage"`)
	if got := r.chat(30); got != 30 {
		t.Errorf("%d of 30 chats arrive", got)
	}
	if l := r.expect("release rolled back", "faults: the candidate failed on"); l["judged_by_candidate"] != 0.0 {
		t.Errorf("obeyed by %v PDUs", l["judged_by_candidate"])
	}
	if s := r.receipt(2); s.Result != history.RolledBack || s.Steps[0].ByCandidate != 0 || s.Steps[0].ByStable == 0 {
		t.Errorf("receipt: %+v", s)
	}
}

// A limit that drops too much is found in shadow, although nothing but its rate differs.
func TestLimitingRelease(t *testing.T) {
	t.Parallel()
	r := &released{T: t, dir: t.TempDir()}
	r.configure(staged)
	r.table("broadcast-all, limit 1000000/s per peer")
	r.restart()
	r.table("broadcast-all, limit 1/min per peer burst 5")
	r.expect("release begins", `"commands":"CID_MSG_DATA"`)
	if got := r.chat(30); got != 30 {
		t.Errorf("%d of 30 chats arrive", got)
	}
	r.expect("release rolled back", "undelivered: ", `"judged_by_candidate":0`)
}

// A stage whose share has none of the users who talk obeys nobody, and the status says why.
func TestUntriedRelease(t *testing.T) {
	t.Parallel()
	r := startReleased(t, strings.Replace(staged, "mode", "shadow = false, stages = [\"0.001%\", \"90%\"], mode", 1))
	r.table("broadcast-except-sender")
	r.awaitStage("broadcast-except-sender", "stage")
	r.chat(20)
	if out := r.command(0, "status"); !strings.Contains(out, "0 as the candidate\n") || !strings.Contains(out, "untried  no user or peer that sent an affected PDU is in the share of 0.001 %; the first one is above ") {
		t.Errorf("nobody obeys the candidate: %s", out)
	}
	r.command(0, "promote")
	r.chat(20)
	if out := r.command(0, "status"); strings.Contains(out, "untried") {
		t.Errorf("somebody obeys the candidate: %s", out)
	}
}

// A candidate that closes senders closes nobody.
func TestClosingRelease(t *testing.T) {
	t.Parallel()
	r := startReleased(t, strings.Replace(staged, "mode", "shadow = false, stages = [\"50%\"], mode", 1))
	r.table("close")
	r.expect("release begins")
	if got := r.chat(30); got != 30 {
		t.Errorf("%d of 30 chats arrive", got)
	}
	r.expect("release rolled back", "closes: ")
	if n := r.count("session closed"); n != 0 {
		t.Errorf("%d sessions were closed", n)
	}
	r.wantInForce("broadcast-all", "rolled-back", "close")
}
