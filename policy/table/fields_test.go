package table

import (
	"maps"
	"slices"
	"testing"

	"switchyard/pdu"
)

// The fields that hold users, by name: in how many messages of commands they are.
func TestFieldsThatHoldUsers(t *testing.T) {
	got := map[string]int{}
	for _, c := range pdu.Commands {
		for _, name := range UserFields(c.ID) {
			got[name]++
		}
	}
	want := map[string]int{"user_id": 61, "user_id_list": 3, "changed_user_id": 2, "cur_user_id_list": 2, "chg_user_id_list": 2,
		"member_id_list": 2, "from_user_id": 9, "to_user_id": 8, "session_id": 12, "to_session_id": 1}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for command, want := range map[pdu.CommandID][]field{
		pdu.CID_MSG_DATA:                   {{1, "from_user_id"}, {2, "to_session_id"}},
		pdu.CID_GROUP_CHANGE_MEMBER_NOTIFY: {{1, "user_id"}, {4, "cur_user_id_list"}, {5, "chg_user_id_list"}},
		pdu.CID_FILE_STATE:                 {{3, "user_id"}},
		pdu.CID_LOGIN_REQ_USERLOGIN:        nil,
	} {
		if got := usersIn(messageOf(command)); !slices.Equal(got, want) {
			t.Errorf("%v: got %v, want %v", command, got, want)
		}
	}
}

// The user whom a broadcast is about is in its first field.
func TestSplitFields(t *testing.T) {
	fields := SplitFields()
	for c, want := range map[pdu.CommandID]uint8{
		pdu.CID_MSG_DATA: 1, pdu.CID_MSG_READ_NOTIFY: 1, pdu.CID_SWITCH_P2P_CMD: 1, pdu.CID_OTHER_SERVER_KICK_USER: 1,
		pdu.CID_FILE_NOTIFY: 1, pdu.CID_OTHER_USER_STATUS_UPDATE: 2, pdu.CID_FILE_STATE: 3, pdu.CID_OTHER_HEARTBEAT: 0,
	} {
		if got := fields[c]; got != want {
			t.Errorf("%v: field %d, want %d", c, got, want)
		}
	}
}
