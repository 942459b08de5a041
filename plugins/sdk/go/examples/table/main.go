// Command table routes by the command id alone, as TeamTalk's route_server does.
package main

import "policy/switchyard"

func main() {}

//go:wasmexport classify
func classify(_ switchyard.Service, command switchyard.Command) switchyard.Verdict {
	return routed(command)
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
