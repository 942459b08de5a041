// Command single sends single chats, and news of a group to few users, only to the
// peers that hold these users.
package main

import "policy/switchyard"

func main() {}

//go:wasmexport classify
func classify(_ switchyard.Service, command switchyard.Command) switchyard.Verdict {
	switch command {
	case switchyard.CID_MSG_DATA, switchyard.CID_GROUP_CHANGE_MEMBER_NOTIFY:
		return routed(command).InspectBody()
	}
	return routed(command)
}

//go:wasmexport inspect_body
func inspectBody(_, n uint32, hi, lo, _ uint64, _ switchyard.Attributes) switchyard.Verdict {
	body, h := switchyard.Given(n), switchyard.Header{Hi: hi, Lo: lo}
	switch h.Command() {
	case switchyard.CID_MSG_DATA:
		return chat(body)
	case switchyard.CID_GROUP_CHANGE_MEMBER_NOTIFY:
		return members(body)
	}
	return routed(h.Command())
}

// The fields of IM.Message.IMMsgData that count here.
const (
	fromUserID  = 1
	toSessionID = 2
	msgType     = 5
	attachData  = 20
)

// chat decides about a chat: a single one goes to its two users, unless it is
// marked for everybody.
func chat(body []byte) switchyard.Verdict {
	kind, everybody := uint32(0), false
	s := switchyard.Scan(body)
	for s.Next() {
		switch {
		case s.Is(msgType, switchyard.Varint):
			kind = uint32(s.Value)
		case s.Is(attachData, switchyard.Bytes):
			everybody = string(s.Bytes()) == "broadcast"
		}
	}
	if !s.Readable() || everybody || kind != 1 && kind != 2 {
		return switchyard.BroadcastExceptSender
	}
	return switchyard.UnicastFields(fromUserID, toSessionID).NotSender().ElseBroadcast()
}

// chgUserIDList is the field of IM.Group.IMGroupChangeMemberNotify that counts
// here.
const chgUserIDList = 5

// members decides about a change of a group's members: it goes to those who come or
// leave, if they are few.
func members(body []byte) switchyard.Verdict {
	changed, user := 0, uint32(0)
	s := switchyard.Scan(body)
	for changed <= 3 && s.Next() {
		if s.Number != chgUserIDList {
			continue
		}
		for changed <= 3 && s.NextValue() {
			changed++
			user = uint32(s.Value)
		}
	}
	switch {
	case !s.Readable() || changed > 3:
		return switchyard.BroadcastExceptSender
	case changed == 0:
		return switchyard.Drop
	case changed == 1:
		return switchyard.UnicastUser(user).NotSender().ElseBroadcast()
	}
	return switchyard.UnicastFields(chgUserIDList).NotSender().ElseBroadcast()
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
