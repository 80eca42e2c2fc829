// Verified streams: what a real key has signed arrives, or does not arrive as it was sent. The service's half was made by native
// code (verified-streams.json); the browser's WebTransport is one whose other end is this test.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { after, before, beforeEach, mock, test } from 'node:test';
import { Carrier, WebTransportError } from './carrier.js';
import { ready, rejection } from './installed.js';

/** @typedef {import('stoq').VerifiedOptions} VerifiedOptions */
/** @typedef {import('stoq').Session} Session */

const file = JSON.parse(readFileSync(new URL('verified-streams.json', import.meta.url), 'utf8'));
/** @type {Uint8Array[]} */
const ANSWER = file.answer.map(unhex);
const [KEY, TOKEN0, DATA0, TOKEN1, DATA1, SIGNED, TOKEN2, DATA2, END] = /** @type {[Uint8Array, Uint8Array, Uint8Array, Uint8Array, Uint8Array, Uint8Array, Uint8Array, Uint8Array, Uint8Array]} */ (/** @type {unknown} */ (ANSWER));
const URL_OF_SERVICE = `https://gateway.example/stoq/v1/${file.service}`;
const ORIGINS = { origins: [file.origin] };
const PENDING = { ...ORIGINS, delivery: /** @type {const} */ ('pending') };

/** @type {import('./installed.js').Stoq} */
let stoq;
/** @type {Session} */
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
  session = await new stoq.StoqClient().connect(URL_OF_SERVICE);
});

/** @param {string} hex */
function unhex(hex) {
  return Uint8Array.from(Buffer.from(hex, 'hex'));
}

/** @param {Uint8Array[]} pieces */
function joined(pieces) {
  return Uint8Array.from(Buffer.concat(pieces));
}

/** @param {Uint8Array} frame @param {number} at */
function flipped(frame, at) {
  const other = frame.slice();
  const place = at < 0 ? frame.length + at : at;
  other[place] = (other[place] ?? 0) ^ 1;
  return other;
}

/**
 * Asks on a verified stream of its own, and has this come back.
 * @param {Uint8Array[]} frames
 * @param {VerifiedOptions} [options]
 * @param {string | null} [question] null: nothing is asked
 * @param {{ cut?: number, ends?: boolean, more?: string }} [how] `cut`: bytes in a chunk; `ends`: whether the stream ends behind
 *   it; `more`: what is asked behind the question, which ends there
 */
async function ask(frames, options = ORIGINS, question = file.question, { cut = Infinity, ends = true, more } = {}) {
  const stream = await session.openVerifiedBidirectionalStream(options);
  const line = /** @type {import('./carrier.js').Line} */ (Carrier.last.lines.at(-1));
  if (question !== null) await stream.send.write(new TextEncoder().encode(question));
  if (more !== undefined) {
    await stream.send.write(new TextEncoder().encode(more));
    await stream.send.finish();
  }
  const bytes = joined(frames);
  for (let at = 0; at < bytes.length; at += cut) line.bytes.enqueue(bytes.slice(at, at + cut));
  if (ends) line.bytes.close();
  /** @type {any[]} */
  const items = [];
  /** @type {any} */
  let error;
  try {
    for (;;) {
      const item = await stream.receive.read();
      if (!item) break;
      items.push(short(item));
    }
  } catch (thrown) {
    error = thrown;
  }
  return { stream, line, items, error };
}

/** @param {import('stoq').VerifiedItem} item */
function short(item) {
  if (item.data) return `${item.state} ${item.sequence} ${new TextDecoder().decode(item.data)}`;
  assert.equal(item.signer, file.origin);
  assert.equal(item.state, 'verified');
  assert.equal(item.answers, 1);
  return `through ${item.through}${item.final ? ', final' : ''}`;
}

const VERIFIED = ['verified 0 forty', 'verified 1 -', 'through 1', 'verified 2 two', 'through 2, final'];

test('data is handed out when its signature has come, however the bytes are cut', async () => {
  for (const cut of [1, 7, 64, Infinity]) {
    session = await new stoq.StoqClient().connect(URL_OF_SERVICE);
    const { items, error } = await ask(ANSWER, ORIGINS, file.question, { cut });
    assert.deepEqual([items, error], [VERIFIED, undefined], `chunks of ${cut}`);
    assert.deepEqual(session.stats().refused, {});
  }
});

test('or at once, as pending, and then its signature', async () => {
  const { items, error } = await ask(ANSWER, PENDING);
  assert.deepEqual([items, error], [['pending 0 forty', 'pending 1 -', 'through 1', 'pending 2 two', 'through 2, final'], undefined]);
});

test('the signed end of an answer to less than was asked and finished is refused, unless the page takes such', async () => {
  const { items, error } = await ask(ANSWER, ORIGINS, file.question, { more: ', or not?' });
  assert.deepEqual([items, error?.code, error?.sequence], [VERIFIED.slice(0, 3), 'wrong-request', 2]);
  session = await new stoq.StoqClient().connect(URL_OF_SERVICE);
  const taken = await ask(ANSWER, { ...ORIGINS, partialAnswers: true }, file.question, { more: ', or not?' });
  assert.deepEqual([taken.items, taken.error], [VERIFIED, undefined]);
  session = await new stoq.StoqClient().connect(URL_OF_SERVICE);
  // The answer has ended before the question does.
  const first = await ask(ANSWER);
  assert.equal(first.error, undefined);
  await first.stream.send.write(new TextEncoder().encode(', or not?'));
  assert.equal((await rejection(first.stream.send.finish())).code, 'wrong-request');
});

/**
 * Verified streams of a session, which hold back what nobody signs, and the test's own clock for their time-outs.
 * @param {(streams: Holding[], add: (pieces: number) => Promise<Holding>) => Promise<void>} body
 */
async function holding(body) {
  mock.timers.reset();
  mock.timers.enable({ apis: ['Date', 'setTimeout'], now: file.now });
  const random = mock.method(crypto, 'getRandomValues', (/** @type {Uint8Array} */ array) => array.fill(Carrier.last.lines.length));
  try {
    /** @type {Holding[]} */
    const streams = [];
    await body(streams, async (pieces) => {
      const { channel, receive } = await session.openVerifiedBidirectionalStream(ORIGINS);
      const line = /** @type {import('./carrier.js').Line} */ (Carrier.last.lines.at(-1));
      for (let sequence = 0; sequence < pieces; sequence += 1) line.bytes.enqueue(unsigned(channel, sequence, PIECE));
      const reading = receive.read().catch((error) => error);
      const stream = { line, receive, reading, waits: () => (line.bytes.desiredSize ?? 0) < 0 };
      streams.push(stream);
      return stream;
    });
  } finally {
    random.mock.restore();
    mock.method(crypto, 'getRandomValues', (/** @type {Uint8Array} */ array) => array.fill(1));
    mock.timers.reset();
    mock.timers.enable({ apis: ['Date'], now: file.now });
  }
}
/** @typedef {{ line: import('./carrier.js').Line, receive: import('stoq').VerifiedReceiveStream, reading: Promise<any>, waits: () => boolean }} Holding */

/** Lets others work until something is so, and some turns more for what should not happen. @param {() => boolean} until */
async function turns(until) {
  for (let at = 0; at < 100 || !until() && at < 20_000; at += 1) await new Promise((resolve) => { setImmediate(resolve); });
}

const PIECE = new Uint8Array(16_384);
/** Pieces of two full runs: 16 MiB, all that a stream may hold. */
const FULL = 1024;

test('what streams hold back is bounded for all of a session, and in time', () => holding(async (streams, add) => {
  for (let number = 0; number < 6; number += 1) await add(FULL);
  const waiting = () => streams.filter(({ waits }) => waits()).length;
  await turns(() => waiting() === 5);
  await turns(() => true);
  assert.equal(waiting(), 5, 'one goes on when 64 MiB are held');
  let ended = 0;
  for (const { reading } of streams) void reading.then(() => { ended += 1; });
  for (let round = 1; round <= 6 && ended < 6; round += 1) {
    const before = ended;
    mock.timers.tick(31_000);
    await turns(() => ended > before && (waiting() === 0 || ended < 2));
  }
  for (const { line, reading } of streams) {
    const error = await reading;
    assert.deepEqual([error.code, error.sequence], ['limit-exceeded', 0]);
    assert.notEqual(line.stopped, undefined);
  }
  assert.deepEqual(session.stats().refused, { 'limit-exceeded': 6 });
}));

test('room that one stream makes is there for those who wait, also while another goes on without', () => holding(async (streams, add) => {
  for (let number = 0; number < 4; number += 1) await add(FULL);
  await turns(() => !streams.some(({ waits }) => waits()));
  await turns(() => true);
  // 64 MiB are held, and the stream that came to them last waits for its signature.
  const late = await add(3);
  const { bytes } = late.line;
  const two = -2 * unsigned(file.channel, 0, PIECE).length;
  await turns(() => bytes.desiredSize === two);
  await turns(() => true);
  assert.equal(bytes.desiredSize, two, 'what has read one piece of three waits with it');
  const [first] = streams;
  await first?.receive.stop();
  assert.equal(await first?.reading, undefined);
  await turns(() => !late.waits());
  assert.ok(!late.waits(), 'it reads on');
}));

/** A piece with its token, by SHA-256. @param {string} channel @param {number} sequence @param {Uint8Array} data */
function unsigned(channel, sequence, data) {
  const numbers = Buffer.alloc(16);
  numbers.writeBigUInt64BE(BigInt(sequence), 0);
  numbers.writeBigUInt64BE(BigInt(file.now) * 1000n, 8);
  const scope = [Buffer.from('stoq token v1'), unhex(file.hash), Uint8Array.of(1), unhex(channel), numbers, data];
  const tag = createHash('sha256').update(Buffer.concat(scope)).digest();
  const number = sequence < 64 ? Uint8Array.of(sequence) : Uint8Array.of(0x40 | sequence >> 8, sequence & 255);
  const token = joined([Uint8Array.of(0), number, numbers.subarray(8), tag]);
  const header = Uint8Array.of(0, 0x80 | data.length >> 24, data.length >> 16 & 255, data.length >> 8 & 255, data.length & 255);
  return joined([unhex('c0000000fe000001'), Uint8Array.of(token.length), token, header, data]);
}

test('without origins it stays pending, and a cut between frames is not seen', async () => {
  const pending = ['pending 0 forty', 'pending 1 -', 'pending 2 two'];
  assert.deepEqual(await ask(ANSWER, {}).then(({ items }) => items), pending);
  session = await new stoq.StoqClient().connect(URL_OF_SERVICE);
  const cut = await ask(ANSWER.slice(0, 3), undefined, null).then(({ items, error }) => [items, error?.code]);
  assert.deepEqual(cut, [[], 'truncated'], 'with origins it is');
  session = await new stoq.StoqClient().connect(URL_OF_SERVICE);
  const { items, error } = await ask(ANSWER.slice(0, 3), {}, null);
  assert.deepEqual([items, error], [pending.slice(0, 1), undefined]);
});

/** What a relay could do, what it is called, from where on nothing is to be used, and how many items came as pending before. @type {[string, Uint8Array[], string, number, number][]} */
const HOSTILE = [
  ['changes data', [KEY, TOKEN0, flipped(DATA0, -1)], 'bad-token', 0, 0],
  ['changes data behind a signature', [...ANSWER.slice(0, 7), flipped(DATA2, -1)], 'bad-token', 2, 3],
  ['changes a token', [KEY, flipped(TOKEN0, -1), DATA0], 'bad-token', 0, 0],
  ['drops data', [KEY, TOKEN0, DATA0, SIGNED, END], 'unsent-run', 1, 1],
  ['drops data in the middle', [KEY, TOKEN1, DATA1], 'bad-token', 0, 0],
  ['drops data at the end', [...ANSWER.slice(0, 6), END], 'unsent-run', 2, 3],
  ['repeats data', [KEY, TOKEN0, DATA0, TOKEN0, DATA0], 'replayed-token', 0, 1],
  ['changes the order', [KEY, TOKEN1, DATA1, TOKEN0, DATA0], 'bad-token', 0, 0],
  ['cuts behind a signature', ANSWER.slice(0, 6), 'truncated', 2, 3],
  ['cuts before a signature', ANSWER.slice(0, 5), 'truncated', 0, 2],
  ['cuts within a frame', [...ANSWER.slice(0, 4), DATA1.slice(0, 1)], 'truncated', 0, 1],
  ['cuts before anything', [], 'truncated', 0, 0],
  ['changes a signature', [...ANSWER.slice(0, 5), flipped(SIGNED, -700)], 'bad-signature', 0, 2],
  ['leaves a signature out', [...ANSWER.slice(0, 5), TOKEN2, DATA2, END], 'bad-signature', 0, 3],
  ['repeats a signature', [...ANSWER.slice(0, 6), SIGNED], 'replayed-token', 0, 3],
  ['leaves the key out', ANSWER.slice(1), 'bad-signature', 0, 2],
  ['signs itself', file.byAnother.map(unhex), 'untrusted-origin', 0, 0],
  ['goes on behind the end', [...ANSWER, TOKEN2, DATA2], 'protocol-violation', 3, 5],
  ['sends what is no frame', [KEY, unhex('00ffffffffffffffff')], 'frame-too-large', 0, 0],
];

for (const [what, frames, code, sequence, came] of HOSTILE) {
  test(`a relay that ${what} is found out: ${code} from ${sequence} on`, async () => {
    // What is wrong is seen at once; only what is missing when the stream has ended.
    const ends = code === 'truncated';
    const { items, error, line, stream } = await ask(frames, PENDING, file.question, { ends });
    assert.ok(error instanceof stoq.StoqError, String(error));
    assert.deepEqual([error.code, error.sequence], [code, sequence], error.message);
    assert.equal(items.length, came, items.join('; '));
    assert.deepEqual(session.stats().refused, { [code]: 1 });
    const again = await rejection(stream.receive.read());
    assert.deepEqual([again.code, again.sequence, session.stats().refused[error.code]], [code, sequence, 1], 'it is said again, and counted once');
    if (!ends) assert.equal(typeof line.stopped, 'number', 'the peer is told to stop');

    session = await new stoq.StoqClient().connect(URL_OF_SERVICE);
    const held = await ask(frames, ORIGINS, file.question, { ends });
    assert.deepEqual([held.error?.code, held.error?.sequence], [code, sequence]);
    const good = held.items.filter((item) => item.startsWith('verified'));
    assert.deepEqual(held.items, VERIFIED.slice(0, held.items.length), 'nothing else is handed out');
    assert.ok(good.length <= VERIFIED.length);
  });
}

test('the answer to another question is none to this one', async () => {
  const other = await ask(ANSWER, ORIGINS, 'which is the other answer?');
  assert.deepEqual([other.items, other.error.code, other.error.sequence], [[], 'bad-signature', 0]);
  session = await new stoq.StoqClient().connect(URL_OF_SERVICE);
  const unasked = await ask(ANSWER, ORIGINS, null);
  assert.deepEqual([unasked.items, unasked.error.code, unasked.error.sequence], [[], 'wrong-request', 0]);
});

test('what was signed for another session or channel is of no use', async () => {
  const ones = /** @type {import('node:test').Mock<any>} */ (/** @type {unknown} */ (crypto.getRandomValues)).mock;
  try {
    // The client's random bytes are others, so that the session is another.
    ones.mockImplementation((/** @type {Uint8Array} */ array) => array.fill(array.length === 32 ? 3 : 1));
    session = await new stoq.StoqClient().connect(URL_OF_SERVICE);
    assert.notEqual(Buffer.from(session.hash).toString('hex'), file.hash);
    assert.equal((await ask(ANSWER)).error.code, 'bad-token');
    ones.mockImplementation((/** @type {Uint8Array} */ array) => array.fill(array.length === 32 ? 1 : 3));
    session = await new stoq.StoqClient().connect(URL_OF_SERVICE);
    assert.equal(Buffer.from(session.hash).toString('hex'), file.hash);
    assert.equal((await ask(ANSWER)).error.code, 'bad-token');
  } finally {
    ones.mockImplementation((/** @type {Uint8Array} */ array) => array.fill(1));
  }
});

test('what is sent has tokens that the other end checks', async () => {
  const { stream, line } = await ask([], {});
  assert.equal(stream.channel, file.channel);
  await stream.send.finish();
  assert.equal(Buffer.concat(line.sent).toString('hex'), `02${file.channel}${file.asked.join('')}`);
  assert.equal(line.ended, 'finished');
  assert.equal((await rejection(stream.send.write(new Uint8Array(1)))).code, 'invalid-argument');
});

test('a large chunk goes in frames of 16 KiB, as fast as they are taken, and chunks keep their order', async () => {
  const stream = await session.openVerifiedBidirectionalStream();
  const line = /** @type {import('./carrier.js').Line} */ (Carrier.last.lines.at(-1));
  /** @type {() => void} */
  let release = () => {};
  line.hold = new Promise((resolve) => { release = resolve; });
  let written = 0;
  const first = stream.send.write(new Uint8Array(1_000_000).fill(7)).then(() => { written = 1; });
  const second = stream.send.write(new Uint8Array(3).fill(8)).then(() => { written = 2; });
  const end = stream.send.finish();
  await new Promise((resolve) => { setTimeout(resolve, 20); });
  assert.deepEqual([written, line.sent.length], [0, 1], 'nothing is taken behind the name, so nothing is written');
  release();
  await Promise.all([first, second, end]);
  const bytes = Buffer.concat(line.sent).subarray(17);
  /** @type {number[]} */
  const lengths = [];
  for (let at = 0; at < bytes.length;) {
    // TOKEN: type [8], length [1]; a sequence of 64 or more takes a byte more. DATA: type [1], length [1, 2 or 4].
    at += 9 + (bytes[at + 8] ?? 0);
    const form = 1 << ((bytes[at + 1] ?? 0) >> 6);
    const length = bytes.readUIntBE(at + 1, form) & (form === 4 ? 0x3fff_ffff : form === 2 ? 0x3fff : 0x3f);
    at += 1 + form;
    const value = lengths.length < 62 ? 7 : 8;
    assert.ok(bytes.subarray(at, at + length).every((byte) => byte === value), `frame ${lengths.length}`);
    lengths.push(length);
    at += length;
  }
  assert.deepEqual(lengths, [...Array(61).fill(16_384), 1_000_000 - 61 * 16_384, 3]);
});

test('readable and writable are streams of the standard', async () => {
  const stream = await session.openVerifiedBidirectionalStream(PENDING);
  const line = /** @type {import('./carrier.js').Line} */ (Carrier.last.lines.at(-1));
  assert.equal(stream.readable, stream.receive.readable);
  assert.equal(stream.writable, stream.send.writable);
  assert.equal(stream.receive, stream.receive);
  const writer = stream.writable.getWriter();
  await writer.write(new TextEncoder().encode(file.question));
  line.bytes.enqueue(joined(ANSWER));
  line.bytes.close();
  const items = [];
  for await (const item of stream.readable) items.push(short(item));
  assert.equal(items.length, 5);
  await writer.abort(new stoq.StoqError('application', 7, 'enough'));
  assert.equal(typeof line.reset, 'number');

  session = await new stoq.StoqClient().connect(URL_OF_SERVICE);
  const cancelled = await session.openVerifiedBidirectionalStream(PENDING);
  const other = /** @type {import('./carrier.js').Line} */ (Carrier.last.lines.at(-1));
  other.bytes.enqueue(joined(ANSWER.slice(0, 5)));
  const reader = cancelled.readable.getReader();
  assert.equal(short(/** @type {any} */ ((await reader.read()).value)), 'pending 0 forty');
  await reader.cancel(new stoq.StoqError('application', 7, 'enough'));
  assert.equal(typeof other.stopped, 'number');
  assert.equal(await cancelled.receive.read(), undefined, 'what had come is not handed out any more');
});

test('a stream that is freed while somebody waits goes on', async () => {
  const stream = await session.openVerifiedBidirectionalStream(ORIGINS);
  const line = /** @type {import('./carrier.js').Line} */ (Carrier.last.lines.at(-1));
  await stream.send.write(new TextEncoder().encode(file.question));
  const { receive } = stream;
  const reads = [receive.read(), receive.read(), receive.read()];
  receive.free();
  stream.free();
  line.bytes.enqueue(joined(ANSWER));
  const items = await Promise.all(reads);
  assert.deepEqual(items.map((item) => item && short(item)), VERIFIED.slice(0, 3), 'reads that wait are served in their order');
});

test('the peer opens verified streams, and each kind waits for its own', async () => {
  const raw = session.acceptUnidirectionalStream();
  const verified = session.acceptVerifiedUnidirectionalStream(PENDING);
  const other = unhex('0909090909090909090909090909090909');
  const line = Carrier.last.open();
  line.bytes.enqueue(joined([unhex('02'), other.slice(1), ...ANSWER.slice(0, 3)]));
  const stream = await verified;
  assert.equal((await rejection(stream.read())).code, 'bad-token', 'it was made for another channel');
  const plain = Carrier.last.open();
  plain.bytes.enqueue(joined([unhex('01'), Uint8Array.of(5, 6)]));
  assert.deepEqual([...(await (await raw).read()) ?? []], [5, 6]);

  const both = session.acceptVerifiedBidirectionalStream(PENDING);
  const twoWays = Carrier.last.open('bidirectional');
  twoWays.bytes.enqueue(joined([unhex('02'), unhex(file.channel), TOKEN0, DATA0]));
  const accepted = await both;
  assert.equal(accepted.channel, file.channel);
  assert.equal(short(/** @type {any} */ (await accepted.receive.read())), 'pending 0 forty');
  await accepted.send.write(new TextEncoder().encode(file.question));
  assert.deepEqual(Buffer.concat(twoWays.sent).toString('hex'), file.asked.join(''), 'the name stands on the half of the opener');
  assert.equal(session.stats().streamsAccepted, 3);
});

test('a channel is used once in a session', async () => {
  const stream = await session.openVerifiedBidirectionalStream(ORIGINS);
  assert.equal(stream.channel, file.channel);
  const again = await rejection(session.openVerifiedUnidirectionalStream());
  assert.equal(again.code, 'channel-reused');
  // A relay gives back what the page itself has opened, and then the zeros that are for datagrams.
  for (const name of [unhex(file.channel), new Uint8Array(16)]) {
    const line = Carrier.last.open();
    line.bytes.enqueue(joined([unhex('02'), name, ...ANSWER]));
    while (line.stopped === undefined) await new Promise((resolve) => { setImmediate(resolve); });
  }
  assert.deepEqual(session.stats().refused, { 'channel-reused': 2 });
});

test('each end opens 65,536 channels and no more', async () => {
  // What is called so often is better not written down by a mock.
  const [carrier, { getRandomValues }] = [Carrier.last, crypto];
  const { createUnidirectionalStream } = carrier;
  const none = new WebTransportError({ streamErrorCode: 0 });
  let opened = 0;
  crypto.getRandomValues = (array) => {
    opened += 1;
    new DataView(array.buffer, array.byteOffset).setUint32(0, opened);
    return array;
  };
  try {
    // One that does not come to be has had its name all the same.
    carrier.createUnidirectionalStream = () => Promise.reject(none);
    for (let count = 1; count < 65_536; count += 1) await rejection(session.openVerifiedUnidirectionalStream());
    carrier.createUnidirectionalStream = createUnidirectionalStream;
    await session.openVerifiedUnidirectionalStream();
    assert.equal((await rejection(session.openVerifiedUnidirectionalStream())).code, 'limit-exceeded');
  } finally {
    Object.assign(crypto, { getRandomValues });
  }
  // What the page has opened takes no place of the peer's, and is known all the same.
  const again = Carrier.last.open();
  again.bytes.enqueue(joined([unhex('02'), Uint8Array.of(0, 0, 0, 1), new Uint8Array(12)]));
  const other = Carrier.last.open();
  other.bytes.enqueue(joined([unhex('02'), unhex('09'.repeat(16))]));
  await session.acceptVerifiedUnidirectionalStream(PENDING);
  assert.deepEqual(session.stats().refused, { 'channel-reused': 1 });
});

test('options that cannot be are refused', async () => {
  const wrong = [
    'text', null, { origins: 17 }, { origins: ['stoq1'] }, { origins: [file.origin, 5] }, { delivery: 'soon', ...ORIGINS },
    { delivery: 'verified' }, { delivery: 'verified', origins: [] }, { algorithm: 'md5' },
  ];
  for (const options of /** @type {any[]} */ (wrong)) {
    const calls = [
      session.openVerifiedBidirectionalStream(options), session.acceptVerifiedBidirectionalStream(options),
      session.acceptVerifiedUnidirectionalStream(options), session.openVerifiedUnidirectionalStream(options),
    ];
    for (const call of calls) assert.equal((await rejection(call)).code, 'invalid-argument', JSON.stringify(options));
  }
});

test('the relays on the way are shown as what they say', async () => {
  assert.deepEqual(session.hops, [
    { id: file.origin, address: '192.0.2.7', port: 4433, timestamp: new Date(file.now), metadata: [] },
    { id: session.hops[1]?.id, address: '2001:db8::1', port: 4433, timestamp: new Date(file.now), metadata: [['place', 'Zürich']] },
  ]);
  assert.equal(session.hops, session.hops);
  assert.ok(Object.isFrozen(session.hops) && Object.isFrozen(session.hops[0]));
});

test('a route is asked for, as long as one can be', async () => {
  const client = new stoq.StoqClient();
  await client.connect(URL_OF_SERVICE, { route: [file.origin, file.other] });
  const asked = Buffer.concat(Carrier.last.lines[0]?.sent ?? []);
  await client.connect(URL_OF_SERVICE, {});
  const straight = Buffer.concat(Carrier.last.lines[0]?.sent ?? []);
  assert.ok(asked.length >= straight.length + 64, 'two identities more');
  await client.connect(URL_OF_SERVICE, { route: file.origin });
  for (const route of /** @type {any[]} */ ([Array(17).fill(file.origin), ['text'], 5, [5]])) {
    assert.equal((await rejection(client.connect(URL_OF_SERVICE, { route }))).code, 'invalid-argument');
  }
  assert.equal((await rejection(client.connect(URL_OF_SERVICE, /** @type {any} */ ('route')))).code, 'invalid-argument');
});
