// Endpoint records, verified without a connection: what holds, and all that does not.

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { before, test } from 'node:test';
import { ready } from './installed.js';
import { anotherId, authority, expiry, falconId, meanwhile, newer, notBefore, older } from './records.js';

/** @type {import('./installed.js').Stoq} */
let stoq;
before(async () => { stoq = await ready(); });

/**
 * What comes of a record: what it says, or the error.
 * @param {Uint8Array | ArrayBuffer} record
 * @param {Partial<import('stoq').RecordCheck>} [against] what differs from the usual
 * @returns {any}
 */
function verify(record, against) {
  try {
    return stoq.verifyEndpointRecord(record, { authority, pins: falconId, now: meanwhile, ...against });
  } catch (error) {
    assert.ok(error instanceof stoq.StoqError, String(error));
    return error;
  }
}

/** @param {any} error @param {string} code @param {RegExp} message */
function refused(error, code, message) {
  assert.equal(error.code, code, `${error.message ?? 'it was taken'}`);
  assert.match(error.message, message);
}

test('a good record says who signed it, and what', () => {
  const identity = verify(newer.bytes);
  assert.deepEqual(identity, {
    falconId, authority, serial: '9007199254740993', notBefore: new Date(notBefore), expiry: new Date(expiry), certificateHashes: newer.certificateHashes,
  });
  assert.ok(Object.isFrozen(identity) && Object.isFrozen(identity.certificateHashes));
  assert.equal(JSON.parse(JSON.stringify(identity)).serial, newer.serial);
});

test("core's own record verifies, by an identity that Node computes from its key", () => {
  const record = readFileSync(new URL('../../stoq-core/tests/vectors/endpoint-record.bin', import.meta.url));
  const digest = createHash('sha256').update(record.subarray(1, 2 + 1793)).digest();
  const bits = Array.from(digest, (byte) => byte.toString(2).padStart(8, '0')).join('').padEnd(260, '0');
  const letters = bits.match(/.{5}/g)?.map((five) => 'abcdefghijklmnopqrstuvwxyz234567'[Number.parseInt(five, 2)]);
  const signer = `stoq1${letters?.join('')}`;
  const start = 1_700_000_000_000;
  assert.deepEqual(verify(record, { authority: 'gateway.example', pins: signer, now: start }), {
    falconId: signer, authority: 'gateway.example:443', serial: '7', notBefore: new Date(start), expiry: new Date(start + 86_400_000),
    certificateHashes: ['01'.repeat(32), '02'.repeat(32)],
  });
});

test('it may come in any of the usual forms', () => {
  const { buffer } = newer.bytes;
  const around = new Uint8Array([1, ...newer.bytes, 1]).subarray(1, -1);
  for (const record of [buffer, around, Buffer.from(newer.bytes)]) assert.equal(verify(record).serial, newer.serial);
  for (const pins of [[falconId], [anotherId, falconId]]) assert.equal(verify(newer.bytes, { pins }).falconId, falconId);
  for (const now of [new Date(meanwhile), meanwhile]) assert.equal(verify(newer.bytes, { now }).falconId, falconId);
  for (const spelling of ['https://gateway.example:4433', 'Gateway.EXAMPLE:4433', 'gateway.example:04433']) {
    assert.equal(verify(newer.bytes, { authority: spelling }).authority, authority, spelling);
  }
});

test('a record cut short anywhere is refused', () => {
  for (let length = 0; length < newer.bytes.length; length += 1) {
    const { code } = verify(newer.bytes.subarray(0, length));
    // What is left of it can look like a record by another key.
    assert.match(code, /^(endpoint-record-refused|untrusted-identity)$/, `${length} bytes`);
  }
  refused(verify(newer.bytes.subarray(0, 1279)), 'endpoint-record-refused', /malformed/);
});

test('a record with one bit changed is refused', () => {
  const key = { start: 2, end: 2 + 1793 };
  for (let at = 0; at < newer.bytes.length; at += 1) {
    const record = newer.bytes.slice();
    record[at] = (record[at] ?? 0) ^ (1 << at % 8);
    const { code } = verify(record);
    // The identity is the key's hash: another key is another signer.
    const inKey = at >= key.start && at < key.end;
    assert.match(code, inKey ? /^(endpoint-record-refused|untrusted-identity)$/ : /^endpoint-record-refused$/, `byte ${at}`);
  }
});

test('garbage is refused', () => {
  for (const length of [0, 1, 1280, 3185, 4096]) {
    refused(verify(new Uint8Array(length)), 'endpoint-record-refused', /malformed|longer than/);
    refused(verify(randomBytes(length)), 'endpoint-record-refused', /the endpoint record/);
  }
  refused(verify(new Uint8Array([...newer.bytes, 0])), 'endpoint-record-refused', /malformed/);
  refused(verify(new Uint8Array(1_000_000)), 'endpoint-record-refused', /longer than \d+ bytes/);
});

test('a record of another gateway is refused', () => {
  for (const other of ['gateway.example:4434', 'gateway.example', 'other.example:4433', '[::1]:4433']) {
    refused(verify(newer.bytes, { authority: other }), 'endpoint-record-refused', /is for "gateway\.example:4433", not for /);
  }
});

test('a record holds from its first moment to its last', () => {
  for (const now of [notBefore, expiry]) assert.equal(verify(newer.bytes, { now }).serial, newer.serial);
  refused(verify(newer.bytes, { now: notBefore - 1 }), 'endpoint-record-refused', /not valid yet/);
  refused(verify(newer.bytes, { now: expiry + 1 }), 'endpoint-record-refused', /has expired/);
  refused(verify(newer.bytes, { now: new Date(0) }), 'endpoint-record-refused', /not valid yet/);
});

test('the time is this machine\'s, if none is given', (context) => {
  const options = { authority, pins: falconId };
  context.mock.timers.enable({ apis: ['Date'], now: meanwhile });
  assert.equal(stoq.verifyEndpointRecord(newer.bytes, options).serial, newer.serial);
  context.mock.timers.setTime(expiry + 1);
  assert.throws(() => stoq.verifyEndpointRecord(newer.bytes, options), { code: 'endpoint-record-refused' });
});

test('a serial lower than the last is refused', () => {
  for (const lastSerial of [null, '0', older.serial, newer.serial, `00${newer.serial}`]) {
    assert.equal(verify(newer.bytes, { lastSerial }).serial, newer.serial);
  }
  refused(verify(older.bytes, { lastSerial: newer.serial }), 'endpoint-record-refused', /has serial 1789999999999999, one with 9007199254740993 has been seen/);
  // One apart, where numbers of JavaScript are two apart.
  refused(verify(newer.bytes, { lastSerial: '9007199254740994' }), 'endpoint-record-refused', /it is an old one/);
});

test('a signer who is not pinned is refused by name', () => {
  for (const pins of [anotherId, [anotherId], []]) {
    const error = verify(newer.bytes, { pins });
    refused(error, 'untrusted-identity', /not pinned/);
    assert.ok(error.message.includes(falconId));
  }
});

test('what it is held against is checked', () => {
  /** @type {[any, RegExp][]} */
  const wrong = [
    [{ authority: undefined }, /^authority: /], [{ authority: '' }, /^authority: /], [{ authority: 'a/b' }, /^authority: /], [{ authority: 'a:99999' }, /^authority: /],
    [{ pins: undefined }, /^pins: /], [{ pins: 'stoq1' }, /^pins: "stoq1"/], [{ pins: [falconId, falconId.toUpperCase()] }, /^pins: "STOQ1/], [{ pins: [17] }, /^pins: /],
    [{ now: NaN }, /^now: /], [{ now: new Date(NaN) }, /^now: /], [{ now: 'today' }, /^now: /], [{ now: 1n }, /^now: /],
    [{ lastSerial: 17 }, /^lastSerial: /], [{ lastSerial: '' }, /^lastSerial: /], [{ lastSerial: '-1' }, /^lastSerial: /], [{ lastSerial: '+1' }, /^lastSerial: /],
    [{ lastSerial: '18446744073709551616' }, /^lastSerial: /],
  ];
  for (const [against, message] of wrong) refused(verify(newer.bytes, against), 'invalid-argument', message);
  for (const record of /** @type {any[]} */ (['text', undefined, null, 17, [1, 2], {}])) refused(verify(record), 'invalid-argument', /must be a Uint8Array or an ArrayBuffer/);
  for (const against of /** @type {any[]} */ ([undefined, null, 17])) {
    assert.throws(() => stoq.verifyEndpointRecord(newer.bytes, against), { code: 'invalid-argument' });
  }
});
