// Routes as TeamTalk does, but a single chat goes only to the servers that hold one
// of its two users.

import {
  Verdict, DROP, CONSUME, BROADCAST_EXCEPT_SENDER, BROADCAST_ALL, INSPECT_BODY, LOG, NOT_SENDER, ELSE_BROADCAST,
  Handler, handle, toFields, fields, Wire,
  CID_MSG_DATA, CID_SWITCH_P2P_CMD, CID_MSG_READ_NOTIFY, CID_OTHER_SERVER_KICK_USER, CID_GROUP_CHANGE_MEMBER_NOTIFY,
  CID_FILE_NOTIFY, CID_BUDDY_LIST_REMOVE_SESSION_NOTIFY, CID_BUDDY_LIST_SIGN_INFO_CHANGED_NOTIFY,
  CID_OTHER_HEARTBEAT, CID_OTHER_ONLINE_USER_INFO, CID_OTHER_USER_STATUS_UPDATE, CID_OTHER_ROLE_SET,
  CID_BUDDY_LIST_USERS_STATUS_REQUEST,
} from "./sdk";

export { switchyard_abi_v1, buffer } from "./sdk";

/** Decides by the ids alone. It is asked once for each pair of them. */
export function classify(service: u32, command: u32): Verdict {
  switch (command) {
    case CID_MSG_DATA:
      return BROADCAST_EXCEPT_SENDER | INSPECT_BODY; // broadcast if the inspection fails
    case CID_SWITCH_P2P_CMD:
    case CID_MSG_READ_NOTIFY:
    case CID_OTHER_SERVER_KICK_USER:
    case CID_GROUP_CHANGE_MEMBER_NOTIFY:
    case CID_FILE_NOTIFY:
    case CID_BUDDY_LIST_REMOVE_SESSION_NOTIFY:
      return BROADCAST_EXCEPT_SENDER;
    case CID_BUDDY_LIST_SIGN_INFO_CHANGED_NOTIFY:
      return BROADCAST_ALL;
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
  }
  return DROP | LOG;
}

// The fields of a chat that count here, and the types of a single one.
const FROM_USER_ID = 1;
const TO_SESSION_ID = 2; // the receiver
const MSG_TYPE = 5;
const SINGLE_TEXT: u64 = 1;
const SINGLE_AUDIO: u64 = 2;

/** Decides about one PDU of those that classify wants inspected: a chat. */
export function inspect_body(ptr: usize, len: u32, headerHi: u64, headerLo: u64, session: u64, attributes: u64): Verdict {
  let type: u64 = 0;
  fields.begin(ptr, len);
  while (fields.next()) {
    if (fields.is(MSG_TYPE, Wire.VARINT)) type = fields.value;
  }
  if (fields.malformed || (type != SINGLE_TEXT && type != SINGLE_AUDIO)) return BROADCAST_EXCEPT_SENDER;
  return toFields(1 << FROM_USER_ID | 1 << TO_SESSION_ID) | NOT_SENDER | ELSE_BROADCAST;
}
