package pdutest

import (
	"google.golang.org/protobuf/proto"

	"switchyard/pdu"
	"switchyard/pdu/pb"
)

// PDUs that a msg_server sends to the hub.

// Heartbeat returns the 16 bytes that both sides send on an idle connection.
func Heartbeat() []byte { return Raw(pdu.CID_OTHER_HEARTBEAT, 0, nil) }

// RoleSet declares whether the sender is master.
func RoleSet(master bool) []byte {
	m := &pb.IMRoleSet{Master: proto.Uint32(0)}
	if master {
		m.Master = proto.Uint32(1)
	}
	return PDU(pdu.CID_OTHER_ROLE_SET, 0, m)
}

// Online reports the users that the sender already has; Stat makes one of them.
func Online(users ...*pb.ServerUserStat) []byte {
	return PDU(pdu.CID_OTHER_ONLINE_USER_INFO, 0, &pb.IMOnlineUserInfo{UserStatList: users})
}

// Stat is one user in Online.
func Stat(user uint32, status pb.UserStatType, client pb.ClientType) *pb.ServerUserStat {
	return &pb.ServerUserStat{UserId: &user, Status: &status, ClientType: &client}
}

// StatusUpdate reports that a user logged in or out. Unlike in Stat, the status may be
// any number.
func StatusUpdate(user, status uint32, client pb.ClientType) []byte {
	return PDU(pdu.CID_OTHER_USER_STATUS_UPDATE, 0,
		&pb.IMUserStatusUpdate{UserId: &user, UserStatus: &status, ClientType: &client})
}

// StatusRequest asks whether users are online. A nil attachment is omitted.
func StatusRequest(seq uint16, user uint32, attach []byte, ids ...uint32) []byte {
	return PDU(pdu.CID_BUDDY_LIST_USERS_STATUS_REQUEST, seq,
		&pb.IMUsersStatReq{UserId: &user, UserIdList: ids, AttachData: attach})
}

// PDUs that the hub sends.

// StatusNotify announces the status of a user.
func StatusNotify(user uint32, status pb.UserStatType) []byte {
	return PDU(pdu.CID_BUDDY_LIST_STATUS_NOTIFY, 0,
		&pb.IMUserStatNotify{UserStat: &pb.UserStat{UserId: &user, Status: &status}})
}

// LoginNotify announces whether a user has a PC online.
func LoginNotify(user uint32, on bool) []byte {
	m := &pb.IMServerPCLoginStatusNotify{UserId: &user, LoginStatus: proto.Uint32(0)}
	if on {
		m.LoginStatus = proto.Uint32(1)
	}
	return PDU(pdu.CID_OTHER_LOGIN_STATUS_NOTIFY, 0, m)
}

// StatusResponse answers StatusRequest; UserStat makes its entries. The attachment is
// encoded even if it is empty.
func StatusResponse(seq uint16, user uint32, attach []byte, users ...*pb.UserStat) []byte {
	return PDU(pdu.CID_BUDDY_LIST_USERS_STATUS_RESPONSE, seq,
		&pb.IMUsersStatRsp{UserId: &user, UserStatList: users, AttachData: append([]byte{}, attach...)})
}

// UserStat is one user in StatusResponse.
func UserStat(user uint32, status pb.UserStatType) *pb.UserStat {
	return &pb.UserStat{UserId: &user, Status: &status}
}
