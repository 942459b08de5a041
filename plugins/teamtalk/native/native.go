// Package native decides as the default policy does, in Go: what is left if it is loaded
// in place of the module is what WebAssembly costs. Nothing but a build for measuring,
// with the tag native, can load it.
package native

import (
	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/abi"
)

// Name is what the configuration of such a build calls this policy.
const Name = "native-teamtalk"

// A Table is the table of plugins/teamtalk, as a policy.Policy.
type Table struct{}

var _ policy.Policy = Table{}

// Classify implements policy.Policy.
func (Table) Classify(_ pdu.ServiceID, c pdu.CommandID) (policy.Verdict, error) {
	switch c {
	case pdu.CID_OTHER_HEARTBEAT:
		return abi.Consume, nil
	case pdu.CID_OTHER_ONLINE_USER_INFO:
		return abi.Handle | abi.OnlineUserInfo<<abi.ArgumentShift, nil
	case pdu.CID_OTHER_USER_STATUS_UPDATE:
		return abi.Handle | abi.UserStatusUpdate<<abi.ArgumentShift, nil
	case pdu.CID_OTHER_ROLE_SET:
		return abi.Handle | abi.RoleSet<<abi.ArgumentShift, nil
	case pdu.CID_BUDDY_LIST_USERS_STATUS_REQUEST:
		return abi.Handle | abi.UsersStatusRequest<<abi.ArgumentShift, nil
	case pdu.CID_MSG_DATA,
		pdu.CID_SWITCH_P2P_CMD,
		pdu.CID_MSG_READ_NOTIFY,
		pdu.CID_OTHER_SERVER_KICK_USER,
		pdu.CID_GROUP_CHANGE_MEMBER_NOTIFY,
		pdu.CID_FILE_NOTIFY,
		pdu.CID_BUDDY_LIST_REMOVE_SESSION_NOTIFY:
		return abi.BroadcastExceptSender, nil
	case pdu.CID_BUDDY_LIST_SIGN_INFO_CHANGED_NOTIFY:
		return abi.BroadcastAll, nil
	}
	return abi.Drop | abi.Log, nil
}

// Inspect implements policy.Policy. It is never asked to.
func (Table) Inspect(byIDs policy.Verdict, _ policy.Question) (policy.Verdict, error) {
	return byIDs, nil
}

// Close implements policy.Policy.
func (Table) Close() error { return nil }
