// Sends single chats and small changes of groups only to the peers that hold the users
// concerned.

import {
  Verdict, DROP, CONSUME, BROADCAST_EXCEPT_SENDER, BROADCAST_ALL, INSPECT_BODY, LOG, NOT_SENDER, ELSE_BROADCAST,
  Handler, handle, toFields, toUser, commandOf, fields, Wire,
  CID_OTHER_HEARTBEAT, CID_OTHER_ONLINE_USER_INFO, CID_OTHER_USER_STATUS_UPDATE, CID_OTHER_ROLE_SET,
  CID_BUDDY_LIST_USERS_STATUS_REQUEST, CID_MSG_DATA, CID_SWITCH_P2P_CMD, CID_MSG_READ_NOTIFY,
  CID_OTHER_SERVER_KICK_USER, CID_GROUP_CHANGE_MEMBER_NOTIFY, CID_FILE_NOTIFY,
  CID_BUDDY_LIST_REMOVE_SESSION_NOTIFY, CID_BUDDY_LIST_SIGN_INFO_CHANGED_NOTIFY,
} from "../../assembly";

export { switchyard_abi_v1, buffer } from "../../assembly";

// Fields of IMMsgData and of IMGroupChangeMemberNotify.
const FROM_USER_ID: u32 = 1;
const TO_SESSION_ID: u32 = 2;
const MSG_TYPE: u32 = 5;
const ATTACH_DATA: u32 = 20;
const CHG_USER_ID_LIST: u32 = 5;

export function classify(service: u32, command: u32): Verdict {
  switch (command) {
    case CID_MSG_DATA:
    case CID_GROUP_CHANGE_MEMBER_NOTIFY:
      return table(command) | INSPECT_BODY;
  }
  return table(command);
}

export function inspect_body(ptr: usize, len: u32, headerHi: u64, headerLo: u64, session: u64, attributes: u64): Verdict {
  fields.begin(ptr, len);
  switch (commandOf(headerLo)) {
    case CID_MSG_DATA:
      return chat();
    case CID_GROUP_CHANGE_MEMBER_NOTIFY:
      return groupChange();
  }
  return table(commandOf(headerLo));
}

// A chat of type 1 or 2 has one receiver, unless it is marked as a broadcast.
function chat(): Verdict {
  let type: u32 = 0;
  let marked = false;
  while (fields.next()) {
    if (fields.is(MSG_TYPE, Wire.VARINT)) type = <u32>fields.value;
    if (fields.is(ATTACH_DATA, Wire.BYTES)) marked = fields.equals("broadcast");
  }
  if (fields.malformed || marked || (type != 1 && type != 2)) return BROADCAST_EXCEPT_SENDER;
  return toFields(1 << FROM_USER_ID | 1 << TO_SESSION_ID) | NOT_SENDER | ELSE_BROADCAST;
}

function groupChange(): Verdict {
  let users = 0;
  let user: u32 = 0;
  while (fields.next()) {
    if (fields.number != CHG_USER_ID_LIST) continue;
    while (fields.nextInteger()) {
      user = <u32>fields.value;
      if (++users > 3) return BROADCAST_EXCEPT_SENDER; // whatever follows
    }
  }
  if (fields.malformed) return BROADCAST_EXCEPT_SENDER;
  if (users == 0) return DROP;
  if (users == 1) return toUser(user) | NOT_SENDER | ELSE_BROADCAST;
  return toFields(1 << CHG_USER_ID_LIST) | NOT_SENDER | ELSE_BROADCAST;
}

function table(command: u32): Verdict {
  switch (command) {
    case CID_OTHER_HEARTBEAT:
      return CONSUME;
    case CID_OTHER_ONLINE_USER_INFO:
      return handle(Handler.ONLINE_USER_INFO);
    case CID_OTHER_USER_STATUS_UPDATE:
      return handle(Handler.USER_STATUS_UPDATE);
    case CID_OTHER_ROLE_SET:
      return handle(Handler.ROLE_SET);
    case CID_BUDDY_LIST_USERS_STATUS_REQUEST:
      return handle(Handler.USERS_STATUS_REQUEST);
    case CID_MSG_DATA:
    case CID_SWITCH_P2P_CMD:
    case CID_MSG_READ_NOTIFY:
    case CID_OTHER_SERVER_KICK_USER:
    case CID_GROUP_CHANGE_MEMBER_NOTIFY:
    case CID_FILE_NOTIFY:
    case CID_BUDDY_LIST_REMOVE_SESSION_NOTIFY:
      return BROADCAST_EXCEPT_SENDER;
    case CID_BUDDY_LIST_SIGN_INFO_CHANGED_NOTIFY:
      return BROADCAST_ALL;
  }
  return DROP | LOG;
}
