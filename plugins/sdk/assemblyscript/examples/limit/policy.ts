// Drops chats of more than 4096 bytes, unless a master sends them.

import {
  Verdict, DROP, CONSUME, BROADCAST_EXCEPT_SENDER, BROADCAST_ALL, INSPECT_HEADER, LOG, Handler, handle,
  commandOf, isMaster, lengthOf,
  CID_OTHER_HEARTBEAT, CID_OTHER_ONLINE_USER_INFO, CID_OTHER_USER_STATUS_UPDATE, CID_OTHER_ROLE_SET,
  CID_BUDDY_LIST_USERS_STATUS_REQUEST, CID_MSG_DATA, CID_SWITCH_P2P_CMD, CID_MSG_READ_NOTIFY,
  CID_OTHER_SERVER_KICK_USER, CID_GROUP_CHANGE_MEMBER_NOTIFY, CID_FILE_NOTIFY,
  CID_BUDDY_LIST_REMOVE_SESSION_NOTIFY, CID_BUDDY_LIST_SIGN_INFO_CHANGED_NOTIFY,
} from "../../assembly";

export { switchyard_abi_v1 } from "../../assembly";

const LIMIT: u32 = 4096; // in bytes, header included

export function classify(service: u32, command: u32): Verdict {
  return command == CID_MSG_DATA ? table(command) | INSPECT_HEADER : table(command);
}

export function inspect(headerHi: u64, headerLo: u64, session: u64, attributes: u64): Verdict {
  let command = commandOf(headerLo);
  if (command == CID_MSG_DATA && lengthOf(headerHi) > LIMIT && !isMaster(attributes)) return DROP | LOG;
  return table(command);
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
