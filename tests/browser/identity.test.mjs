// A gateway that a page has pinned: its own record, verified in a real browser before the session; the same record where it is
// not good; and the panel of the demo that shows both. BROWSER, STOQ_SITE and STOQ_BIN as for the demo.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { launch } from './launch.mjs';
import { World } from './processes.mjs';

const { BROWSER, STOQ_BIN, STOQ_SITE } = process.env;
const PATIENCE = 90_000;
const DAY = 86_400_000;

/** @type {World} */ let world;
/** @type {import('./launch.mjs').Browser} */ let browser;
/** Somebody else, with a key of their own. */
let stranger = '';

before(async () => {
  world = await World.start(STOQ_BIN, STOQ_SITE);
  stranger = execFileSync(join(STOQ_BIN, 'stoq'), ['keygen', join(world.folder, 'stranger.pem')], { encoding: 'utf8' }).trim();
  // A page that connects to nothing by itself.
  browser = await launch(BROWSER, `${world.page}/conformance.html`);
});

after(async () => {
  await browser?.close();
  await world?.stop();
});

/**
 * What comes of a connect in the page, and how many WebTransports it made.
 * @param {object} given
 * @param {Record<string, string | string[]>} given.pins
 * @param {number} [given.clock] milliseconds by which the page's clock is wrong
 * @param {string} [given.last] the serial that the store has
 * @param {string} [given.endpointRecord]
 * @param {boolean} [given.flip] the record is handed over, with a bit changed
 * @returns {Promise<{ code?: string, message?: string, security?: any, serials: [string, string][], tried: number, echo?: string }>}
 */
function connect(given) {
  const host = new URL(world.url).host;
  return browser.page.evaluate(async ({ host, pins, clock = 0, last, endpointRecord = '/.well-known/stoq/endpoint', flip }) => {
    const { default: init, StoqClient } = await import('stoq');
    await init();
    const [now, Real] = [Date.now, globalThis.WebTransport];
    let tried = 0;
    globalThis.WebTransport = class extends Real {
      constructor(...options) {
        super(...options);
        tried += 1;
      }
    };
    const serials = new Map();
    if (last) serials.set(`stoq-serial:${host}`, last);
    Date.now = () => now() + clock;
    try {
      let record = endpointRecord;
      if (flip) {
        record = new Uint8Array(await (await fetch(endpointRecord)).arrayBuffer());
        record[2000] ^= 1;
      }
      const client = new StoqClient({ pins, serials, endpointRecord: record });
      const session = await client.connect(`https://${host}/stoq/v1/echo`);
      const stream = await session.openBidirectionalStream();
      await stream.send.write(new TextEncoder().encode('hello'));
      await stream.send.finish();
      const echo = await new Response(stream.readable).text();
      const { security } = session;
      await session.close();
      return { security, serials: [...serials], tried, echo, same: session.security === security };
    } catch (error) {
      return { code: error.code ?? 'no code', message: error.message, serials: [...serials], tried };
    } finally {
      [Date.now, globalThis.WebTransport] = [now, Real];
    }
  }, { host, ...given });
}

function ours() {
  return { [new URL(world.url).host]: [world.falconId] };
}

test(`${BROWSER}: the right pin connects, and the session says what was verified`, { timeout: PATIENCE }, async () => {
  const { security, serials, tried, echo, same, message } = await connect({ pins: ours() });
  assert.equal(message, undefined);
  assert.deepEqual([tried, echo, same], [1, 'hello', true]);
  const { host } = new URL(world.url);
  assert.deepEqual([security.falconId, security.authority], [world.falconId, host]);
  assert.deepEqual(serials, [[`stoq-serial:${host}`, security.serial]]);
  const { certificateHashes, falconId } = await (await fetch(new URL('stoq.json', world.page))).json();
  assert.deepEqual(security.certificateHashes, certificateHashes);
  assert.equal(falconId, world.falconId);
  // And once more with the serial that is there now.
  assert.equal((await connect({ pins: ours(), last: security.serial })).echo, 'hello');
});

test(`${BROWSER}: the dates are dates, and hold now`, { timeout: PATIENCE }, async () => {
  const dates = await browser.page.evaluate(async ({ url, pins }) => {
    const { default: init, StoqClient } = await import('stoq');
    await init();
    const client = new StoqClient({ pins, endpointRecord: new URL('/.well-known/stoq/endpoint', location.href) });
    const session = await client.connect(`${url}/stoq/v1/echo`);
    const { notBefore, expiry } = session.security;
    await session.close();
    return [notBefore instanceof Date, expiry instanceof Date, notBefore <= new Date(), new Date() <= expiry];
  }, { url: world.url, pins: ours() });
  assert.deepEqual(dates, [true, true, true, true]);
});

test(`${BROWSER}: nothing is connected to a gateway that is not the pinned one`, { timeout: PATIENCE }, async () => {
  const { host } = new URL(world.url);
  const wrong = await connect({ pins: { [host]: [stranger] } });
  assert.deepEqual([wrong.code, wrong.tried], ['untrusted-identity', 0]);
  assert.ok(wrong.message.includes(world.falconId), wrong.message);
  for (const pins of [{}, { 'elsewhere.example:443': world.falconId }]) {
    const { code, tried } = await connect({ pins });
    assert.deepEqual([code, tried], ['untrusted-identity', 0]);
  }
});

test(`${BROWSER}: nothing is connected on a record that does not hold`, { timeout: PATIENCE }, async () => {
  const { security } = await connect({ pins: ours() });
  const later = String(BigInt(security.serial) + 1n);
  for (const [given, message] of [
    [{ clock: 30 * DAY }, /expired/],
    [{ clock: -30 * DAY }, /not valid yet/],
    [{ last: later }, /an old one, served again/],
    [{ flip: true }, /endpoint record/],
    [{ endpointRecord: '/nothing-here' }, /the server answered 404/],
    [{ endpointRecord: '/node_modules/stoq/pkg/stoq_wasm_bg.wasm' }, /longer than/],
    [{ endpointRecord: '/index.html' }, /longer than|malformed/],
  ]) {
    const refused = await connect({ pins: ours(), ...given });
    assert.deepEqual([refused.code, refused.tried], ['endpoint-record-refused', 0], JSON.stringify(given));
    assert.match(refused.message, message);
  }
});

test(`${BROWSER}: a certificate that was replaced after the record was read costs a second try, and no more`, { timeout: PATIENCE }, async () => {
  const path = '/.well-known/stoq/endpoint';
  const read = async () => Buffer.from(await (await fetch(new URL(path, world.page))).arrayBuffer());
  const before = await read();
  world.gateway.process.kill('SIGHUP');
  while ((await read()).equals(before)) await new Promise((resolve) => setTimeout(resolve, 20));
  const { echo, hashes, tried, stale } = await browser.page.evaluate(async ({ url, pins, path, before }) => {
    const { default: init, StoqClient } = await import('stoq');
    await init();
    const { fetch: real, WebTransport: Real } = globalThis;
    let tried = 0;
    globalThis.WebTransport = class extends Real {
      constructor(...options) {
        super(...options);
        tried += 1;
      }
    };
    // What the page would have read a moment earlier, and then what there is now.
    const answers = [() => new Response(new Uint8Array(before))];
    globalThis.fetch = async (...request) => answers.shift()?.() ?? real(...request);
    try {
      const client = new StoqClient({ pins, serials: new Map(), endpointRecord: path });
      const session = await client.connect(`${url}/stoq/v1/echo`);
      const { send, readable } = await session.openBidirectionalStream();
      await send.write(new TextEncoder().encode('hello'));
      await send.finish();
      const echo = await new Response(readable).text();
      const hashes = session.security.certificateHashes;
      await session.close();
      const given = new StoqClient({ pins, serials: new Map(), endpointRecord: new Uint8Array(before) });
      const stale = await given.connect(`${url}/stoq/v1/echo`).then(() => 'connected', ({ code }) => code);
      return { echo, hashes, tried, stale };
    } finally {
      [globalThis.fetch, globalThis.WebTransport] = [real, Real];
    }
  }, { url: world.url, pins: ours(), path, before: [...before] });
  const { certificateHashes } = await (await fetch(new URL('stoq.json', world.page))).json();
  assert.deepEqual(hashes, certificateHashes, 'it says what it was that held');
  assert.equal(echo, 'hello');
  assert.deepEqual([tried, stale], [3, 'handshake-failed'], 'two, and one with the record that was given');
});

test(`${BROWSER}: localStorage keeps the serial from one page to the next`, { timeout: PATIENCE }, async () => {
  const key = `stoq-serial:${new URL(world.url).host}`;
  await browser.page.goto(world.page);
  await state('verified');
  const serial = await browser.page.evaluate((key) => localStorage.getItem(key), key);
  assert.match(serial, /^\d+$/);
  await browser.page.evaluate(([key, later]) => localStorage.setItem(key, later), [key, String(BigInt(serial) + 1n)]);
  await browser.page.goto(world.page);
  await state('refused');
  assert.equal(await text('identity-error'), await text('session-error'));
  assert.match(await text('identity-error'), /endpoint-record-refused/);
  await browser.page.evaluate(([key, serial]) => localStorage.setItem(key, serial), [key, serial]);
  await browser.page.goto(world.page);
  await state('verified');
});

test(`${BROWSER}: the demo shows who the gateway is, and what a wrong pin does`, { timeout: PATIENCE }, async () => {
  const { host } = new URL(world.url);
  await state('verified');
  const { certificateHashes } = await (await fetch(new URL('stoq.json', world.page))).json();
  const whole = await browser.page.evaluate(() => ['falcon-id', 'pinned-id', 'record-hash', 'certificate-hash'].map((id) => document.querySelector(`[data-testid="${id}"]`).dataset.whole));
  assert.deepEqual(whole, [world.falconId, world.falconId, certificateHashes[0], certificateHashes[0]]);
  assert.equal(await text('falcon-id'), `${world.falconId.slice(0, 13)}…${world.falconId.slice(-8)}`);
  assert.match(await text('record-serial'), /^\d{16}$/);
  assert.match(await text('record-expiry'), /^\d+ \w+ 20\d\d, \d\d:\d\d$/);

  await browser.page.click('[data-testid="wrong-pin"]');
  await state('refused');
  assert.match(await text('identity-error'), /untrusted-identity/);
  assert.ok((await text('identity-error')).includes(world.falconId), 'it says who signed');
  assert.equal(await text('falcon-id'), '–', 'nobody is shown as verified');
  await browser.page.waitForSelector('[data-testid="session-state"][data-state="failed"]');

  await browser.page.click('[data-testid="wrong-pin"]');
  await state('verified');
  await browser.page.waitForSelector('[data-testid="session-state"][data-state="open"]');

  world.pin({ [host]: [stranger, world.falconId] });
  await browser.page.goto(world.page);
  await state('verified');
  assert.equal(await text('more-pinned'), 'and 1 more');

  world.pin(undefined);
  await browser.page.goto(world.page);
  await state('unpinned');
  await browser.page.waitForSelector('[data-testid="session-state"][data-state="open"]');
  assert.equal(await browser.page.evaluate(() => document.querySelector('[data-testid="wrong-pin"]').disabled), true);
  world.pin(ours());
});

/** Waits until the panel says so. */
function state(verdict) {
  return browser.page.waitForSelector(`[data-testid="identity"][data-verdict="${verdict}"]`);
}

/** What the page shows there, blanks aside. */
function text(id) {
  return browser.page.evaluate((id) => document.querySelector(`[data-testid="${id}"]`).textContent.trim(), id);
}
