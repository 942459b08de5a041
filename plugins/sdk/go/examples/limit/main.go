// Command limit drops chats that are too long, unless a master sent them.
package main

import "policy/switchyard"

// longest is the length of a chat's PDU in bytes, header included.
const longest = 4096

func main() {}

//go:wasmexport classify
func classify(_ switchyard.Service, command switchyard.Command) switchyard.Verdict {
	if command == switchyard.CID_MSG_DATA {
		return routed(command).InspectHeader()
	}
	return routed(command)
}

//go:wasmexport inspect
func inspect(hi, lo, _ uint64, attributes switchyard.Attributes) switchyard.Verdict {
	h := switchyard.Header{Hi: hi, Lo: lo}
	tooLong := h.Command() == switchyard.CID_MSG_DATA && h.Length() > longest
	if tooLong && !attributes.Master() {
		return switchyard.Drop.Log()
	}
	return routed(h.Command())
}

// routed is TeamTalk's table.
func routed(command switchyard.Command) switchyard.Verdict {
	switch command {
	case switchyard.CID_OTHER_HEARTBEAT:
		return switchyard.Consume
	case switchyard.CID_OTHER_ONLINE_USER_INFO:
		return switchyard.Handle(switchyard.OnlineUserInfo)
	case switchyard.CID_OTHER_USER_STATUS_UPDATE:
		return switchyard.Handle(switchyard.UserStatusUpdate)
	case switchyard.CID_OTHER_ROLE_SET:
		return switchyard.Handle(switchyard.RoleSet)
	case switchyard.CID_BUDDY_LIST_USERS_STATUS_REQUEST:
		return switchyard.Handle(switchyard.UsersStatusRequest)
	case switchyard.CID_MSG_DATA,
		switchyard.CID_SWITCH_P2P_CMD,
		switchyard.CID_MSG_READ_NOTIFY,
		switchyard.CID_OTHER_SERVER_KICK_USER,
		switchyard.CID_GROUP_CHANGE_MEMBER_NOTIFY,
		switchyard.CID_FILE_NOTIFY,
		switchyard.CID_BUDDY_LIST_REMOVE_SESSION_NOTIFY:
		return switchyard.BroadcastExceptSender
	case switchyard.CID_BUDDY_LIST_SIGN_INFO_CHANGED_NOTIFY:
		return switchyard.BroadcastAll
	}
	return switchyard.Drop.Log()
}
