/**
 * What happens to a PDU: an action with any flags, as in `DROP | LOG` or
 * `toFields(1 << 1 | 1 << 2) | NOT_SENDER`.
 */
export type Verdict = u64;

// Actions.

/** Dropped and counted. */
export const DROP: Verdict = 0;
/** Accepted; nothing is sent. */
export const CONSUME: Verdict = 1;
/** To all peers of the tenant but the sender. */
export const BROADCAST_EXCEPT_SENDER: Verdict = 4;
/** To all peers of the tenant. */
export const BROADCAST_ALL: Verdict = 5;
/** The sender's connection is closed. */
export const CLOSE: Verdict = 6;

/** The handlers that the hub has built in. */
export const enum Handler {
  ONLINE_USER_INFO = 1,
  USER_STATUS_UPDATE,
  ROLE_SET,
  USERS_STATUS_REQUEST,
}

/** To a built-in handler. */
export function handle(handler: Handler): Verdict {
  return <u64>handler << 32 | HANDLE;
}

/** Back to the sender. */
export function toSender(): Verdict {
  return unicast(0, 0);
}

/** To the session of that number. */
export function toSession(session: u32): Verdict {
  return unicast(1, session);
}

/** To the peers that hold the user. */
export function toUser(user: u32): Verdict {
  return unicast(2, user);
}

/** To the peers that hold the users in these fields of the body: bit n is field n, 1 to 31. */
export function toFields(bits: u32): Verdict {
  return unicast(3, bits);
}

/** To the peers that declared themselves master. */
export function toMaster(): Verdict {
  return unicast(4, 0);
}

// Flags.

/** Ask `inspect` about each such PDU; the rest is what happens if that fails. */
export const INSPECT_HEADER: Verdict = 1 << 8;
/** Ask `inspect_body` about each such PDU; the rest is what happens if that fails. */
export const INSPECT_BODY: Verdict = 1 << 9;
/** Log the PDU's header. */
export const LOG: Verdict = 1 << 10;
/** Leave the sender out of a unicast. */
export const NOT_SENDER: Verdict = 1 << 11;
/** If a user of a unicast is not known, broadcast except to the sender. */
export const ELSE_BROADCAST: Verdict = 1 << 12;

/** Drop PDUs beyond the rate limit of that number, 1 to 63, that `rate_limit` states. */
export function limit(number: u32): Verdict {
  return <u64>(number & 63) << 26;
}

/**
 * How many PDUs a rate limit lets through, 1 to 1,000,000; 0 means no limit. A policy that limits exports
 * `rate_limit(number: u32, scope: u32): Rate`. The hub asks it for the numbers from 1 on, up to
 * one without a rate.
 */
export type Rate = u64;

/** The scope of a rate that each peer has. */
export const PER_PEER: u32 = 0;
/** The scope of a rate that all peers of the tenant have together. */
export const PER_TENANT: u32 = 1;

/** That many in a second, and as many at once. */
export function perSecond(pdus: u32): Rate {
  return <u64>(pdus & 0xffffff) | 1 << 24;
}

/** That many in a minute, and as many at once. */
export function perMinute(pdus: u32): Rate {
  return <u64>(pdus & 0xffffff) | 2 << 24;
}

/** The rate with that many at once. */
export function burst(rate: Rate, pdus: u32): Rate {
  return rate & 0xffffffff | <u64>(pdus & 0xffffff) << 32;
}

const HANDLE: Verdict = 2;
const UNICAST: Verdict = 3;

function unicast(selector: u64, argument: u32): Verdict {
  return <u64>argument << 32 | selector << 16 | UNICAST;
}
