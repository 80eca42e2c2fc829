// Seeds: what a page may announce, and what a far end that breaks rules can do. The browser's WebTransport is one whose other
// end is this test.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, beforeEach, mock, test } from 'node:test';
import { Carrier } from './carrier.js';
import { ready, rejection } from './installed.js';

const file = JSON.parse(readFileSync(new URL('verified-streams.json', import.meta.url), 'utf8'));
const ID = 'stoq1gmztgmztgmztgmztgmztgmztgmztgmztgmztgmztgmztgmztgmzq';
const SEED = {
  content: new Uint8Array(32).fill(0xee),
  replication: 2,
  nodes: [{ id: ID, address: '192.0.2.2', port: 4433, reliability: 100 }],
};
/** The same on the wire: type, length, content, replication, priority; node, address, port, reliability. */
const WIRE = unhex(`c0000000fe000004${'4055'}${'ee'.repeat(32)}0201${'33'.repeat(32)}${'00'.repeat(10)}ffffc0000202115164`);

/** How the far end is told, in the numbers that browsers carry. @type {Record<string, number>} */
const STOPS = { 'malformed-frame': 0xc3, 'frame-too-large': 0xc4, 'control-flood': 0xd3 };

/** @type {import('./installed.js').Stoq} */
let stoq;
/** @type {import('stoq').Session} */
let session;

before(async () => {
  Carrier.install();
  Carrier.control = unhex(file.control);
  stoq = await ready();
});
after(() => mock.restoreAll());
beforeEach(async () => {
  session = await new stoq.StoqClient().connect(`https://gateway.example/stoq/v1/${file.service}`);
});

/** @param {string} hex */
function unhex(hex) {
  return Uint8Array.from(Buffer.from(hex, 'hex'));
}

/** @param {Uint8Array[]} pieces */
function joined(pieces) {
  return Uint8Array.from(Buffer.concat(pieces));
}

/** The far end's announcing stream, with these bytes on it. @param {Uint8Array[]} pieces */
function announced(...pieces) {
  const line = Carrier.last.open();
  line.bytes.enqueue(joined([Uint8Array.of(0x04), ...pieces]));
  return line;
}

/** @param {Record<string, unknown>} other @returns {any} */
function node(other) {
  return { ...SEED, nodes: [{ ...SEED.nodes[0], ...other }] };
}

test('a seed is one frame on a stream of its own, opened before the first', async () => {
  assert.equal(Carrier.last.lines.length, 1, 'only the control stream');
  await Promise.all([session.sendSeed(SEED), session.sendSeed({ ...SEED, priority: 'high' })]);
  assert.equal(Carrier.last.lines.length, 2);
  const high = WIRE.slice();
  high[10 + 33] = 2;
  assert.deepEqual(joined(Carrier.last.lines[1]?.sent ?? []), joined([Uint8Array.of(0x04), WIRE, high]));
  assert.equal(session.stats().streamsOpened, 0);
});

test('what breaks a rule is not sent', async () => {
  /** @type {[any, string][]} */
  const wrong = [
    [undefined, 'object'],
    [{ ...SEED, content: new Uint8Array(31) }, 'content'],
    [{ ...SEED, content: 'ee' }, 'content'],
    [{ ...SEED, replication: 256 }, 'replication'],
    [{ ...SEED, replication: undefined }, 'replication'],
    [{ ...SEED, replication: 1.5 }, 'replication'],
    [{ ...SEED, priority: 'urgent' }, 'priority'],
    [{ ...SEED, priority: 4 }, 'priority'],
    [{ ...SEED, nodes: undefined }, 'nodes'],
    [{ ...SEED, nodes: [undefined] }, 'id'],
    [{ ...SEED, nodes: [SEED.nodes[0], SEED.nodes[0]] }, 'stands twice'],
    [{ ...SEED, nodes: Array.from({ length: 256 }, (_, at) => ({ ...SEED.nodes[0], port: 1 + at })) }, 'more than'],
    [node({ id: 'stoq1' }), 'id'],
    [node({ port: 0 }), 'port'],
    [node({ port: 65_536 }), 'port'],
    [node({ reliability: 101 }), 'reliability'],
    [node({ reliability: -1 }), 'reliability'],
  ];
  const addresses = [
    '', 'localhost', '1.2.3', '1.2.3.4.5', '256.0.0.1', '01.2.3.4', '+1.2.3.4', '1.2.3.', ':', ':::', '1:2:3:4:5:6:7', '1::2::3',
    '1:2:3:4:5:6:7::8', '1:2:3:4:5:6:7:8:9', '12345::', 'g::', '+1::', '[::1]', '::1%eth0', '::1.2.3.4',
  ];
  for (const address of addresses) wrong.push([node({ address }), 'address']);
  for (const [seed, why] of wrong) {
    const error = await rejection(session.sendSeed(seed));
    assert.equal(error.code, 'invalid-argument', why);
    assert.ok(error.message.includes(why), `${error.message}, not ${why}`);
  }
  assert.equal(Carrier.last.lines.length, 1, 'no stream was opened for them');
});

test('addresses arrive in the form in which they are written', async () => {
  for (const address of ['0.0.0.0', '255.255.255.255', '::', '::1', '1::', '1:2:3:4:5:6:7:8', '2001:db8::a:0:0:1']) {
    await session.sendSeed(node({ address }));
    // What was sent comes back.
    const sent = joined(Carrier.last.lines[1]?.sent ?? []);
    assert.equal(sent[0], 0x04);
    announced(sent.slice(1));
    const { value } = await reader().read();
    assert.equal(value?.kind === 'announced' && value.seed.nodes[0]?.address, address);
    session = await new stoq.StoqClient().connect(`https://gateway.example/stoq/v1/${file.service}`);
  }
});

test('seeds are sent no faster than a far end takes them', async () => {
  // A clock that stands still until the test moves it.
  let now = performance.now();
  const clock = mock.method(performance, 'now', () => now);
  mock.timers.enable({ apis: ['setTimeout'] });
  const turn = async () => { for (let at = 0; at < 2000; at += 1) await new Promise((resolve) => { setImmediate(resolve); }); };
  const sent = () => joined(Carrier.last.lines[1]?.sent ?? []).length;
  try {
    const all = Promise.all(Array.from({ length: 260 }, () => session.sendSeed(SEED)));
    await turn();
    assert.equal(sent(), 1 + 256 * WIRE.length, 'half of the burst that it takes');
    for (let more = 1; more <= 4; more += 1) {
      now += 31.25;
      mock.timers.tick(33);
      await turn();
      assert.equal(sent(), 1 + (256 + more) * WIRE.length, 'and then half of the rate');
    }
    await all;
  } finally {
    clock.mock.restore();
    mock.timers.reset();
  }
});

function reader() {
  return session.seeds.getReader();
}

test('nothing is read before somebody reads', async () => {
  const line = announced(WIRE);
  line.bytes.enqueue(WIRE.slice());
  for (let turn = 0; turn < 10; turn += 1) await new Promise((resolve) => { setTimeout(resolve); });
  assert.equal(line.bytes.desiredSize, -2 * WIRE.length, 'all but the header waits');
  const { value } = await reader().read();
  assert.deepEqual(value, { kind: 'announced', seed: { ...SEED, priority: 'normal' } });
});

test('frames that are cut, unknown, or not for a page are read past', async () => {
  const events = reader();
  const line = announced(WIRE.slice(0, 40));
  line.bytes.enqueue(joined([WIRE.slice(40), unhex('3f03aabbcc'), unhex('0001ff'), WIRE]));
  assert.equal((await events.read()).value?.kind, 'announced');
  const other = WIRE.slice();
  other[10 + 32] = 9;
  line.bytes.enqueue(other);
  const { value } = await events.read();
  assert.equal(value?.kind === 'changed' && value.seed.replication, 9);
  line.bytes.close();
  const waiting = events.read();
  await session.close();
  assert.equal((await rejection(waiting)).code, 'session-closed');
});

for (const [what, bytes, code] of /** @type {[string, Uint8Array, string][]} */ ([
  ['reliability 101', replaced(-1, 101), 'malformed-frame'],
  ['priority 4', replaced(10 + 33, 4), 'malformed-frame'],
  ['a frame over its limit', unhex('c0000000fe00000472f0'), 'frame-too-large'],
  ['a flood of seeds', joined(Array.from({ length: 600 }, () => WIRE)), 'control-flood'],
  ['a flood of nothing', unhex('3f00'.repeat(5000)), 'control-flood'],
])) {
  test(`${what} stops the far end`, async () => {
    const events = reader();
    const line = announced(WIRE, bytes);
    assert.equal((await events.read()).value?.kind, 'announced', 'what came before stays good');
    const error = await rejection(events.read());
    assert.equal(error.code, code);
    assert.equal(line.stopped, STOPS[error.code]);
  });
}

test('an end within a frame is an error', async () => {
  const events = reader();
  announced(WIRE.slice(0, 50)).bytes.close();
  assert.equal((await rejection(events.read())).code, 'malformed-frame');
});

test('a second announcing stream is stopped', async () => {
  const events = reader();
  announced(WIRE);
  const second = announced(WIRE);
  assert.equal((await events.read()).value?.kind, 'announced');
  while (second.stopped === undefined) await new Promise((resolve) => { setTimeout(resolve); });
  const waiting = events.read();
  await session.close();
  assert.equal((await rejection(waiting)).code, 'session-closed');
});

/** @param {number} at @param {number} byte */
function replaced(at, byte) {
  const other = WIRE.slice();
  other[at < 0 ? other.length + at : at] = byte;
  return other;
}
