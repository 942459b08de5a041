/**
 * How many fields a scan reads; one more counts as malformed. So it ends within the
 * fuel of a call, however the body was made.
 */
export const MAX_FIELDS: u32 = 256;

/** The wire types of fields. */
export const enum Wire {
  VARINT = 0,
  FIXED64 = 1,
  BYTES = 2,
  FIXED32 = 5,
}

/**
 * The protobuf fields of a message, one after the other. Nothing outside the message
 * is read, nothing is allocated, and the work is bounded: MAX_FIELDS, and the
 * message's length.
 *
 *     fields.begin(ptr, len);
 *     while (fields.next()) if (fields.is(5, Wire.VARINT)) type = fields.value;
 *     if (fields.malformed) return BROADCAST_EXCEPT_SENDER;
 */
@unmanaged
export class Fields {
  /** Whether something could not be read. There are no fields behind it. */
  malformed: bool;

  // The field read last.
  number: u32;
  wire: u32;
  /** The value of a VARINT, FIXED64 or FIXED32, or what nextInteger read. */
  value: u64;
  /** The place of the BYTES: a string, a message or packed varints. */
  ptr: usize;
  len: u32;

  private at: usize; // the byte that is read next
  private end: usize; // of the message
  private left: u32; // how many fields may still come
  private item: usize; // what nextInteger reads next, up to at; 0 before a varint

  /** Begins with the message of len bytes at ptr. */
  begin(ptr: usize, len: u32): void {
    this.malformed = false;
    this.at = ptr;
    this.end = ptr + len;
    this.left = MAX_FIELDS;
  }

  /** Reads a field and says whether there was one. */
  next(): bool {
    if (this.malformed || this.at == this.end) return false;
    if (this.left-- == 0) return this.fail();
    let tag = <u32>this.varint(); // bits above the 32nd are lost
    if (tag == 0) return this.fail(); // not a varint, or a tag of 0
    this.number = tag >> 3;
    this.wire = tag & 7;
    this.item = this.at;
    switch (tag & 7) {
      case Wire.VARINT:
        this.value = this.varint();
        return !this.malformed;
      case Wire.FIXED64:
        if (!this.skip(8)) return false;
        this.value = load<u64>(this.ptr);
        return true;
      case Wire.FIXED32:
        if (!this.skip(4)) return false;
        this.value = load<u32>(this.ptr);
        return true;
      case Wire.BYTES:
        if (!this.skip(this.varint())) return false;
        this.item = this.ptr;
        return true;
    }
    return this.fail(); // 3 and 4 are groups, which no message has; 6 and 7 are undefined
  }

  /** Whether the field has that number and wire type. */
  is(number: u32, wire: Wire): bool {
    return this.number == number && this.wire == wire;
  }

  /**
   * Reads an integer of the field into value and says whether there was one. A varint
   * has one, BYTES as many as are packed there, and others none.
   */
  nextInteger(): bool {
    if (this.malformed || this.item == this.at) return false;
    if (this.wire != Wire.VARINT && this.wire != Wire.BYTES) return false;
    let at = this.at, end = this.end;
    this.at = this.item;
    this.end = at;
    this.value = this.varint();
    this.item = this.at;
    this.at = at;
    this.end = end;
    return !this.malformed;
  }

  /** Whether the BYTES are the text, which is ASCII. */
  equals(text: string): bool {
    return same(this.ptr, this.len, text);
  }

  // One to ten bytes, least significant first; bits above the 64th are lost. Returns
  // 0 if they are not a varint.
  private varint(): u64 {
    let value: u64 = 0, at = this.at, end = min(this.end, at + 10);
    for (let shift: u64 = 0; at < end; shift += 7) {
      let c = <u64>load<u8>(at++);
      value |= (c & 0x7f) << shift;
      if (c < 0x80) {
        this.at = at;
        return value;
      }
    }
    this.fail();
    return 0;
  }

  private skip(length: u64): bool {
    if (this.malformed || length > <u64>(this.end - this.at)) return this.fail();
    this.ptr = this.at;
    this.len = <u32>length;
    this.at += <usize>length;
    return true;
  }

  private fail(): bool {
    this.malformed = true;
    return false;
  }
}

/** A scan, for the body. For a message inside of it make another one like this. */
export const fields = changetype<Fields>(memory.data(offsetof<Fields>()));

/** Whether the len bytes at ptr are the text, which is ASCII. */
export function same(ptr: usize, len: u32, text: string): bool {
  if (len != text.length) return false;
  for (let i: u32 = 0; i < len; i++) {
    if (load<u8>(ptr + i) != load<u16>(changetype<usize>(text) + (i << 1))) return false;
  }
  return true;
}
