// Admins kick, and the archive gets a copy; a receipt goes to the archive alone.

import {
  BROADCAST_EXCEPT_SENDER, CID_MSG_READ_NOTIFY, CID_OTHER_SERVER_KICK_USER, DROP, INSPECT_HEADER, LOG, NOT_SENDER, Verdict,
  alsoGroup, groups, isIn, toGroup,
} from "../assembly";

export { switchyard_abi_v1 } from "../assembly";

// The numbers of the groups: as many as a policy can name.
const ADMIN: u32 = 0, ARCHIVE: u32 = 1, LAST: u32 = 31;

export function switchyard_groups(): u64 {
  return groups("admin\narchive\ng02\ng03\ng04\ng05\ng06\ng07\ng08\ng09\ng10\ng11\ng12\ng13\ng14\ng15\ng16\ng17\ng18\ng19\ng20\ng21\ng22\ng23\ng24\ng25\ng26\ng27\ng28\ng29\ng30\ng31");
}

export function classify(service: u32, command: u32): Verdict {
  switch (command) {
    case CID_OTHER_SERVER_KICK_USER:
      return DROP | INSPECT_HEADER;
    case CID_MSG_READ_NOTIFY:
      return toGroup(ARCHIVE) | NOT_SENDER | alsoGroup(LAST);
  }
  return DROP | LOG;
}

export function inspect(headerHi: u64, headerLo: u64, session: u64, attributes: u64): Verdict {
  if (isIn(attributes, LAST)) return BROADCAST_EXCEPT_SENDER;
  return isIn(attributes, ADMIN) ? BROADCAST_EXCEPT_SENDER | alsoGroup(ARCHIVE) : DROP;
}
