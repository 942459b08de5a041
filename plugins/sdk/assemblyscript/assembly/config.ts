import { same } from "./fields";

/** What integer returns if there is none. */
export const NONE: i64 = i64.MIN_VALUE;

/**
 * Returns the integer with that key, which is ASCII, in the configuration of len bytes
 * at ptr: a flat JSON object, read where it stands. It is NONE if there is no such key,
 * its value is not an integer of at most 18 digits, the object is not flat, or the text is
 * no object. If the key occurs more than once, the last decides.
 */
export function integer(ptr: usize, len: u32, key: string): i64 {
  at = ptr;
  end = ptr + len;
  let found = NONE;
  blanks();
  if (!expect(0x7b /* { */)) return NONE;
  blanks();
  if (!expect(0x7d /* } */)) {
    while (true) {
      let name = at + 1;
      if (!quoted()) return NONE;
      let matches = same(name, <u32>(at - 1 - name), key);
      blanks();
      if (!expect(0x3a /* : */)) return NONE;
      blanks();
      if (!value()) return NONE;
      if (matches) found = number;
      blanks();
      if (expect(0x7d /* } */)) break;
      if (!expect(0x2c /* , */)) return NONE;
      blanks();
    }
  }
  blanks();
  return at == end ? found : NONE;
}

// The text, and the position that is read next. The functions below report whether
// they found what they read.
let at: usize = 0;
let end: usize = 0;

// The value read last, or NONE if it is not an integer.
let number: i64 = NONE;

function blanks(): void {
  while (at < end) {
    let c = load<u8>(at);
    if (c != 0x20 && c != 0x09 && c != 0x0a && c != 0x0d) return;
    at++;
  }
}

function expect(c: u8): bool {
  if (at == end || load<u8>(at) != c) return false;
  at++;
  return true;
}

// The text between two quotes. A backslash escapes the next byte.
function quoted(): bool {
  if (!expect(0x22 /* " */)) return false;
  while (at < end) {
    let c = load<u8>(at++);
    if (c == 0x22) return true;
    if (c == 0x5c /* \ */) {
      if (at == end) return false;
      at++;
    }
  }
  return false;
}

function value(): bool {
  number = NONE;
  if (at < end && load<u8>(at) == 0x22) return quoted();
  if (word("true") || word("false") || word("null")) return true;
  let from = at;
  while (at < end && inNumber(load<u8>(at))) at++;
  number = decimal(from, at);
  return at > from;
}

function word(text: string): bool {
  let len = <u32>text.length;
  if (end - at < len || !same(at, len, text)) return false;
  at += len;
  return true;
}

function inNumber(c: u8): bool {
  return isDigit(c) || c == 0x2d /* - */ || c == 0x2b /* + */ || c == 0x2e /* . */ || c == 0x65 /* e */ || c == 0x45 /* E */;
}

function isDigit(c: u8): bool {
  return c >= 0x30 && c <= 0x39;
}

// An optional minus and 1 to 18 digits, the first not 0 unless it is alone.
function decimal(from: usize, to: usize): i64 {
  let negative = from < to && load<u8>(from) == 0x2d;
  if (negative) from++;
  let digits = to - from, n: i64 = 0;
  if (digits == 0 || digits > 18 || digits > 1 && load<u8>(from) == 0x30) return NONE;
  for (; from < to; from++) {
    let c = load<u8>(from);
    if (!isDigit(c)) return NONE;
    n = n * 10 + (c - 0x30);
  }
  return negative ? -n : n;
}
