package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"switchyard/pdu"
	"switchyard/pdu/pb"
	"switchyard/pdu/pdutest"
	"switchyard/policy"
	"switchyard/policy/reproduce"
	"switchyard/policy/review"
	"switchyard/proxy/capture"
	"switchyard/proxy/hub"
)

// runHere runs the command line in this process.
func runHere(t *testing.T, want int, args ...string) (stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	if got := run(args, nil, &out, &err); got != want {
		t.Fatalf("switchyard %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), got, want, out.String(), err.String())
	}
	return out.String(), err.String()
}

// A change is weighed by what a capture holds: three chats of a user whose server is
// known, to two other servers each, of which one is enough.
func TestDiffWeighsByACapture(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	recording := filepath.Join(dir, "chats.pcapng")
	writeCapture(t, recording)
	routes := filepath.Join(dir, "routes.toml")
	table, err := os.ReadFile("../../plugins/teamtalk/routes.toml")
	if err != nil {
		t.Fatal(err)
	}
	changed := bytes.Replace(table, []byte(`CID_MSG_DATA                         = "broadcast-except-sender"`),
		[]byte(`CID_MSG_DATA = "unicast fields from_user_id to_session_id, not-sender, else-broadcast"`), 1)
	if err := os.WriteFile(routes, changed, 0o600); err != nil {
		t.Fatal(err)
	}

	out, _ := runHere(t, 1, "policy", "diff", "teamtalk", routes, "--capture", recording, "--json")
	var d difference
	if err := json.Unmarshal([]byte(out), &d); err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(d.Changes, func(c review.Change) bool { return c.Command == "CID_MSG_DATA" })
	if len(d.Changes) != 1 || at != 0 || d.Traffic == nil {
		t.Fatalf("got %+v, want one change and its traffic", d)
	}
	w := d.Changes[0].Weight
	if w.PDUs != 3 || w.Changed != 3 || w.CopiesBefore != 6 || w.CopiesAfter != 3 || w.SentAfter*2 != w.SentBefore || w.Share != 0.75 {
		t.Errorf("weight %+v, want 3 of 4 PDUs, and 3 copies instead of 6", w)
	}
	if d.Traffic.Total.PDUs != 4 || d.Traffic.Tenant != "default" {
		t.Errorf("traffic %+v", d.Traffic)
	}

	out, _ = runHere(t, 1, "policy", "diff", "teamtalk", routes, "--capture", recording)
	for _, want := range []string{"75.0%", "6 -> 3 (-50%)", "tenant default in "} {
		if !strings.Contains(out, want) {
			t.Errorf("got\n%swant it to say %q", out, want)
		}
	}

	whole, err := os.ReadFile(recording)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(recording, whole[:len(whole)-7], 0o600); err != nil {
		t.Fatal(err)
	}
	if out, stderr := runHere(t, 2, "policy", "diff", "teamtalk", routes, "--capture", recording); out != "" || !strings.Contains(stderr, "chats.pcapng") {
		t.Errorf("a capture cut in the middle: got %q and %q, want an error that names it", out, stderr)
	}
}

// The groups of the peers in a capture decide what the policies would do with its PDUs.
func TestDiffWeighsByGroups(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	recording, routes := filepath.Join(dir, "chats.pcapng"), filepath.Join(dir, "routes.toml")
	guests, err := policy.GroupNamed("guests")
	if err != nil {
		t.Fatal(err)
	}
	writeCapture(t, recording, capture.Record{Kind: capture.Grouped, Session: 1, Membership: &hub.Membership{Groups: []policy.Group{guests}}})
	write(t, routes, "extends = \"teamtalk\"\n[from.guests]\nCID_MSG_DATA = \"drop\"\n")
	out, _ := runHere(t, 1, "policy", "diff", "teamtalk", routes, "--capture", recording, "--json")
	var d difference
	if err := json.Unmarshal([]byte(out), &d); err != nil {
		t.Fatal(err)
	}
	if len(d.Changes) != 1 || d.Changes[0].Weight.Changed != 3 || d.Changes[0].Weight.CopiesBefore != 6 || d.Changes[0].Weight.CopiesAfter != 0 {
		t.Errorf("got %s, want three chats of a guest that nobody gets any more", out)
	}
}

// writeCapture writes a capture with three chats of session 1, and more records of it before them.
func writeCapture(t *testing.T, path string, more ...capture.Record) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w, err := capture.NewWriter(f, "test")
	if err == nil {
		err = w.AddTenant(capture.Tenant{Name: "default", Bodies: true})
	}
	at := time.Unix(1e9, 0)
	record := func(r capture.Record) {
		at = at.Add(time.Millisecond)
		r.Time, r.Length = at, len(r.PDU)
		if err == nil {
			err = w.Write(&r)
		}
	}
	for session := range uint64(3) {
		record(capture.Record{Kind: capture.Joined, Session: session + 1})
	}
	online := pdutest.Online(pdutest.Stat(2, pb.UserStatType_USER_STATUS_ONLINE, pb.ClientType_CLIENT_TYPE_WINDOWS),
		pdutest.Stat(1, pb.UserStatType_USER_STATUS_ONLINE, pb.ClientType_CLIENT_TYPE_WINDOWS))
	record(capture.Record{Kind: capture.PDU, Session: 2, PDU: online})
	for _, r := range more {
		record(r)
	}
	for range 3 {
		from, to := uint32(1), uint32(2)
		chat := pdutest.PDU(pdu.CID_MSG_DATA, 0, &pb.IMMsgData{FromUserId: &from, ToSessionId: &to})
		record(capture.Record{Kind: capture.PDU, Session: 1, PDU: chat})
	}
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

// What the server saves when a policy fails is what eval reads.
func TestEvalReproducesWhatWasSaved(t *testing.T) {
	t.Parallel()
	trap := guestPolicy(t, "trap")
	whole := pdutest.PDU(pdu.CID_MSG_DATA, 7, &pb.IMMsgData{})
	path, err := reproduce.Save(t.TempDir(), reproduce.Failure{Policy: trap, Kind: policy.FaultTrap, Error: "unreachable",
		Question: policy.Question{Header: whole[:pdu.HeaderLen], Body: whole[pdu.HeaderLen:], Session: 5}})
	if err != nil {
		t.Fatal(err)
	}
	out, _ := runHere(t, 0, "policy", "eval", "--reproduce", path, "--json")
	var x explanation
	if err := json.Unmarshal([]byte(out), &x); err != nil {
		t.Fatal(err)
	}
	if x.Fault == nil || x.Fault.Kind != policy.FaultTrap || !strings.Contains(x.Fault.Error, "the_guilty_one") || x.Sender.Session != 5 || x.Routed || x.PDU.Seq != 7 {
		t.Errorf("got %+v", x)
	}
}

// The names in JSON are what others' scripts rely on.
func TestJSONOfShow(t *testing.T) {
	t.Parallel()
	out, _ := runHere(t, 0, "policy", "show", "teamtalk", "--json")
	var s map[string]any
	if err := json.Unmarshal([]byte(out), &s); err != nil {
		t.Fatal(err)
	}
	rows, _ := s["rows"].([]any)
	if len(rows) != len(pdu.Commands) {
		t.Fatalf("%d rows, want all %d commands", len(rows), len(pdu.Commands))
	}
	first, _ := rows[0].(map[string]any)
	for _, key := range []string{"command", "first", "last", "known", "alike", "services", "verdict", "word", "action", "decided"} {
		if _, ok := first[key]; !ok {
			t.Errorf("a row has no %q: %v", key, first)
		}
	}
	for _, key := range []string{"policy", "sha256", "engine", "config", "exports", "rows", "else"} {
		if _, ok := s[key]; !ok {
			t.Errorf("there is no %q", key)
		}
	}
}
