import { Verdict } from "./verdict";

/**
 * Names the groups of peers that a policy knows, with line feeds between; the first one is group 0.
 * The tenant must have them all:
 *
 *     export function switchyard_groups(): u64 {
 *       return groups("admin\narchive");
 *     }
 */
export function groups(names: string): u64 {
  const room = memory.data(3 * TOO_LONG); // a character takes 3 bytes at most
  const len = String.UTF8.encodeUnsafe(changetype<usize>(names), min(names.length, TOO_LONG), room);
  return <u64>room << 32 | len;
}

/** Whether the sender is in the group, by the attributes of `inspect` and `inspect_body`. */
export function isIn(attributes: u64, group: u32): bool {
  return (attributes >> (32 + (group & 31)) & 1) != 0;
}

/** To all peers of the group. */
export function toGroup(group: u32): Verdict {
  return <u64>group << 32 | 5 << 16 | 3;
}

/** A flag: a copy to the peers of the group as well, beside a unicast or a broadcast. */
export function alsoGroup(group: u32): Verdict {
  return 1 << 13 | <u64>(group & 31) << 20;
}

/** One more than the host takes: 32 names of 40 bytes with line feeds. The host refuses such a text. */
const TOO_LONG = 1313;
