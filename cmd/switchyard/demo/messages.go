package demo

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"switchyard/pdu"
	"switchyard/pdu/message"
	"switchyard/pdu/pb"
)

// Each function returns one PDU as a msg_server of TeamTalk would send it. Bodies are complete, so
// that a reader of tap or Wireshark sees every field, except for those that a hub has to drop.

// clients are the kinds of client that users have, PCs more often than phones.
var clients = []pb.ClientType{pb.ClientType_CLIENT_TYPE_WINDOWS, pb.ClientType_CLIENT_TYPE_WINDOWS, pb.ClientType_CLIENT_TYPE_MAC,
	pb.ClientType_CLIENT_TYPE_ANDROID, pb.ClientType_CLIENT_TYPE_IOS}

// sentences are what users write.
var sentences = []string{"hello", "Are you coming to lunch?", "yes", "The build is green again.", "in a minute",
	"Could you read my change before the end of the day? It is small, and two others wait for it.", "thanks!", "ok"}

var heartbeatPDU = pdu.Append(nil, pdu.SID_OTHER, pdu.CID_OTHER_HEARTBEAT, 0, nil)

func encode(c pdu.CommandID, m proto.Message) []byte { return message.Append(nil, c, 0, m) }

// roleSet says that this connection is the server's only one.
func roleSet() []byte {
	return encode(pdu.CID_OTHER_ROLE_SET, &pb.IMRoleSet{Master: proto.Uint32(1)})
}

// text returns what a user writes.
func (f *fleet) text() []byte { return []byte(sentences[f.random.IntN(len(sentences))]) }

func (f *fleet) chat(u uint32) []byte {
	return f.message(u, f.someone(), pb.MsgType_MSG_TYPE_SINGLE_TEXT)
}

func (f *fleet) groupChat(u uint32) []byte {
	return f.message(u, f.group(), pb.MsgType_MSG_TYPE_GROUP_TEXT)
}

func (f *fleet) message(from, to uint32, kind pb.MsgType) []byte {
	f.msgID++
	return encode(pdu.CID_MSG_DATA, &pb.IMMsgData{FromUserId: &from, ToSessionId: &to, MsgId: proto.Uint32(f.msgID),
		CreateTime: proto.Uint32(uint32(f.now.Unix())), MsgType: kind.Enum(), MsgData: f.text()})
}

// readNotice tells a user's other clients what was read.
func (f *fleet) readNotice(u uint32) []byte {
	return encode(pdu.CID_MSG_READ_NOTIFY, &pb.IMMsgDataReadNotify{UserId: &u, SessionId: proto.Uint32(f.someone()),
		MsgId: proto.Uint32(f.msgID), SessionType: pb.SessionType_SESSION_TYPE_SINGLE.Enum()})
}

func (f *fleet) typing(u uint32) []byte {
	return encode(pdu.CID_SWITCH_P2P_CMD, &pb.IMP2PCmdMsg{FromUserId: &u, ToUserId: proto.Uint32(f.someone()), CmdMsgData: proto.String("typing")})
}

// statusRequest asks for the status of a few users.
func (f *fleet) statusRequest(u uint32) []byte {
	return encode(pdu.CID_BUDDY_LIST_USERS_STATUS_REQUEST, &pb.IMUsersStatReq{UserId: &u, UserIdList: []uint32{f.anyone(), f.anyone(), f.anyone()}})
}

// status reports whether a user is online.
func (f *fleet) status(u uint32) []byte {
	is := pb.UserStatType_USER_STATUS_OFFLINE
	if f.users[u-1].online {
		is = pb.UserStatType_USER_STATUS_ONLINE
	}
	return encode(pdu.CID_OTHER_USER_STATUS_UPDATE, &pb.IMUserStatusUpdate{UserStatus: proto.Uint32(uint32(is)), UserId: &u, ClientType: clients[f.users[u-1].client].Enum()})
}

// kick ends the older of two logins of a user. The next event is that its server logs it out.
func (f *fleet) kick(u uint32) []byte {
	f.kicked = u
	return encode(pdu.CID_OTHER_SERVER_KICK_USER, &pb.IMServerKickUser{UserId: &u, ClientType: clients[f.users[u-1].client].Enum(),
		Reason: proto.Uint32(uint32(pb.KickReasonType_KICK_REASON_DUPLICATE_USER))})
}

func (f *fleet) groupChange(u uint32) []byte {
	return encode(pdu.CID_GROUP_CHANGE_MEMBER_NOTIFY, &pb.IMGroupChangeMemberNotify{UserId: &u, ChangeType: pb.GroupModifyType_GROUP_MODIFY_TYPE_ADD.Enum(),
		GroupId: proto.Uint32(f.group()), CurUserIdList: []uint32{u, f.someone()}, ChgUserIdList: []uint32{f.someone()}})
}

func (f *fleet) removeSession(u uint32) []byte {
	return encode(pdu.CID_BUDDY_LIST_REMOVE_SESSION_NOTIFY, &pb.IMRemoveSessionNotify{UserId: &u,
		SessionType: pb.SessionType_SESSION_TYPE_SINGLE.Enum(), SessionId: proto.Uint32(f.someone())})
}

func (f *fleet) signInfo(u uint32) []byte {
	return encode(pdu.CID_BUDDY_LIST_SIGN_INFO_CHANGED_NOTIFY, &pb.IMSignInfoChangedNotify{ChangedUserId: &u, SignInfo: proto.String("on holiday")})
}

func (f *fleet) file(u uint32) []byte {
	return encode(pdu.CID_FILE_NOTIFY, &pb.IMFileNotify{FromUserId: &u, ToUserId: proto.Uint32(f.someone()), FileName: proto.String("photo.jpg"),
		FileSize: proto.Uint32(48 << 10), TaskId: proto.String(fmt.Sprintf("task-%d", f.msgID)), TransMode: pb.TransferFileType_FILE_TYPE_ONLINE.Enum(), OfflineReady: proto.Uint32(0)})
}

// readAck is a command of clients, which no msg_server should pass on: the policy drops it.
func (f *fleet) readAck(u uint32) []byte {
	return encode(pdu.CID_MSG_READ_ACK, &pb.IMMsgDataReadAck{UserId: &u, SessionId: proto.Uint32(f.someone()),
		MsgId: proto.Uint32(f.msgID), SessionType: pb.SessionType_SESSION_TYPE_SINGLE.Enum()})
}

// unknown is a command that is none of the protocol.
func (*fleet) unknown(uint32) []byte {
	return encode(0x0999, &pb.IMStopReceivePacket{Result: proto.Uint32(1)})
}

// malformed has a body that is cut off in a number.
func (*fleet) malformed(uint32) []byte {
	return pdu.Append(nil, pdu.SID_OTHER, pdu.CID_OTHER_USER_STATUS_UPDATE, 0, []byte{0x08})
}

// tooShort is a header that claims a length below its own, which ends the connection.
func tooShort() []byte {
	return pdu.Header{Length: pdu.HeaderLen - 1, Version: 1, Service: pdu.SID_MSG, Command: pdu.CID_MSG_DATA}.Append(nil)
}
