-- Dissects TeamTalk's PDUs in Wireshark and tshark: in captures made by
-- "switchyard capture", and on TCP connections to a route server.
--
-- Put it into Wireshark's folder of personal Lua plugins (Help, About, Folders), or
-- name it: wireshark -X lua_script:teamtalk.lua
--
-- Bodies are shown by field number, or by field name if the preferences of ProtoBuf name
-- the folder of the messages' .proto files.

-- What follows up to the end mark is generated from the Go packages pdu and policy.
-- generated: begin
local services = {
  [0x0001] = "SID_LOGIN",
  [0x0002] = "SID_BUDDY_LIST",
  [0x0003] = "SID_MSG",
  [0x0004] = "SID_GROUP",
  [0x0005] = "SID_FILE",
  [0x0006] = "SID_SWITCH_SERVICE",
  [0x0007] = "SID_OTHER",
  [0x0008] = "SID_INTERNAL",
}
local commands = {
  [0x0101] = "CID_LOGIN_REQ_MSGSERVER",
  [0x0102] = "CID_LOGIN_RES_MSGSERVER",
  [0x0103] = "CID_LOGIN_REQ_USERLOGIN",
  [0x0104] = "CID_LOGIN_RES_USERLOGIN",
  [0x0105] = "CID_LOGIN_REQ_LOGINOUT",
  [0x0106] = "CID_LOGIN_RES_LOGINOUT",
  [0x0107] = "CID_LOGIN_KICK_USER",
  [0x0108] = "CID_LOGIN_REQ_DEVICETOKEN",
  [0x0109] = "CID_LOGIN_RES_DEVICETOKEN",
  [0x010a] = "CID_LOGIN_REQ_KICKPCCLIENT",
  [0x010b] = "CID_LOGIN_RES_KICKPCCLIENT",
  [0x010c] = "CID_LOGIN_REQ_PUSH_SHIELD",
  [0x010d] = "CID_LOGIN_RES_PUSH_SHIELD",
  [0x010e] = "CID_LOGIN_REQ_QUERY_PUSH_SHIELD",
  [0x010f] = "CID_LOGIN_RES_QUERY_PUSH_SHIELD",
  [0x0201] = "CID_BUDDY_LIST_RECENT_CONTACT_SESSION_REQUEST",
  [0x0202] = "CID_BUDDY_LIST_RECENT_CONTACT_SESSION_RESPONSE",
  [0x0203] = "CID_BUDDY_LIST_STATUS_NOTIFY",
  [0x0204] = "CID_BUDDY_LIST_USER_INFO_REQUEST",
  [0x0205] = "CID_BUDDY_LIST_USER_INFO_RESPONSE",
  [0x0206] = "CID_BUDDY_LIST_REMOVE_SESSION_REQ",
  [0x0207] = "CID_BUDDY_LIST_REMOVE_SESSION_RES",
  [0x0208] = "CID_BUDDY_LIST_ALL_USER_REQUEST",
  [0x0209] = "CID_BUDDY_LIST_ALL_USER_RESPONSE",
  [0x020a] = "CID_BUDDY_LIST_USERS_STATUS_REQUEST",
  [0x020b] = "CID_BUDDY_LIST_USERS_STATUS_RESPONSE",
  [0x020c] = "CID_BUDDY_LIST_CHANGE_AVATAR_REQUEST",
  [0x020d] = "CID_BUDDY_LIST_CHANGE_AVATAR_RESPONSE",
  [0x020e] = "CID_BUDDY_LIST_PC_LOGIN_STATUS_NOTIFY",
  [0x020f] = "CID_BUDDY_LIST_REMOVE_SESSION_NOTIFY",
  [0x0210] = "CID_BUDDY_LIST_DEPARTMENT_REQUEST",
  [0x0211] = "CID_BUDDY_LIST_DEPARTMENT_RESPONSE",
  [0x0212] = "CID_BUDDY_LIST_AVATAR_CHANGED_NOTIFY",
  [0x0213] = "CID_BUDDY_LIST_CHANGE_SIGN_INFO_REQUEST",
  [0x0214] = "CID_BUDDY_LIST_CHANGE_SIGN_INFO_RESPONSE",
  [0x0215] = "CID_BUDDY_LIST_SIGN_INFO_CHANGED_NOTIFY",
  [0x0301] = "CID_MSG_DATA",
  [0x0302] = "CID_MSG_DATA_ACK",
  [0x0303] = "CID_MSG_READ_ACK",
  [0x0304] = "CID_MSG_READ_NOTIFY",
  [0x0305] = "CID_MSG_TIME_REQUEST",
  [0x0306] = "CID_MSG_TIME_RESPONSE",
  [0x0307] = "CID_MSG_UNREAD_CNT_REQUEST",
  [0x0308] = "CID_MSG_UNREAD_CNT_RESPONSE",
  [0x0309] = "CID_MSG_LIST_REQUEST",
  [0x030a] = "CID_MSG_LIST_RESPONSE",
  [0x030b] = "CID_MSG_GET_LATEST_MSG_ID_REQ",
  [0x030c] = "CID_MSG_GET_LATEST_MSG_ID_RSP",
  [0x030d] = "CID_MSG_GET_BY_MSG_ID_REQ",
  [0x030e] = "CID_MSG_GET_BY_MSG_ID_RES",
  [0x0401] = "CID_GROUP_NORMAL_LIST_REQUEST",
  [0x0402] = "CID_GROUP_NORMAL_LIST_RESPONSE",
  [0x0403] = "CID_GROUP_INFO_REQUEST",
  [0x0404] = "CID_GROUP_INFO_RESPONSE",
  [0x0405] = "CID_GROUP_CREATE_REQUEST",
  [0x0406] = "CID_GROUP_CREATE_RESPONSE",
  [0x0407] = "CID_GROUP_CHANGE_MEMBER_REQUEST",
  [0x0408] = "CID_GROUP_CHANGE_MEMBER_RESPONSE",
  [0x0409] = "CID_GROUP_SHIELD_GROUP_REQUEST",
  [0x040a] = "CID_GROUP_SHIELD_GROUP_RESPONSE",
  [0x040b] = "CID_GROUP_CHANGE_MEMBER_NOTIFY",
  [0x0501] = "CID_FILE_LOGIN_REQ",
  [0x0502] = "CID_FILE_LOGIN_RES",
  [0x0503] = "CID_FILE_STATE",
  [0x0504] = "CID_FILE_PULL_DATA_REQ",
  [0x0505] = "CID_FILE_PULL_DATA_RSP",
  [0x0506] = "CID_FILE_REQUEST",
  [0x0507] = "CID_FILE_RESPONSE",
  [0x0508] = "CID_FILE_NOTIFY",
  [0x0509] = "CID_FILE_HAS_OFFLINE_REQ",
  [0x050a] = "CID_FILE_HAS_OFFLINE_RES",
  [0x050b] = "CID_FILE_ADD_OFFLINE_REQ",
  [0x050c] = "CID_FILE_DEL_OFFLINE_REQ",
  [0x0601] = "CID_SWITCH_P2P_CMD",
  [0x0701] = "CID_OTHER_HEARTBEAT",
  [0x0702] = "CID_OTHER_STOP_RECV_PACKET",
  [0x0703] = "CID_OTHER_VALIDATE_REQ",
  [0x0704] = "CID_OTHER_VALIDATE_RSP",
  [0x0705] = "CID_OTHER_GET_DEVICE_TOKEN_REQ",
  [0x0706] = "CID_OTHER_GET_DEVICE_TOKEN_RSP",
  [0x0707] = "CID_OTHER_ROLE_SET",
  [0x0708] = "CID_OTHER_ONLINE_USER_INFO",
  [0x0709] = "CID_OTHER_MSG_SERV_INFO",
  [0x070a] = "CID_OTHER_USER_STATUS_UPDATE",
  [0x070b] = "CID_OTHER_USER_CNT_UPDATE",
  [0x070d] = "CID_OTHER_SERVER_KICK_USER",
  [0x070e] = "CID_OTHER_LOGIN_STATUS_NOTIFY",
  [0x070f] = "CID_OTHER_PUSH_TO_USER_REQ",
  [0x0710] = "CID_OTHER_PUSH_TO_USER_RSP",
  [0x0711] = "CID_OTHER_GET_SHIELD_REQ",
  [0x0712] = "CID_OTHER_GET_SHIELD_RSP",
  [0x0731] = "CID_OTHER_FILE_TRANSFER_REQ",
  [0x0732] = "CID_OTHER_FILE_TRANSFER_RSP",
  [0x0733] = "CID_OTHER_FILE_SERVER_IP_REQ",
  [0x0734] = "CID_OTHER_FILE_SERVER_IP_RSP",
}
local messages = {
  [0x0101] = "IM.Login.IMMsgServReq",
  [0x0102] = "IM.Login.IMMsgServRsp",
  [0x0103] = "IM.Login.IMLoginReq",
  [0x0104] = "IM.Login.IMLoginRes",
  [0x0105] = "IM.Login.IMLogoutReq",
  [0x0106] = "IM.Login.IMLogoutRsp",
  [0x0107] = "IM.Login.IMKickUser",
  [0x0108] = "IM.Login.IMDeviceTokenReq",
  [0x0109] = "IM.Login.IMDeviceTokenRsp",
  [0x010a] = "IM.Login.IMKickPCClientReq",
  [0x010b] = "IM.Login.IMKickPCClientRsp",
  [0x010c] = "IM.Login.IMPushShieldReq",
  [0x010d] = "IM.Login.IMPushShieldRsp",
  [0x010e] = "IM.Login.IMQueryPushShieldReq",
  [0x010f] = "IM.Login.IMQueryPushShieldRsp",
  [0x0201] = "IM.Buddy.IMRecentContactSessionReq",
  [0x0202] = "IM.Buddy.IMRecentContactSessionRsp",
  [0x0203] = "IM.Buddy.IMUserStatNotify",
  [0x0204] = "IM.Buddy.IMUsersInfoReq",
  [0x0205] = "IM.Buddy.IMUsersInfoRsp",
  [0x0206] = "IM.Buddy.IMRemoveSessionReq",
  [0x0207] = "IM.Buddy.IMRemoveSessionRsp",
  [0x0208] = "IM.Buddy.IMAllUserReq",
  [0x0209] = "IM.Buddy.IMAllUserRsp",
  [0x020a] = "IM.Buddy.IMUsersStatReq",
  [0x020b] = "IM.Buddy.IMUsersStatRsp",
  [0x020c] = "IM.Buddy.IMChangeAvatarReq",
  [0x020d] = "IM.Buddy.IMChangeAvatarRsp",
  [0x020e] = "IM.Buddy.IMPCLoginStatusNotify",
  [0x020f] = "IM.Buddy.IMRemoveSessionNotify",
  [0x0210] = "IM.Buddy.IMDepartmentReq",
  [0x0211] = "IM.Buddy.IMDepartmentRsp",
  [0x0212] = "IM.Buddy.IMAvatarChangedNotify",
  [0x0213] = "IM.Buddy.IMChangeSignInfoReq",
  [0x0214] = "IM.Buddy.IMChangeSignInfoRsp",
  [0x0215] = "IM.Buddy.IMSignInfoChangedNotify",
  [0x0301] = "IM.Message.IMMsgData",
  [0x0302] = "IM.Message.IMMsgDataAck",
  [0x0303] = "IM.Message.IMMsgDataReadAck",
  [0x0304] = "IM.Message.IMMsgDataReadNotify",
  [0x0305] = "IM.Message.IMClientTimeReq",
  [0x0306] = "IM.Message.IMClientTimeRsp",
  [0x0307] = "IM.Message.IMUnreadMsgCntReq",
  [0x0308] = "IM.Message.IMUnreadMsgCntRsp",
  [0x0309] = "IM.Message.IMGetMsgListReq",
  [0x030a] = "IM.Message.IMGetMsgListRsp",
  [0x030b] = "IM.Message.IMGetLatestMsgIdReq",
  [0x030c] = "IM.Message.IMGetLatestMsgIdRsp",
  [0x030d] = "IM.Message.IMGetMsgByIdReq",
  [0x030e] = "IM.Message.IMGetMsgByIdRsp",
  [0x0401] = "IM.Group.IMNormalGroupListReq",
  [0x0402] = "IM.Group.IMNormalGroupListRsp",
  [0x0403] = "IM.Group.IMGroupInfoListReq",
  [0x0404] = "IM.Group.IMGroupInfoListRsp",
  [0x0405] = "IM.Group.IMGroupCreateReq",
  [0x0406] = "IM.Group.IMGroupCreateRsp",
  [0x0407] = "IM.Group.IMGroupChangeMemberReq",
  [0x0408] = "IM.Group.IMGroupChangeMemberRsp",
  [0x0409] = "IM.Group.IMGroupShieldReq",
  [0x040a] = "IM.Group.IMGroupShieldRsp",
  [0x040b] = "IM.Group.IMGroupChangeMemberNotify",
  [0x0501] = "IM.File.IMFileLoginReq",
  [0x0502] = "IM.File.IMFileLoginRsp",
  [0x0503] = "IM.File.IMFileState",
  [0x0504] = "IM.File.IMFilePullDataReq",
  [0x0505] = "IM.File.IMFilePullDataRsp",
  [0x0506] = "IM.File.IMFileReq",
  [0x0507] = "IM.File.IMFileRsp",
  [0x0508] = "IM.File.IMFileNotify",
  [0x0509] = "IM.File.IMFileHasOfflineReq",
  [0x050a] = "IM.File.IMFileHasOfflineRsp",
  [0x050b] = "IM.File.IMFileAddOfflineReq",
  [0x050c] = "IM.File.IMFileDelOfflineReq",
  [0x0601] = "IM.SwitchService.IMP2PCmdMsg",
  [0x0701] = "IM.Other.IMHeartBeat",
  [0x0702] = "IM.Server.IMStopReceivePacket",
  [0x0703] = "IM.Server.IMValidateReq",
  [0x0704] = "IM.Server.IMValidateRsp",
  [0x0705] = "IM.Server.IMGetDeviceTokenReq",
  [0x0706] = "IM.Server.IMGetDeviceTokenRsp",
  [0x0707] = "IM.Server.IMRoleSet",
  [0x0708] = "IM.Server.IMOnlineUserInfo",
  [0x0709] = "IM.Server.IMMsgServInfo",
  [0x070a] = "IM.Server.IMUserStatusUpdate",
  [0x070b] = "IM.Server.IMUserCntUpdate",
  [0x070d] = "IM.Server.IMServerKickUser",
  [0x070e] = "IM.Server.IMServerPCLoginStatusNotify",
  [0x070f] = "IM.Server.IMPushToUserReq",
  [0x0710] = "IM.Server.IMPushToUserRsp",
  [0x0711] = "IM.Server.IMGroupGetShieldReq",
  [0x0712] = "IM.Server.IMGroupGetShieldRsp",
  [0x0731] = "IM.Server.IMFileTransferReq",
  [0x0732] = "IM.Server.IMFileTransferRsp",
  [0x0733] = "IM.Server.IMFileServerIPReq",
  [0x0734] = "IM.Server.IMFileServerIPRsp",
}
local actions = {
  [0] = "drop",
  [1] = "consume",
  [2] = "handle",
  [3] = "unicast",
  [4] = "broadcast-except-sender",
  [5] = "broadcast-all",
  [6] = "close",
}
local faults = {
  [0] = "none",
  [1] = "trap",
  [2] = "fuel",
  [3] = "recursion",
  [4] = "abi",
  [5] = "body-size",
  [6] = "instance",
  [7] = "budget",
  [8] = "effect",
}
local kinds = {
  [0] = "PDU",
  [1] = "joined",
  [2] = "left",
  [3] = "grouped",
}
-- generated: end

-- The PDU: a header of 16 bytes, big-endian, and a body.

local HEADER = 16
local MAX_LENGTH = 16 * 1024 * 1024

local teamtalk = Proto("teamtalk", "TeamTalk PDU")
local f = {
  length = ProtoField.uint32("teamtalk.length", "Length", base.DEC, nil, nil, "of the whole PDU"),
  version = ProtoField.uint16("teamtalk.version", "Version", base.DEC),
  flag = ProtoField.uint16("teamtalk.flag", "Flag", base.HEX),
  service = ProtoField.uint16("teamtalk.service", "Service", base.HEX, services),
  command = ProtoField.uint16("teamtalk.command", "Command", base.HEX, commands),
  seq = ProtoField.uint16("teamtalk.seq", "Sequence number", base.DEC),
  reserved = ProtoField.uint16("teamtalk.reserved", "Reserved", base.DEC),
  body = ProtoField.bytes("teamtalk.body", "Body"),
}
teamtalk.fields = f
local cut = ProtoExpert.new("teamtalk.cut", "The body was not captured whole", expert.group.UNDECODED, expert.severity.NOTE)
local bad_length = ProtoExpert.new("teamtalk.bad_length", "No PDU has this length", expert.group.MALFORMED, expert.severity.ERROR)
teamtalk.experts = { cut, bad_length }
teamtalk.prefs.ports = Pref.range("TCP ports", "8200", "Ports at which route servers listen", 65535)
teamtalk.prefs.protobuf = Pref.bool("Show bodies as Protobuf", true, "Hand bodies to the dissector of Protobuf")

local function name_of(names, id)
  return names[id] or string.format("0x%04x", id)
end

-- varint returns the number at an offset, and the offset behind it; nil if it is cut off.
local function varint(tvb, at)
  local n, unit = 0.0, 1.0 -- no integers, which overflow
  for i = at, math.min(at + 10, tvb:len()) - 1 do
    local byte = tvb(i, 1):uint()
    n, unit = n + byte % 128 * unit, unit * 128
    if byte < 128 then return n, i + 1 end
  end
end

-- is_protobuf reports whether a body is a sequence of whole fields. Some other bodies make
-- the dissector of Protobuf fail in a way that Lua cannot catch: tshark 4.0 crashes.
local function is_protobuf(tvb)
  local fixed = { [1] = 8, [5] = 4 } -- lengths by wire type
  local at, n = 0, nil
  while at < tvb:len() do
    n, at = varint(tvb, at)
    local wire = n and n % 8
    if wire == 0 or wire == 2 then n, at = varint(tvb, at) end
    if not n or wire > 5 then return false end
    at = at + (wire == 2 and n or fixed[wire] or 0)
  end
  return at == tvb:len()
end

-- show_body calls the dissector of Protobuf for the body, with the message's name.
local function show_body(tvb, pinfo, tree, command)
  tree:add(f.body, tvb)
  local ok, protobuf = pcall(Dissector.get, "protobuf")
  if not teamtalk.prefs.protobuf or not messages[command] or not ok or protobuf == nil or not is_protobuf(tvb:tvb()) then return end
  local info, protocol = tostring(pinfo.cols.info), tostring(pinfo.cols.protocol)
  pinfo.private["pb_msg_type"] = "message," .. messages[command]
  pcall(Dissector.call, protobuf, tvb:tvb(), pinfo, tree)
  pinfo.cols.info, pinfo.cols.protocol = info, protocol
end

-- show adds one PDU to the tree and returns its summary. tvb holds its captured bytes.
local function show(tvb, pinfo, tree)
  local length, command = tvb(0, 4):uint(), tvb(10, 2):uint()
  local name = name_of(commands, command)
  local sub = tree:add(teamtalk, tvb(), "TeamTalk PDU, " .. name .. ", " .. length .. " bytes")
  local item = sub:add(f.length, tvb(0, 4))
  sub:add(f.version, tvb(4, 2))
  sub:add(f.flag, tvb(6, 2))
  sub:add(f.service, tvb(8, 2))
  sub:add(f.command, tvb(10, 2))
  sub:add(f.seq, tvb(12, 2))
  sub:add(f.reserved, tvb(14, 2))
  if length < HEADER or length > MAX_LENGTH then
    item:add_proto_expert_info(bad_length)
  elseif tvb:captured_len() < length then
    sub:add_proto_expert_info(cut)
    if tvb:captured_len() > HEADER then sub:add(f.body, tvb(HEADER)) end
  elseif length > HEADER then
    show_body(tvb(HEADER, length - HEADER), pinfo, sub, command)
  end
  return name .. " seq " .. tvb(12, 2):uint() .. " len " .. length
end

local function pdu_length(tvb, _, offset)
  local length = tvb(offset, 4):uint()
  if length < HEADER or length > MAX_LENGTH then return tvb:len() - offset end
  return length
end

local summaries -- of the PDUs of the segment that is being dissected

local function dissect_one(tvb, pinfo, tree)
  if tvb:captured_len() < HEADER then return tvb:captured_len() end
  summaries[#summaries + 1] = show(tvb, pinfo, tree)
  return tvb:captured_len()
end

-- TCP: PDUs follow each other without separators.
function teamtalk.dissector(tvb, pinfo, tree)
  pinfo.cols.protocol = "TeamTalk"
  summaries = {}
  dissect_tcp_pdus(tvb, tree, HEADER, pdu_length, dissect_one)
  if #summaries > 0 then
    pinfo.cols.protocol = "TeamTalk"
    pinfo.cols.info = table.concat(summaries, ", ")
  end
  return tvb:len()
end

local tcp_ports = DissectorTable.get("tcp.port")
local registered = teamtalk.prefs.ports
tcp_ports:add(registered, teamtalk)

function teamtalk.prefs_changed()
  tcp_ports:remove(registered, teamtalk)
  registered = teamtalk.prefs.ports
  tcp_ports:add(registered, teamtalk)
end

-- The record of a capture: what Switchyard did with the PDU that follows it.

local switchyard = Proto("switchyard", "Switchyard record")
local r = {
  version = ProtoField.uint8("switchyard.version", "Version of the record", base.DEC),
  kind = ProtoField.uint8("switchyard.kind", "Kind", base.DEC, kinds),
  known = ProtoField.bool("switchyard.known", "Known before the capture began", 8, nil, 0x01),
  redacted = ProtoField.bool("switchyard.redacted", "Values were redacted", 8, nil, 0x02),
  master = ProtoField.bool("switchyard.master", "The peer is master", 8, nil, 0x04),
  muted = ProtoField.bool("switchyard.muted", "The peer gets no broadcasts", 8, nil, 0x08),
  groups = ProtoField.string("switchyard.groups", "Groups"),
  fault = ProtoField.uint8("switchyard.fault", "Fault of the policy", base.DEC, faults),
  session = ProtoField.uint64("switchyard.session", "Session", base.DEC),
  verdict = ProtoField.uint64("switchyard.verdict", "Verdict", base.HEX),
  action = ProtoField.uint8("switchyard.action", "Action", base.DEC, actions),
  argument = ProtoField.uint32("switchyard.argument", "Argument", base.DEC),
  policy = ProtoField.bytes("switchyard.policy", "Policy, its SHA-256 begins with"),
}
switchyard.fields = r
local RECORD = 32

function switchyard.dissector(tvb, pinfo, tree)
  if tvb:captured_len() < RECORD then return 0 end
  local kind, session = tvb(1, 1):uint(), tvb(8, 8):uint64()
  local action, fault = tvb(23, 1):uint(), tvb(3, 1):uint()
  local sub = tree:add(switchyard, tvb(0, RECORD), "Switchyard, session " .. tostring(session))
  sub:add(r.version, tvb(0, 1))
  sub:add(r.kind, tvb(1, 1))
  sub:add(r.known, tvb(2, 1))
  sub:add(r.redacted, tvb(2, 1))
  sub:add(r.master, tvb(2, 1))
  sub:add(r.session, tvb(8, 8))
  pinfo.cols.protocol = "Switchyard"
  pinfo.cols.src = "session " .. tostring(session)
  pinfo.cols.dst = "hub"
  if kind == 3 then
    sub:add(r.muted, tvb(2, 1))
    if tvb:captured_len() > RECORD then sub:add(r.groups, tvb(RECORD)) end
  end
  if kind ~= 0 then
    pinfo.cols.info = kinds[kind] or "unknown"
    return tvb:len()
  end
  sub:add(r.fault, tvb(3, 1))
  local verdict = sub:add(r.verdict, tvb(16, 8))
  verdict:add(r.action, tvb(23, 1))
  verdict:add(r.argument, tvb(16, 4))
  sub:add(r.policy, tvb(24, 8))
  if tvb:captured_len() < RECORD + HEADER then return tvb:len() end
  local summary = show(tvb(RECORD):tvb(), pinfo, tree)
  pinfo.cols.protocol = "TeamTalk"
  if bit.band(tvb(2, 1):uint(), 0x01) ~= 0 then
    pinfo.cols.info = summary .. " (known before)"
  else
    pinfo.cols.info = summary .. " > " .. (actions[action] or "unknown")
    if fault ~= 0 then pinfo.cols.info:append(", fault " .. (faults[fault] or "unknown")) end
  end
  return tvb:len()
end
