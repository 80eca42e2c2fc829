// Connecting to a gateway that is pinned, up to the point where the browser takes over: what it is told, and when it is not
// even asked. Records come from a real server; the browser's part is a class that writes down what it is given.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { after, afterEach, before, beforeEach, mock, test } from 'node:test';
import { fresh, ready, rejection } from './installed.js';
import { anotherId, authority, expiry, falconId, meanwhile, newer, notBefore, older } from './records.js';

/** @typedef {import('stoq').ClientOptions} ClientOptions */

const URL_OF_SERVICE = `https://${authority}/stoq/v1/files`;
/** For what should come at once, on a busy machine. */
const PATIENCE = 30_000;
const KEY = `stoq-serial:${authority}`;

/** @type {import('./installed.js').Stoq} */
let stoq;
/** What the browser was asked for. @type {{ url: string, hashes: string[] }[]} */
let tried = [];
/** Paths that the server was asked for. @type {string[]} */
let asked = [];
/** What the server does. @type {import('node:http').RequestListener} */
let answer;
let address = '';

/** A browser that reaches nobody. */
class Browser {
  /** @param {string} url @param {{ serverCertificateHashes?: { algorithm: string, value: Uint8Array }[] }} options */
  constructor(url, options) {
    const hashes = options.serverCertificateHashes ?? [];
    tried.push({ url, hashes: hashes.map(({ algorithm, value }) => `${algorithm} ${Buffer.from(value).toString('hex')}`) });
    this.ready = Promise.reject(new Error('there is nobody'));
    this.closed = this.ready;
  }

  close() {}
}

const server = createServer((request, response) => {
  asked.push(request.url ?? '');
  answer(request, response);
});

before(async () => {
  Object.assign(globalThis, { WebTransport: Browser });
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', () => resolve(undefined)); });
  const place = server.address();
  assert.ok(typeof place === 'object' && place);
  address = `http://127.0.0.1:${place.port}/record`;
});
after(() => {
  server.closeAllConnections();
  server.close();
});
beforeEach(async () => {
  // A copy of its own, because the module remembers serials.
  stoq = await ready();
  [tried, asked] = [[], []];
  answer = (_, response) => response.end(newer.bytes);
  mock.timers.enable({ apis: ['Date'], now: meanwhile });
});
afterEach(() => mock.timers.reset());

/**
 * What connecting fails with: `handshake-failed` if all was verified.
 * @param {ClientOptions} options what differs from a pinned gateway with a record at the server
 * @param {string} [url]
 */
function connect(options, url = URL_OF_SERVICE) {
  const client = new stoq.StoqClient({ pins: { [authority]: falconId }, endpointRecord: address, ...options });
  return rejection(client.connect(url)).finally(() => client.free());
}

/**
 * Values that cannot be, and what is said of them.
 * @param {unknown[][]} rows
 * @returns {[any, RegExp][]}
 */
function pairs(rows) {
  return /** @type {[any, RegExp][]} */ (rows);
}

/** @param {any} error @param {string} code @param {RegExp} message */
function refused(error, code, message) {
  assert.ok(error instanceof stoq.StoqError, String(error));
  assert.equal(error.code, code, error.message);
  assert.match(error.message, message);
  assert.deepEqual(tried, [], 'no connection was tried');
}

test('the browser is told the certificates of the record, and no others', async () => {
  const { code } = await connect({});
  assert.equal(code, 'handshake-failed');
  assert.deepEqual(tried, [{ url: URL_OF_SERVICE, hashes: newer.certificateHashes.map((hash) => `sha-256 ${hash}`) }]);
  // And once more after the handshake failed, where it is the same.
  assert.deepEqual(asked, ['/record', '/record']);
});

test('a record that is later by then is tried once, after a handshake that failed', async () => {
  const answers = [older, newer, newer, newer];
  answer = (_, response) => response.end(answers.shift()?.bytes);
  assert.equal((await connect({})).code, 'handshake-failed');
  assert.deepEqual(tried.map(({ hashes }) => hashes), [older, newer].map(({ certificateHashes }) => certificateHashes.map((hash) => `sha-256 ${hash}`)));
  assert.equal(asked.length, 2);
});

test('what was verified before stays the answer where there is nothing later that verifies', async () => {
  const flipped = newer.bytes.slice();
  flipped[3000] = (flipped[3000] ?? 0) ^ 1;
  for (const second of [older.bytes, flipped, new Uint8Array()]) {
    [tried, asked] = [[], []];
    const answers = [older.bytes, second];
    answer = (_, response) => response.end(answers.shift());
    assert.equal((await connect({})).code, 'handshake-failed');
    assert.deepEqual([tried.length, asked.length], [1, 2]);
  }
  [tried, asked] = [[], []];
  assert.equal((await connect({ endpointRecord: older.bytes })).code, 'handshake-failed');
  assert.deepEqual([tried.length, asked.length], [1, 0], 'there is no other than the one that was given');
});

test('the second look does not take longer than the time to connect', { timeout: PATIENCE }, async () => {
  let first = true;
  answer = (_, response) => {
    if (first) response.end(newer.bytes);
    first = false;
  };
  const start = performance.now();
  assert.equal((await connect({ connectTimeout: 500 })).code, 'handshake-failed');
  assert.ok(performance.now() - start < 5_000);
  assert.deepEqual([tried.length, asked.length], [1, 2]);
});

test('the record may be at an address, or given', async () => {
  for (const endpointRecord of [address, new URL(address), newer.bytes, newer.bytes.buffer]) {
    assert.equal((await connect({ endpointRecord })).code, 'handshake-failed');
  }
  assert.equal(tried.length, 4);
  // What was given is copied: whoever changes it afterwards changes nothing.
  const bytes = newer.bytes.slice();
  const client = new stoq.StoqClient({ pins: { [authority]: falconId }, endpointRecord: bytes });
  bytes.fill(0);
  assert.equal((await rejection(client.connect(URL_OF_SERVICE))).code, 'handshake-failed');
});

test('by default it is where a gateway serves it', async (context) => {
  /** @type {unknown[]} */
  const addresses = [];
  const { fetch } = globalThis;
  context.mock.method(globalThis, 'fetch', (/** @type {string} */ from, /** @type {RequestInit} */ init) => {
    addresses.push([from, init.cache, init.credentials]);
    return fetch(address, init);
  });
  const pins = { [authority]: falconId, 'gateway.example': falconId };
  const client = new stoq.StoqClient({ pins });
  assert.equal((await rejection(client.connect(URL_OF_SERVICE))).code, 'handshake-failed');
  assert.equal((await rejection(client.connect('https://gateway.example/stoq/v1/files'))).code, 'endpoint-record-refused');
  const known = ['https://gateway.example:4433/.well-known/stoq/endpoint', 'no-store', 'omit'];
  const other = ['https://gateway.example:443/.well-known/stoq/endpoint', 'no-store', 'omit'];
  assert.deepEqual(addresses, [known, known, other], 'once more after the handshake failed');
});

test('a gateway that nobody is pinned for is not contacted', async () => {
  for (const pins of [{}, { 'gateway.example': falconId }, { 'other.example:4433': [falconId] }, { [authority]: [] }]) {
    refused(await connect({ pins }), 'untrusted-identity', /no identity is pinned for gateway\.example:4433/);
  }
  assert.deepEqual(asked, []);
});

test('gateways are found however they are spelled', async () => {
  for (const spelling of ['Gateway.Example:4433', 'https://gateway.example:4433', 'gateway.example:04433']) {
    assert.equal((await connect({ pins: { [spelling]: [anotherId, falconId] } })).code, 'handshake-failed', spelling);
  }
  const twice = { 'gateway.example:4433': anotherId, 'GATEWAY.example:4433': falconId };
  assert.equal((await connect({ pins: twice }, 'https://GATEWAY.EXAMPLE:4433/stoq/v1/files')).code, 'handshake-failed');
  for (const [spelling, url] of [
    ['[0:0::1]:4433', 'https://[::1]:4433/stoq/v1/files'],
    ['bücher.example', 'https://xn--bcher-kva.example/stoq/v1/files'],
    ['127.1:443', 'https://127.0.0.1/stoq/v1/files'],
  ]) {
    // Pinned, so the record is asked for, and turns out to be another gateway's.
    refused(await connect({ pins: { [spelling ?? '']: falconId } }, url).finally(() => { tried = []; }), 'endpoint-record-refused', /is for "gateway\.example:4433", not for/);
  }
});

test('a record by somebody else is refused by name', async () => {
  const error = await connect({ pins: { [authority]: [anotherId] } });
  refused(error, 'untrusted-identity', /which is not pinned/);
  assert.ok(error.message.includes(falconId));
});

test('a record that does not hold is refused', async () => {
  const flipped = newer.bytes.slice();
  flipped[3000] = (flipped[3000] ?? 0) ^ 1;
  for (const bytes of [flipped, newer.bytes.subarray(0, 3000), new Uint8Array(3000), new Uint8Array(), new Uint8Array(10_000)]) {
    answer = (_, response) => response.end(bytes);
    refused(await connect({}), 'endpoint-record-refused', /the endpoint record/);
    refused(await connect({ endpointRecord: bytes }), 'endpoint-record-refused', /the endpoint record/);
  }
  answer = (_, response) => response.end(newer.bytes);
  mock.timers.setTime(expiry + 1);
  refused(await connect({}), 'endpoint-record-refused', /has expired/);
  mock.timers.setTime(notBefore - 1);
  refused(await connect({}), 'endpoint-record-refused', /not valid yet/);
});

test('a record that cannot be fetched is refused', async () => {
  for (const status of [204, 304, 400, 404, 500]) {
    answer = (_, response) => response.writeHead(status).end();
    refused(await connect({}), 'endpoint-record-refused', status === 204 ? /malformed/ : new RegExp(`cannot be fetched from http.*: the server answered ${status}`));
  }
  answer = (request) => request.socket.destroy();
  refused(await connect({}), 'endpoint-record-refused', /cannot be fetched from http/);
  for (const endpointRecord of ['http://127.0.0.1:9/', 'nonsense://', '']) {
    refused(await connect({ endpointRecord }), 'endpoint-record-refused', /cannot be fetched from/);
  }
});

test('a record without end is not read to its end', { timeout: PATIENCE }, async () => {
  /** @type {Promise<void>} */
  const gone = new Promise((resolve) => {
    answer = (_, response) => {
      const more = () => { while (response.write(newer.bytes)); };
      response.on('drain', more).on('close', resolve);
      more();
    };
  });
  refused(await connect({}), 'endpoint-record-refused', /longer than \d+ bytes/);
  await gone;
});

test('the time to connect covers the record, and the request ends with it', { timeout: PATIENCE }, async () => {
  for (const begin of [() => {}, (/** @type {import('node:http').ServerResponse} */ response) => response.write(newer.bytes.subarray(0, 100))]) {
    /** @type {Promise<void>} */
    const gone = new Promise((resolve) => {
      answer = (_, response) => {
        begin(response);
        response.on('close', resolve);
      };
    });
    const start = performance.now();
    refused(await connect({ connectTimeout: 200 }), 'timeout', /the endpoint record did not come in time/);
    assert.ok(performance.now() - start < 5_000);
    await gone;
  }
});

test('the highest serial is kept in a store of the page\'s', async () => {
  const serials = new Map();
  assert.equal((await connect({ serials, endpointRecord: older.bytes })).code, 'handshake-failed');
  assert.deepEqual([...serials], [[KEY, older.serial]]);
  assert.equal((await connect({ serials })).code, 'handshake-failed');
  assert.deepEqual([...serials], [[KEY, newer.serial]]);
  // The same one again is fine, and need not be stored again.
  serials.set = () => assert.fail('it is there already');
  assert.equal((await connect({ serials })).code, 'handshake-failed');
  tried = [];
  refused(await connect({ serials, endpointRecord: older.bytes }), 'endpoint-record-refused', /an old one, served again/);
  // It stands for this client's store only.
  assert.equal((await connect({ endpointRecord: older.bytes })).code, 'handshake-failed');
});

test('who signed the highest serial does not matter', async () => {
  // Core's record, whose signer is pinned beside another, as is done when one follows the other.
  const record = readFileSync(new URL('../../stoq-core/tests/vectors/endpoint-record.bin', import.meta.url));
  const url = 'https://gateway.example/stoq/v1/files';
  mock.timers.setTime(1_700_000_000_000);
  const { message } = await connect({ pins: { 'gateway.example': anotherId }, endpointRecord: record }, url);
  const signer = /stoq1[a-z2-7]{52}/.exec(message)?.[0] ?? assert.fail(message);
  const given = { pins: { 'gateway.example': [falconId, signer] }, endpointRecord: record };
  const serials = new Map();
  assert.equal((await connect({ ...given, serials }, url)).code, 'handshake-failed');
  assert.deepEqual([...serials], [['stoq-serial:gateway.example:443', '7']]);
  // What somebody else who is pinned has reached.
  serials.set('stoq-serial:gateway.example:443', '8');
  tried = [];
  refused(await connect({ ...given, serials }, url), 'endpoint-record-refused', /an old one, served again/);
});

test('clients that share a store do not overtake each other', async () => {
  const kept = new Map();
  const soon = () => new Promise((resolve) => { setTimeout(resolve, 20); });
  const serials = {
    get: async (/** @type {string} */ key) => { const found = kept.get(key); await soon(); return found; },
    set: async (/** @type {string} */ key, /** @type {string} */ serial) => { await soon(); kept.set(key, serial); },
  };
  for (const [one, other] of [[newer, older], [older, newer]]) {
    kept.clear();
    await Promise.all([one, other].map((record) => connect({ serials, endpointRecord: record?.bytes })));
    assert.equal(kept.get(KEY), newer.serial);
  }
});

test('what another page has written meanwhile is not lowered', async () => {
  // The other page writes between the two looks of this one.
  /** @type {(string | null)[]} */
  const looks = [null, newer.serial];
  const serials = { get: () => looks.shift(), set: () => assert.fail('it is lower') };
  assert.equal((await connect({ serials, endpointRecord: older.bytes })).code, 'handshake-failed');
  assert.deepEqual(looks, []);
});

test('a store may take its time, and connects do not overtake each other', async () => {
  const kept = new Map();
  const soon = () => new Promise((resolve) => { setTimeout(resolve, 20); });
  const serials = {
    get: async (/** @type {string} */ key) => { const found = kept.get(key); await soon(); return found; },
    set: async (/** @type {string} */ key, /** @type {string} */ serial) => { await soon(); kept.set(key, serial); },
  };
  const answers = [newer.bytes, older.bytes];
  answer = (_, response) => response.end(answers.shift());
  const client = new stoq.StoqClient({ pins: { [authority]: falconId }, endpointRecord: address, serials });
  const codes = await Promise.all([URL_OF_SERVICE, URL_OF_SERVICE].map(async (url) => (await rejection(client.connect(url))).code));
  // Whichever came first: the old one after the new one is refused, the new one after the old one is not.
  assert.equal(kept.get(KEY), newer.serial);
  assert.ok(codes.includes('handshake-failed'), String(codes));
});

test('a store that fails is not passed over', async () => {
  const boom = () => { throw new Error('the disk is full'); };
  const failing = pairs([
    [{ get: boom, set() {} }, /the store of serials failed: the disk is full/],
    [{ get: async () => boom(), set() {} }, /failed: the disk is full/],
    [{ get: () => null, set: boom }, /failed: the disk is full/],
    [{ get: () => null, set: () => Promise.reject(new Error('no')) }, /failed: no/],
    ...[17, 17n, '', 'abc', '-1', '1.5', '18446744073709551616', {}].map((given) => [{ get: () => given, set() {} }, /is no serial/]),
  ]);
  for (const [serials, message] of failing) refused(await connect({ serials }), 'endpoint-record-refused', message);
  const never = () => new Promise(() => {});
  for (const serials of [{ get: never, set() {} }, { get: () => null, set: never }]) {
    refused(await connect({ serials, connectTimeout: 100 }), 'timeout', /the store of serials did not answer/);
  }
});

test('without a store the module remembers', async () => {
  assert.equal((await connect({})).code, 'handshake-failed');
  tried = [];
  refused(await connect({ endpointRecord: older.bytes }), 'endpoint-record-refused', /an old one/);
  stoq = await fresh();
  await stoq.default();
  assert.equal((await connect({ endpointRecord: older.bytes })).code, 'handshake-failed');
});

test('localStorage is used where there is one', async () => {
  /** @type {Map<string, string>} */
  const items = new Map();
  const storage = { getItem: (/** @type {string} */ key) => items.get(key) ?? null, setItem: (/** @type {string} */ key, /** @type {string} */ value) => { items.set(key, value); } };
  const refusing = { getItem() { throw new Error('not here'); }, setItem() { throw new Error('not here'); } };
  const before = Object.getOwnPropertyDescriptor(globalThis, 'localStorage');
  const offer = (/** @type {unknown} */ value) => Object.defineProperty(globalThis, 'localStorage', { value, configurable: true });
  try {
    offer(storage);
    assert.equal((await connect({})).code, 'handshake-failed');
    assert.deepEqual([...items], [[KEY, newer.serial]]);
    // What another page lowered, because it wrote in the same moment, is raised again.
    items.set(KEY, older.serial);
    assert.equal((await connect({})).code, 'handshake-failed');
    assert.deepEqual([...items], [[KEY, newer.serial]]);
    // Another page, that is another module, of the same origin.
    stoq = await ready();
    tried = [];
    refused(await connect({ endpointRecord: older.bytes }), 'endpoint-record-refused', /an old one/);
    items.set(KEY, 'what is this');
    refused(await connect({}), 'endpoint-record-refused', /stoq-serial:.* is no serial/);

    for (const value of [refusing, null]) {
      offer(value);
      stoq = await ready();
      assert.equal((await connect({})).code, 'handshake-failed');
      tried = [];
      refused(await connect({ endpointRecord: older.bytes }), 'endpoint-record-refused', /an old one/);
    }
  } finally {
    if (before) Object.defineProperty(globalThis, 'localStorage', before);
    else delete (/** @type {any} */ (globalThis)).localStorage;
  }
});

test('options that cannot be are refused, and name the entry', () => {
  const pins = { [authority]: falconId };
  const wrong = pairs([
    [{ pins, certificateHashes: ['00'.repeat(32)] }, /exclude each other/],
    [{ endpointRecord: address }, /endpointRecord is of no use without pins/],
    [{ serials: new Map() }, /serials is of no use without pins/],
    ...[null, 17, 'stoq1', [falconId], new Map([[authority, falconId]])].map((value) => [{ pins: value }, /pins must be an object/]),
    ...['', 'a/b', 'a?b', 'a#b', 'me@a', 'a b', 'a\n', 'a:', 'a:b', 'a:65536', '[::1', 'http://a', 'https://', 'https://a/'].map((key) => [{ pins: { ok: falconId, [key]: falconId } }, /^pins\["(?!ok).*host:port/s]),
    ...['stoq1', falconId.toUpperCase(), `${falconId} `, falconId.slice(0, -1)].map((id) => [{ pins: { 'a:1': [falconId, id] } }, /^pins\["a:1"\]: ".*" is none/]),
    ...[17, null, undefined, {}, [[falconId]]].map((id) => [{ pins: { 'a:1': id } }, /^pins\["a:1"\]: a FALCON identity/]),
    ...[17, null, {}, [1]].map((value) => [{ pins, endpointRecord: value }, /endpointRecord must be/]),
    ...[17, null, {}, { get() {} }, { get: 1, set: 1 }, 'localStorage'].map((value) => [{ pins, serials: value }, /serials must be/]),
  ]);
  for (const [options, message] of wrong) {
    assert.throws(() => new stoq.StoqClient(options), { code: 'invalid-argument', message }, JSON.stringify(options));
  }
  for (const options of [{ pins, certificateHashes: [] }, { pins: {} }, { pins: undefined, endpointRecord: undefined, serials: undefined }]) {
    new stoq.StoqClient(/** @type {any} */ (options)).free();
  }
});
