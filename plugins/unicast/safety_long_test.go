//go:build full || race

package unicast

import (
	"fmt"
	"strings"
	"testing"

	"switchyard/plugins/teamtalk"
	"switchyard/policy/table"
)

// A backend (backend_test.go) finds a wrong policy. The last row shows why kicks are broadcast.
func TestWrongPoliciesAreFound(t *testing.T) {
	for _, c := range []struct {
		name, command, verdict string
		prompt                 bool
	}{
		{"chats that forget the sender's other devices", "CID_MSG_DATA", "unicast fields to_session_id, not-sender, else-broadcast", true},
		{"chats dropped", "CID_MSG_DATA", "drop", true},
		{"receipts to the other side", "CID_MSG_READ_NOTIFY", "unicast fields session_id, not-sender, else-broadcast", true},
		{"typing to the sender alone", "CID_SWITCH_P2P_CMD", "unicast fields from_user_id, not-sender, else-broadcast", true},
		{"removals consumed", "CID_BUDDY_LIST_REMOVE_SESSION_NOTIFY", "consume", true},
		{"file notices to who sent the file", "CID_FILE_NOTIFY", "unicast fields from_user_id, not-sender, else-broadcast", true},
		{"kicks to where the user is known", "CID_OTHER_SERVER_KICK_USER", "unicast fields user_id, not-sender, else-broadcast", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var lines []string
			for line := range strings.Lines(string(teamtalk.Table)) {
				if strings.HasPrefix(line, c.command+" ") {
					line = fmt.Sprintf("%s = %q\n", c.command, c.verdict)
				}
				lines = append(lines, line)
			}
			module, err := table.Compile("wrong.toml", []byte(strings.Join(lines, "")))
			if err != nil {
				t.Fatal(err)
			}
			var wrong []string
			for seed := uint64(0); seed < 3 && len(wrong) == 0; seed++ {
				b := newBackend(t, seed, 6, generation(t, module))
				b.prompt, b.breaks = c.prompt, true
				wrong = append(wrong, b.run(6000).wrong...)
			}
			if len(wrong) == 0 {
				t.Fatal("no fault was found")
			}
			t.Logf("%d faults, such as: %s", len(wrong), wrong[0])
		})
	}
}

// Whatever happens, every server gets what it needs, in the order of a broadcast.
func TestNothingNeededIsMissed(t *testing.T) {
	for seed := range uint64(5) {
		b := newBackend(t, seed, 6, generation(t, Module))
		b.prompt, b.breaks = true, true
		r := b.run(4000)
		report(t, r)
		if r.racing > 0 {
			t.Errorf("seed %d: %d copies missed that were needed, though everything is known in time", seed, r.racing)
		}
	}
}

// With delays on the connections, a server misses only what was routed while its report of
// the user was on its way, and never a kick.
func TestNothingKnownIsMissed(t *testing.T) {
	racing, copies := 0, uint64(0)
	for seed := range uint64(8) {
		b := newBackend(t, seed, 6, generation(t, Module))
		b.breaks = true
		r := b.run(6000)
		report(t, r)
		racing += r.racing
		for _, c := range r.copies[byBroadcast] {
			copies += c.PDUs
		}
	}
	t.Logf("%d copies of %d raced with the report of a user's arrival", racing, copies)
	if racing == 0 {
		t.Error("nothing raced, so this tests nothing")
	}
}
