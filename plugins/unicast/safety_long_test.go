//go:build full || race

package unicast

import (
	"fmt"
	"strings"
	"testing"

	"switchyard/plugins/teamtalk"
	"switchyard/policy/table"
)

// The tests of safety_test.go find a wrong policy. The last row shows why kicks are broadcast.
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
