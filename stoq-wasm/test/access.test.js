// Access tokens: what a page presents, and how it shows that it holds their keys. The browser's WebTransport is one whose other
// end is this test; WebCrypto is the real one.

import assert from 'node:assert/strict';
import { createHash, webcrypto } from 'node:crypto';
import { after, before, beforeEach, mock, test } from 'node:test';
import { Carrier } from './carrier.js';
import { ready, rejection } from './installed.js';

const URL_OF_SERVICE = 'https://gateway.example/stoq/v1/files';
/** The server's SETTINGS, behind the type of the stream: version 1, a random of 02s, no sessions beside, datagrams, streams. */
const SETTINGS = bytes('00 04 2f 010101', '0220' + '02'.repeat(32), '040100 050244b0 060110');
/** What both ends share: the carrier's random bytes are all ones. */
const SESSION_HASH = sha256(Buffer.from('stoq session v1'), bytes('01'.repeat(32) + '02'.repeat(32)), Buffer.from('files'));
const AUTH = 0x12;

/** @type {import('./installed.js').Stoq} */
let stoq;

before(async () => {
  Carrier.install();
  Carrier.control = SETTINGS;
  stoq = await ready();
});
after(() => mock.restoreAll());
beforeEach(() => {
  // So that nobody waits for what an earlier page has said.
  Carrier.last = /** @type {any} */ (undefined);
});

/** @param {...string} hex */
function bytes(...hex) {
  return Uint8Array.from(Buffer.from(hex.join('').replaceAll(' ', ''), 'hex'));
}

/** @param {...Uint8Array} pieces */
function joined(...pieces) {
  return Uint8Array.from(Buffer.concat(pieces));
}

/** @param {...Uint8Array} pieces */
function sha256(...pieces) {
  return Uint8Array.from(createHash('sha256').update(joined(...pieces)).digest());
}

/** @param {CryptoKeyPair} pair */
async function compressed(pair) {
  const point = new Uint8Array(await webcrypto.subtle.exportKey('raw', pair.publicKey));
  return joined(Uint8Array.of(2 | (point[64] ?? 0) & 1), point.slice(1, 33));
}

/**
 * A token for alice, service files, permission read. Its signature is zeros: that is for verifiers to judge.
 * @param {CryptoKeyPair} [holder]
 */
async function token(holder) {
  const fixed = bytes('0101', '11'.repeat(32), '22'.repeat(32), '33'.repeat(16), '00'.repeat(8), 'ff'.repeat(8));
  const key = holder ? await compressed(holder) : Uint8Array.of(0);
  const texts = Buffer.from('\x05alice\x05files\x01\x04read');
  return joined(fixed, key, texts, new Uint8Array(1280));
}

/** @param {Uint8Array} token */
function text(token) {
  return `stoqt1${Buffer.from(token).toString('base64url')}`;
}

/** Resolves to what the page has said on its control stream when it has said `count` things. @param {number} count */
async function said(count) {
  for (;;) {
    const sent = Carrier.last?.lines[0]?.sent ?? [];
    if (sent.length >= count) return sent;
    await new Promise((resolve) => { setImmediate(resolve); });
  }
}

/** The server's control stream, which the page reads. @type {import('./carrier.js').Line} */
let server;
const open = Carrier.prototype.open;
Carrier.prototype.open = function (kind) {
  server = open.call(this, kind);
  return server;
};

test('a bearer token goes with SETTINGS, as text or as bytes', async () => {
  const bearer = await token();
  for (const accessTokens of [text(bearer), bearer, [bearer], [text(bearer), bearer]]) {
    await new stoq.StoqClient().connect(URL_OF_SERVICE, { accessTokens });
    const [settings] = await said(1);
    const at = Buffer.from(settings ?? []).indexOf(bearer);
    assert.ok(at > 0, 'the token stands in SETTINGS');
  }
  await new stoq.StoqClient().connect(URL_OF_SERVICE);
  assert.equal(Buffer.from((await said(1))[0] ?? []).indexOf(bearer), -1);
});

test('the holder of a token proves it before the session is open', async () => {
  const pair = await stoq.generateHolderKey();
  const held = await token(pair);
  const hash = sha256(held);
  let opened = false;
  const connecting = new stoq.StoqClient().connect(URL_OF_SERVICE, { accessTokens: text(held), holderKeys: pair });
  connecting.then(() => { opened = true; }, () => {});
  const [, auth] = await said(2);
  assert.ok(auth && !opened);
  // type · length 98 in two bytes · session 0 · token hash · algorithm 1 · signature
  assert.deepEqual(auth.slice(0, 37), joined(Uint8Array.of(AUTH, 0x40, 98, 0), hash, Uint8Array.of(1)));
  assert.equal(auth.length, 37 + 64);
  const message = joined(Buffer.from('stoq access proof v1'), hash, SESSION_HASH);
  const algorithm = { name: 'ECDSA', hash: 'SHA-256' };
  assert.ok(await webcrypto.subtle.verify(algorithm, pair.publicKey, auth.slice(37), message));
  server.bytes.enqueue(joined(Uint8Array.of(AUTH, 34, 0), hash, Uint8Array.of(1)));
  await connecting;
});

test('of two tokens each is proven with its own key', async () => {
  const pairs = [await stoq.generateHolderKey(), await stoq.generateHolderKey()];
  const tokens = await Promise.all(pairs.map(token));
  const connecting = new stoq.StoqClient().connect(URL_OF_SERVICE, { accessTokens: tokens, holderKeys: pairs.toReversed() });
  const [, ...auths] = await said(3);
  for (const [index, held] of tokens.entries()) {
    const hash = sha256(held);
    const auth = auths.find((frame) => Buffer.from(frame).includes(Buffer.from(hash)));
    assert.ok(auth);
    const message = joined(Buffer.from('stoq access proof v1'), hash, SESSION_HASH);
    const key = /** @type {CryptoKeyPair} */ (pairs[index]).publicKey;
    assert.ok(await webcrypto.subtle.verify({ name: 'ECDSA', hash: 'SHA-256' }, key, auth.slice(37), message));
    server.bytes.enqueue(joined(Uint8Array.of(AUTH, 34, 0), hash, Uint8Array.of(1)));
  }
  await connecting;
});

test('a refusal has its code', async () => {
  const pair = await stoq.generateHolderKey();
  const held = await token(pair);
  const connecting = rejection(new stoq.StoqClient().connect(URL_OF_SERVICE, { accessTokens: held, holderKeys: [pair] }));
  await said(2);
  // CLOSE_SESSION of session 0, holder-proof-wrong, "no".
  server.bytes.enqueue(bytes('10 07 00 5354002b 6e6f'));
  const error = await connecting;
  assert.equal(error.code, 'holder-proof-wrong');
  assert.equal(error.number, 0x5354002b);
});

test('a key cannot be read, and its public half has a text', async () => {
  const pair = await stoq.generateHolderKey();
  assert.equal(pair.privateKey.extractable, false);
  await assert.rejects(webcrypto.subtle.exportKey('pkcs8', pair.privateKey));
  const expected = `stoqh1${Buffer.from(await compressed(pair)).toString('base64url')}`;
  assert.equal(await stoq.holderPublicKey(pair), expected);
  const other = await webcrypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-384' }, false, ['sign', 'verify']);
  for (const wrong of [other, undefined, {}, { publicKey: 'x' }]) {
    const error = await rejection(stoq.holderPublicKey(/** @type {any} */ (wrong)));
    assert.equal(error.code, 'invalid-argument', error.message);
  }
});

test('what cannot be presented is said before anybody is contacted', async () => {
  const pair = await stoq.generateHolderKey();
  const [bearer, held] = [await token(), await token(pair)];
  const last = Carrier.last;
  for (const [options, words] of /** @type {[object, string][]} */ ([
    [{ accessTokens: held }, 'whose key is not among holderKeys'],
    [{ accessTokens: held, holderKeys: await stoq.generateHolderKey() }, 'whose key is not among holderKeys'],
    [{ accessTokens: text(bearer).slice(0, -1) }, 'access token'],
    [{ accessTokens: bearer.slice(1) }, 'accessTokens: '],
    [{ accessTokens: 7 }, 'text, or bytes'],
    [{ accessTokens: Array(5).fill(bearer) }, 'at most 4'],
    [{ accessTokens: held, holderKeys: 'x' }, 'CryptoKeyPair'],
  ])) {
    const error = await rejection(new stoq.StoqClient().connect(URL_OF_SERVICE, options));
    assert.equal(error.code, 'invalid-argument', error.message);
    assert.ok(error.message.includes(words), error.message);
  }
  assert.equal(Carrier.last, last);
});
