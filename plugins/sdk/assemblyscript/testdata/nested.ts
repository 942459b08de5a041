// Answers with what it finds: unicast to the user that is the sum of all integers in
// field 3 of the messages in field 2; close if a body or such a message is malformed.

import { BROADCAST_EXCEPT_SENDER, CLOSE, Fields, INSPECT_BODY, Verdict, Wire, fields, toUser } from "../assembly";

export { switchyard_abi_v1, buffer } from "../assembly";

const inner = changetype<Fields>(memory.data(offsetof<Fields>()));

export function classify(service: u32, command: u32): Verdict {
  return BROADCAST_EXCEPT_SENDER | INSPECT_BODY;
}

export function inspect_body(ptr: usize, len: u32, headerHi: u64, headerLo: u64, session: u64, attributes: u64): Verdict {
  let sum: u64 = 0;
  fields.begin(ptr, len);
  while (fields.next()) {
    if (!fields.is(2, Wire.BYTES)) continue;
    inner.begin(fields.ptr, fields.len);
    while (inner.next()) {
      if (inner.number != 3) continue;
      if (inner.wire != Wire.VARINT && inner.wire != Wire.BYTES) sum += inner.value;
      while (inner.nextInteger()) sum += inner.value;
    }
    if (inner.malformed) return CLOSE;
  }
  return fields.malformed ? CLOSE : toUser(<u32>sum);
}
