// Tests the module that npm run build makes: npm test

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

const host = { switchyard_v1: { log() {} } };
const { instance } = await WebAssembly.instantiate(readFileSync(new URL("policy.wasm", import.meta.url)), host);
const policy = instance.exports;

const BROADCAST_EXCEPT_SENDER = 0x4n, INSPECT_BODY = 0x200n;
const TO_USERS = 0x6_0003_1803n; // unicast fields 1 2, not-sender, else-broadcast

function chat(...body) {
  const room = policy.buffer(body.length);
  new Uint8Array(policy.memory.buffer).set(body, room);
  return BigInt.asUintN(64, policy.inspect_body(room, body.length, 0n, 0n, 1n, 0n));
}

test("chats by their body", () => {
  // A field is its number << 3, for a varint, and the value.
  assert.equal(chat(1 << 3, 7, 2 << 3, 9, 5 << 3, 1), TO_USERS, "single text");
  assert.equal(chat(5 << 3, 2), TO_USERS, "single audio");
  assert.equal(chat(1 << 3, 7, 2 << 3, 9, 5 << 3, 17), BROADCAST_EXCEPT_SENDER, "group text");
  assert.equal(chat(1 << 3, 7), BROADCAST_EXCEPT_SENDER, "no type");
  assert.equal(chat(5 << 3, 1, 2 << 3), BROADCAST_EXCEPT_SENDER, "cut off");
});

test("commands by their id", () => {
  const classify = (service, command) => BigInt.asUintN(64, policy.classify(service, command));
  assert.equal(classify(3, 0x0301), BROADCAST_EXCEPT_SENDER | INSPECT_BODY, "a chat");
  assert.equal(classify(7, 0x0701), 0x1n, "a heartbeat is consumed");
  assert.equal(classify(0, 0xffff), 0x400n, "anything else is dropped and logged");
});
