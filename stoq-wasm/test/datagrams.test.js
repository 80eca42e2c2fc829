// Verified datagrams: what a real key has signed arrives, or something else does. The service's half was made by native code
// (verified-streams.json); the browser's WebTransport is one whose other end is this test.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { after, before, beforeEach, mock, test } from 'node:test';
import { Carrier } from './carrier.js';
import { ready, rejection } from './installed.js';

const file = JSON.parse(readFileSync(new URL('verified-streams.json', import.meta.url), 'utf8'));
/** @type {Uint8Array[]} */
const SENT = file.datagrams.map(unhex);
/** The key, the list of the tokens of those three, its signature. @type {Uint8Array[]} */
const ANNOUNCED = file.announced.map(unhex);
const ORIGINS = { origins: [file.origin] };
const PENDING = { ...ORIGINS, delivery: /** @type {const} */ ('pending') };
const VERIFIED = file.pieces.map((/** @type {string} */ piece, /** @type {number} */ at) => `verified ${at} ${piece}`);

/** @type {import('./installed.js').Stoq} */
let stoq;
/** @type {import('stoq').Session} */
let session;

before(async () => {
  Carrier.install();
  Carrier.control = unhex(file.control);
  mock.timers.enable({ apis: ['Date'], now: file.now });
  stoq = await ready();
});
after(() => {
  mock.timers.reset();
  mock.restoreAll();
});
beforeEach(async () => {
  session = await new stoq.StoqClient().connect(`https://gateway.example/stoq/v1/${file.service}`);
});

/** @param {string} hex */
function unhex(hex) {
  return Uint8Array.from(Buffer.from(hex, 'hex'));
}

/** @param {Uint8Array[]} pieces */
function joined(...pieces) {
  return Uint8Array.from(Buffer.concat(pieces));
}

/** @param {Uint8Array} bytes @param {number} at counted from the end */
function flipped(bytes, at) {
  const other = bytes.slice();
  other[other.length - at] = (other[other.length - at] ?? 0) ^ 1;
  return other;
}

/** @param {number} number @param {number} length */
function big(number, length) {
  const bytes = Buffer.alloc(length);
  bytes.writeBigUInt64BE(BigInt(number), length - 8);
  return bytes;
}

/** A datagram as anybody on the way can make it: its token is right, by SHA-256. @param {number} sequence @param {string} text */
function made(sequence, text) {
  const at = file.now * 1000;
  const data = Buffer.from(text);
  const tag = tagOf(1, sequence, at, data);
  const number = sequence < 64 ? Uint8Array.of(sequence) : Uint8Array.of(0x40 | sequence >> 8, sequence & 255);
  const payload = joined(Uint8Array.of(0), number, big(at, 8), tag);
  return joined(unhex('c0000000fe000001'), Uint8Array.of(payload.length), payload, Uint8Array.of(0), data);
}

/** @param {number} flow @param {number} sequence @param {number} at @param {Uint8Array} data */
function tagOf(flow, sequence, at, data) {
  const scope = [Buffer.from('stoq token v1'), unhex(file.hash), Uint8Array.of(flow), new Uint8Array(16)];
  return createHash('sha256').update(joined(...scope, big(sequence, 8), big(at, 8), data)).digest();
}

/** @param {Uint8Array[]} datagrams */
function arrive(...datagrams) {
  for (const datagram of datagrams) Carrier.last.datagram(datagram.slice());
}

/** The far end's announcing stream. @param {Uint8Array[]} frames */
function announce(...frames) {
  const line = Carrier.last.open();
  line.bytes.enqueue(joined(Uint8Array.of(0x04), ...frames));
  return line;
}

/** @param {import('stoq').VerifiedDatagrams} datagrams @param {number} count */
async function received(datagrams, count) {
  const items = [];
  while (items.length < count) items.push(short(await datagrams.receive()));
  return items;
}

/** @param {import('stoq').VerifiedDatagramItem} item */
function short(item) {
  if (item.data) return `${item.state} ${item.sequence} ${new TextDecoder().decode(item.data)}`;
  if (item.state === 'verified') assert.equal(item.signer, file.origin);
  return `${item.state} ${item.sequence ?? ''}`.trimEnd();
}

/** Resolves when all that has come was looked at. */
async function settled() {
  for (let turn = 0; turn < 10; turn += 1) await new Promise((resolve) => { setTimeout(resolve); });
}

test('a datagram is handed out when its signature has come, and lost ones are not missed', async () => {
  const datagrams = session.verifiedDatagrams(ORIGINS);
  const waiting = received(datagrams, 2);
  arrive(SENT[2] ?? assert.fail(), SENT[0] ?? assert.fail());
  await settled();
  announce(...ANNOUNCED);
  assert.deepEqual(await waiting, [VERIFIED[0], VERIFIED[2]]);
  arrive(SENT[1] ?? assert.fail());
  assert.deepEqual(await received(datagrams, 1), [VERIFIED[1]], 'its signature has been here');
  assert.deepEqual(session.stats().refused, {});
});

test('or at once, as pending, and then word of it', async () => {
  const reader = session.verifiedDatagrams(PENDING).readable.getReader();
  arrive(...SENT);
  const items = [];
  while (items.length < 3) items.push(short((await reader.read()).value ?? assert.fail()));
  announce(...ANNOUNCED);
  while (items.length < 6) items.push(short((await reader.read()).value ?? assert.fail()));
  const pending = VERIFIED.map((/** @type {string} */ item) => item.replace('verified', 'pending'));
  assert.deepEqual(items, [...pending, 'verified 0', 'verified 1', 'verified 2']);
});

test('what came before anybody asked is there, and without origins it stays pending', async () => {
  arrive(...SENT);
  await settled();
  assert.deepEqual(await received(session.verifiedDatagrams(), 3), ['pending 0 forty', 'pending 1 -', 'pending 2 two']);
});

test('what was changed or came twice is dropped and counted', async () => {
  const datagrams = session.verifiedDatagrams(PENDING);
  const [first, second] = /** @type {[Uint8Array, Uint8Array]} */ (/** @type {unknown} */ (SENT));
  arrive(flipped(first, 1), first, first, flipped(second, 12), second);
  assert.deepEqual(await received(datagrams, 2), ['pending 0 forty', 'pending 1 -']);
  assert.deepEqual(session.stats().refused, { 'bad-token': 2, 'replayed-token': 1 });
});

test('one that was made on the way is found out by the signature', async () => {
  const early = session.verifiedDatagrams(PENDING);
  arrive(made(0, 'fifty'), SENT[1] ?? assert.fail());
  assert.deepEqual(await received(early, 2), ['pending 0 fifty', 'pending 1 -']);
  announce(...ANNOUNCED);
  assert.deepEqual(await received(early, 2), ['forged 0', 'verified 1']);
  arrive(made(2, 'three'), SENT[2] ?? assert.fail());
  assert.deepEqual(await received(early, 1), [VERIFIED[2]], 'the forged one takes no place');
  assert.deepEqual(session.stats().refused, { 'bad-token': 2 });
});

test('nobody else signs', async () => {
  const datagrams = session.verifiedDatagrams(PENDING);
  arrive(SENT[0] ?? assert.fail());
  const [key, list, signature] = /** @type {[Uint8Array, Uint8Array, Uint8Array]} */ (/** @type {unknown} */ (ANNOUNCED));
  const other = file.announcedByAnother.map(unhex);
  announce(...other, key, list, flipped(signature, 900), list, signature);
  assert.deepEqual(await received(datagrams, 2), ['pending 0 forty', 'verified 0']);
  assert.deepEqual(session.stats().refused, { 'untrusted-origin': 2, 'bad-signature': 1 });
});

for (const end of ['the far end has said all', 'the far end breaks a rule']) {
  test(`no signature can come any more when ${end}`, async () => {
    const datagrams = session.verifiedDatagrams(ORIGINS);
    const line = announce(...ANNOUNCED);
    if (end === 'the far end has said all') line.bytes.close();
    else line.bytes.enqueue(unhex('c0000000fe00000472f0'));
    assert.deepEqual(await received(datagrams, 1), ['signatures-ended']);
    const waiting = datagrams.receive();
    await session.close();
    assert.equal((await rejection(waiting)).code, 'session-closed');
  });
}

test('what is sent has the token that the far end makes out', async () => {
  const datagrams = session.verifiedDatagrams({ algorithm: 'sha-256' });
  assert.equal(datagrams.maxSize, session.datagrams.maxSize - 58);
  await datagrams.send(Buffer.from('forty'));
  const writer = datagrams.writable.getWriter();
  await writer.write(new Uint8Array(datagrams.maxSize));
  for (const [sequence, datagram] of Carrier.last.sentDatagrams.entries()) {
    // type · length · algorithm · sequence · timestamp · tag · DATA
    assert.deepEqual([...datagram.slice(0, 11)], [...unhex('c0000000fe000001'), 42, 0, sequence]);
    const at = Number(Buffer.from(datagram).readBigUInt64BE(11));
    assert.equal(at, file.now * 1000);
    assert.deepEqual(Buffer.from(datagram.slice(19, 51)), tagOf(0, sequence, at, datagram.slice(52)));
    assert.equal(datagram[51], 0);
  }
  assert.equal(Carrier.last.sentDatagrams.length, 2);
  assert.equal((await rejection(datagrams.send(new Uint8Array(datagrams.maxSize + 1)))).code, 'datagram-too-large');
  assert.equal((await rejection(datagrams.send(/** @type {any} */ ('text')))).code, 'invalid-argument');
});

test('one session has one way', () => {
  const code = (/** @type {() => unknown} */ call) => {
    try {
      return assert.fail(`it gave ${call()}`);
    } catch (error) {
      if (error instanceof stoq.StoqError) return error.code;
      throw error;
    }
  };
  for (const wrong of [{ origins: 'stoq1' }, { delivery: 'verified' }, { algorithm: 'md5' }, 7]) {
    assert.equal(code(() => session.verifiedDatagrams(/** @type {any} */ (wrong))), 'invalid-argument');
  }
  const datagrams = session.verifiedDatagrams(ORIGINS);
  assert.equal(session.verifiedDatagrams(), datagrams);
  assert.equal(datagrams.readable, datagrams.readable);
  assert.equal(code(() => session.verifiedDatagrams(ORIGINS)), 'invalid-argument');
});

test('what nobody receives, or signs, is bounded; the oldest make room', async () => {
  for (let sequence = 0; sequence < 1100; sequence += 1) arrive(made(sequence, 'x'));
  await settled();
  assert.equal(session.stats().droppedDatagrams, 76);
  const unsigned = session.verifiedDatagrams(PENDING);
  assert.deepEqual(await received(unsigned, 1), ['pending 76 x'], 'those that wait for a signature are not fewer');
  assert.equal(session.stats().droppedDatagrams, 76);
});

test('data that waits too long for a signature gives way to newer', async () => {
  const datagrams = session.verifiedDatagrams(ORIGINS);
  const waiting = datagrams.receive();
  for (let sequence = 0; sequence < 1030; sequence += 1) {
    arrive(made(sequence, 'x'));
    if (sequence % 100 === 0) await settled();
  }
  await settled();
  assert.equal(session.stats().droppedDatagrams, 6);
  await session.close();
  assert.equal((await rejection(waiting)).code, 'session-closed');
});
