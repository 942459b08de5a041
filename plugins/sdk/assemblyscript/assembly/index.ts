// The guest side of Switchyard's policy ABI, version 1: verdicts, groups of peers, the PDU's
// header, the fields of its body, and the configuration. Nothing here allocates.

export * from "./names";
export * from "./verdict";
export * from "./groups";
export { Fields, Wire, fields, MAX_FIELDS } from "./fields";
export { integer, NONE } from "./config";

/** The marker of the ABI. Every policy exports it. */
export function switchyard_abi_v1(): void {}

// The header, from header_hi and header_lo.

/** The length in bytes, the header's 16 included. */
export function lengthOf(headerHi: u64): u32 {
  return <u32>(headerHi >> 32);
}

export function versionOf(headerHi: u64): u32 {
  return <u16>(headerHi >> 16);
}

export function flagOf(headerHi: u64): u32 {
  return <u16>headerHi;
}

export function serviceOf(headerLo: u64): u32 {
  return <u16>(headerLo >> 48);
}

export function commandOf(headerLo: u64): u32 {
  return <u16>(headerLo >> 32);
}

export function sequenceOf(headerLo: u64): u32 {
  return <u16>(headerLo >> 16);
}

export function reservedOf(headerLo: u64): u32 {
  return <u16>headerLo;
}

/** Whether the sender declared itself master. */
export function isMaster(attributes: u64): bool {
  return (attributes & 1) != 0;
}

/**
 * Hands out the room where the host puts bodies and the configuration, or 0 if size
 * bytes are too many for it. A policy with `inspect_body` or `configure` exports it.
 */
export function buffer(size: u32): usize {
  return size <= 65536 ? memory.data(65536) : 0;
}

/** How grave a text of log is. */
export const enum Level {
  DEBUG,
  INFO,
  WARN,
  ERROR,
}

/** Writes a text to the server's log, cut to 170 characters. */
export function log(level: Level, text: string): void {
  let line = memory.data(512);
  let len = String.UTF8.encodeUnsafe(changetype<usize>(text), min(text.length, 170), line);
  hostLog(level, line, <u32>len);
}

// @ts-ignore: decorator
@external("switchyard_v1", "log")
declare function hostLog(level: i32, ptr: usize, len: u32): void;
