package table

import (
	"slices"

	"google.golang.org/protobuf/reflect/protoreflect"

	"switchyard/pdu"
	messages "switchyard/pdu/message"
	"switchyard/policy"
)

// SplitFields returns the field of each known command that holds the user whom a PDU is
// about: the first one that a rule may name.
func SplitFields() *policy.UserFields {
	all := new(policy.UserFields)
	for _, c := range pdu.Commands {
		if fields := userFields[c.Message]; len(fields) > 0 && int(c.ID) < len(all) {
			all[c.ID] = uint8(fields[0].number)
		}
	}
	return all
}

// A field is a field of a message that holds user ids.
type field struct {
	number int
	name   string
}

// usersIn returns the fields of a message that a rule may name. Which fields of an own command's message
// hold users is not known: they are all fields that can.
func usersIn(message string) (fields []field) {
	if all, ok := userFields[message]; ok || messages.OfProtocol(message) != nil {
		return all
	}
	t := messages.ByName(message)
	if t == nil {
		return nil
	}
	kinds := []protoreflect.Kind{protoreflect.Uint32Kind, protoreflect.Uint64Kind, protoreflect.Int32Kind, protoreflect.Int64Kind}
	for i := range t.Descriptor().Fields().Len() {
		if f := t.Descriptor().Fields().Get(i); slices.Contains(kinds, f.Kind()) && f.Number() < 32 {
			fields = append(fields, field{int(f.Number()), string(f.Name())})
		}
	}
	return fields
}

// userFields has, by message, the top-level fields that a rule may name: varint fields,
// single or repeated, that hold a user id. A session_id is a user id if the session is a
// single chat.
var userFields = map[string][]field{
	"IM.Login.IMKickUser":                   {{1, "user_id"}},
	"IM.Login.IMDeviceTokenReq":             {{1, "user_id"}},
	"IM.Login.IMDeviceTokenRsp":             {{1, "user_id"}},
	"IM.Login.IMKickPCClientReq":            {{1, "user_id"}},
	"IM.Login.IMKickPCClientRsp":            {{1, "user_id"}},
	"IM.Login.IMPushShieldReq":              {{1, "user_id"}},
	"IM.Login.IMPushShieldRsp":              {{1, "user_id"}},
	"IM.Login.IMQueryPushShieldReq":         {{1, "user_id"}},
	"IM.Login.IMQueryPushShieldRsp":         {{1, "user_id"}},
	"IM.Buddy.IMRecentContactSessionReq":    {{1, "user_id"}},
	"IM.Buddy.IMRecentContactSessionRsp":    {{1, "user_id"}},
	"IM.Buddy.IMUsersInfoReq":               {{1, "user_id"}, {2, "user_id_list"}},
	"IM.Buddy.IMUsersInfoRsp":               {{1, "user_id"}},
	"IM.Buddy.IMRemoveSessionReq":           {{1, "user_id"}, {3, "session_id"}},
	"IM.Buddy.IMRemoveSessionRsp":           {{1, "user_id"}, {4, "session_id"}},
	"IM.Buddy.IMAllUserReq":                 {{1, "user_id"}},
	"IM.Buddy.IMAllUserRsp":                 {{1, "user_id"}},
	"IM.Buddy.IMUsersStatReq":               {{1, "user_id"}, {2, "user_id_list"}},
	"IM.Buddy.IMUsersStatRsp":               {{1, "user_id"}},
	"IM.Buddy.IMChangeAvatarReq":            {{1, "user_id"}},
	"IM.Buddy.IMChangeAvatarRsp":            {{1, "user_id"}},
	"IM.Buddy.IMPCLoginStatusNotify":        {{1, "user_id"}},
	"IM.Buddy.IMRemoveSessionNotify":        {{1, "user_id"}, {3, "session_id"}},
	"IM.Buddy.IMDepartmentReq":              {{1, "user_id"}},
	"IM.Buddy.IMDepartmentRsp":              {{1, "user_id"}},
	"IM.Buddy.IMAvatarChangedNotify":        {{1, "changed_user_id"}},
	"IM.Buddy.IMChangeSignInfoReq":          {{1, "user_id"}},
	"IM.Buddy.IMChangeSignInfoRsp":          {{1, "user_id"}},
	"IM.Buddy.IMSignInfoChangedNotify":      {{1, "changed_user_id"}},
	"IM.Message.IMMsgData":                  {{1, "from_user_id"}, {2, "to_session_id"}},
	"IM.Message.IMMsgDataAck":               {{1, "user_id"}, {2, "session_id"}},
	"IM.Message.IMMsgDataReadAck":           {{1, "user_id"}, {2, "session_id"}},
	"IM.Message.IMMsgDataReadNotify":        {{1, "user_id"}, {2, "session_id"}},
	"IM.Message.IMUnreadMsgCntReq":          {{1, "user_id"}},
	"IM.Message.IMUnreadMsgCntRsp":          {{1, "user_id"}},
	"IM.Message.IMGetMsgListReq":            {{1, "user_id"}, {3, "session_id"}},
	"IM.Message.IMGetMsgListRsp":            {{1, "user_id"}, {3, "session_id"}},
	"IM.Message.IMGetLatestMsgIdReq":        {{1, "user_id"}, {3, "session_id"}},
	"IM.Message.IMGetLatestMsgIdRsp":        {{1, "user_id"}, {3, "session_id"}},
	"IM.Message.IMGetMsgByIdReq":            {{1, "user_id"}, {3, "session_id"}},
	"IM.Message.IMGetMsgByIdRsp":            {{1, "user_id"}, {3, "session_id"}},
	"IM.Group.IMNormalGroupListReq":         {{1, "user_id"}},
	"IM.Group.IMNormalGroupListRsp":         {{1, "user_id"}},
	"IM.Group.IMGroupInfoListReq":           {{1, "user_id"}},
	"IM.Group.IMGroupInfoListRsp":           {{1, "user_id"}},
	"IM.Group.IMGroupCreateReq":             {{1, "user_id"}, {5, "member_id_list"}},
	"IM.Group.IMGroupCreateRsp":             {{1, "user_id"}, {5, "user_id_list"}},
	"IM.Group.IMGroupChangeMemberReq":       {{1, "user_id"}, {4, "member_id_list"}},
	"IM.Group.IMGroupChangeMemberRsp":       {{1, "user_id"}, {5, "cur_user_id_list"}, {6, "chg_user_id_list"}},
	"IM.Group.IMGroupShieldReq":             {{1, "user_id"}},
	"IM.Group.IMGroupShieldRsp":             {{1, "user_id"}},
	"IM.Group.IMGroupChangeMemberNotify":    {{1, "user_id"}, {4, "cur_user_id_list"}, {5, "chg_user_id_list"}},
	"IM.File.IMFileLoginReq":                {{1, "user_id"}},
	"IM.File.IMFileState":                   {{3, "user_id"}},
	"IM.File.IMFilePullDataReq":             {{2, "user_id"}},
	"IM.File.IMFilePullDataRsp":             {{3, "user_id"}},
	"IM.File.IMFileReq":                     {{1, "from_user_id"}, {2, "to_user_id"}},
	"IM.File.IMFileRsp":                     {{2, "from_user_id"}, {3, "to_user_id"}},
	"IM.File.IMFileNotify":                  {{1, "from_user_id"}, {2, "to_user_id"}},
	"IM.File.IMFileHasOfflineReq":           {{1, "user_id"}},
	"IM.File.IMFileHasOfflineRsp":           {{1, "user_id"}},
	"IM.File.IMFileAddOfflineReq":           {{1, "from_user_id"}, {2, "to_user_id"}},
	"IM.File.IMFileDelOfflineReq":           {{1, "from_user_id"}, {2, "to_user_id"}},
	"IM.SwitchService.IMP2PCmdMsg":          {{1, "from_user_id"}, {2, "to_user_id"}},
	"IM.Server.IMGetDeviceTokenReq":         {{1, "user_id"}},
	"IM.Server.IMUserStatusUpdate":          {{2, "user_id"}},
	"IM.Server.IMUserCntUpdate":             {{2, "user_id"}},
	"IM.Server.IMServerKickUser":            {{1, "user_id"}},
	"IM.Server.IMServerPCLoginStatusNotify": {{1, "user_id"}},
	"IM.Server.IMGroupGetShieldReq":         {{2, "user_id"}},
	"IM.Server.IMFileTransferReq":           {{1, "from_user_id"}, {2, "to_user_id"}},
	"IM.Server.IMFileTransferRsp":           {{2, "from_user_id"}, {3, "to_user_id"}},
}
