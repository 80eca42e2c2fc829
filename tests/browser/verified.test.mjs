// Files that a native origin signs, fetched by a real browser through a gateway; and through a relay behind it that does to them
// what a relay can. BROWSER, STOQ_SITE and STOQ_BIN as for the demo, STOQ_HOSTILE is the relay.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { launch } from './launch.mjs';
import { World } from './processes.mjs';

const { BROWSER, STOQ_BIN, STOQ_HOSTILE, STOQ_SITE } = process.env;
const PATIENCE = 120_000;

/** What the relay does, stream by stream, what the page is told, and from which token on; `upTo` where it depends on when runs are signed. */
const TRICKS = [
  ['none'],
  ['change:3', 'bad-token', 3],
  ['drop:4', 'bad-token', 4],
  ['repeat:1', 'replayed-token', 1],
  ['forge:2', 'bad-signature', 2, 'upTo'],
  ['cut:5', 'truncated', 5, 'upTo'],
  ['none'],
];

/** @type {(() => Promise<unknown>)[]} */
const stops = [];
after(async () => {
  for (const stop of stops.reverse()) await stop();
});

/** @param {{ relay?: boolean, hostile?: string[] }} [between] */
async function opened(between) {
  const world = await World.start(STOQ_BIN, STOQ_SITE, between);
  stops.push(() => world.stop());
  // A page that connects to nothing by itself.
  const browser = await launch(BROWSER, `${world.page}/conformance.html`);
  stops.push(() => browser.close());
  await browser.page.evaluate(connect, { url: world.url, pins: pinsOf(world) });
  return { world, browser };
}

/** @param {World} world */
function pinsOf(world) {
  return { [new URL(world.url).host]: world.falconId };
}

/** In the page: which relays a session has passed for each route, or why there is none. */
async function route({ url, pins, routes }) {
  const { default: init, StoqClient } = await import('stoq');
  await init();
  const client = new StoqClient({ pins, endpointRecord: '/.well-known/stoq/endpoint' });
  const results = [];
  for (const route of routes) {
    const connected = client.connect(`${url}/stoq/v1/files`, { route });
    results.push(await connected.then(async (session) => {
      await session.close();
      return session.hops.map(({ id }) => id);
    }, (error) => error.code));
  }
  return results;
}

/** In the page: a session, and a file of so many bytes that is stored and then asked for. */
async function connect({ url, pins }) {
  const [{ default: init, Sha256, StoqClient }, { put }] = await Promise.all([import('stoq'), import('./files-protocol.js')]);
  await init();
  const client = new StoqClient({ pins, endpointRecord: '/.well-known/stoq/endpoint' });
  globalThis.session = await client.connect(`${url}/stoq/v1/files`);
  globalThis.store = async (size) => {
    const content = new Uint8Array(size);
    for (let at = 0; at < size; at += 65_536) crypto.getRandomValues(content.subarray(at, at + 65_536));
    const { sha256 } = await put(globalThis.session, new Blob([content]), { name: 'a file' });
    return sha256;
  };
  globalThis.get = async (options) => {
    const stream = await globalThis.session.openVerifiedBidirectionalStream(options);
    await stream.send.write(new TextEncoder().encode('{"op":"get","name":"a file"}\n'));
    await stream.send.finish();
    const found = { states: [], through: -1, signers: [], bytes: 0, sequences: true, final: false, pendingBehind: 0 };
    const pieces = [];
    const start = performance.now();
    try {
      for await (const item of stream.readable) {
        if (item.data) {
          if (!found.states.includes(item.state)) found.states.push(item.state);
          found.sequences &&= item.sequence === pieces.length;
          pieces.push(item.data);
          found.bytes += item.data.length;
        } else {
          if (!found.signers.includes(item.signer)) found.signers.push(item.signer);
          found.through = item.through;
          found.final = item.final;
        }
      }
    } catch (error) {
      Object.assign(found, { code: error.code ?? String(error), sequence: error.sequence });
    }
    found.ms = performance.now() - start;
    const all = new Uint8Array(await new Blob(pieces).arrayBuffer());
    // The answer's first line, the file, and its last line.
    const first = all.indexOf(10) + 1;
    const size = JSON.parse(new TextDecoder().decode(all.subarray(0, first)) || '{"size":0}').size;
    const hash = new Sha256();
    hash.update(all.subarray(first, first + size));
    return { ...found, pieces: pieces.length, sha256: hash.hex(), told: new TextDecoder().decode(all.subarray(first + size)) };
  };
}

test(`${BROWSER}: a file is verified on its way from a native origin through the gateway and a relay`, { timeout: PATIENCE }, async () => {
  const { world, browser } = await opened({ relay: true });
  const size = 24 * 1024 * 1024 + 5;
  const sha256 = await browser.page.evaluate((size) => globalThis.store(size), size);
  assert.match(sha256, /^[0-9a-f]{64}$/);
  for (const delivery of ['verified', 'pending']) {
    const found = await browser.page.evaluate((options) => globalThis.get(options), { origins: [world.serviceId], delivery });
    assert.equal(found.code, undefined, `${found.code} at ${found.sequence}`);
    assert.deepEqual([found.sha256, JSON.parse(found.told)], [sha256, { sha256 }]);
    assert.deepEqual([found.states, found.signers, found.final, found.sequences], [[delivery], [world.serviceId], true, true]);
    assert.ok(found.through >= found.pieces - 1, 'all of it is vouched for');
    console.log(`  ${delivery}: ${(found.bytes / 1048.576 / found.ms).toFixed(1)} MiB/s`);
  }
  const other = await browser.page.evaluate((options) => globalThis.get(options), { origins: [world.falconId] });
  assert.deepEqual([other.code, other.sequence, other.bytes], ['untrusted-origin', 0, 0], 'the gateway is no origin');
  const refused = await browser.page.evaluate(() => globalThis.session.stats().refused);
  assert.deepEqual(refused, { 'untrusted-origin': 1 });

  const hops = await browser.page.evaluate(() => globalThis.session.hops.map(({ id, address, metadata }) => [id, address, metadata]));
  const [relayId] = world.relayIds;
  assert.deepEqual(hops, [[world.falconId, '127.0.0.1', []], [relayId, '127.0.0.1', [['place', 'here']]]]);
  const routes = await browser.page.evaluate(route, { url: world.url, pins: pinsOf(world), routes: [[relayId], [world.serviceId], [relayId, relayId]] });
  assert.deepEqual(routes, [[world.falconId, relayId], 'next-hop-not-allowed', 'hop-loop']);

  await browser.page.goto(world.page);
  await chooseAndFetch(browser);
  await browser.page.waitForSelector('[data-testid="origin-result"][data-result="verified"]');
  assert.equal(await browser.page.evaluate(() => document.querySelectorAll('[data-testid="hops"] li').length), 2);
  const shown = await panel(browser);
  assert.deepEqual([shown.signer, shown.sha, shown.verified], [world.serviceId, sha256, 1]);
  assert.match(shown.words, /^Verified: every byte of it is signed by stoq1/);
  assert.equal(await browser.page.evaluate(() => document.querySelector('[data-testid="origin-save"]').hidden), false);
});

/** Presses the button of the demo's panel as soon as the store's list has come. */
async function chooseAndFetch({ page }) {
  await page.waitForSelector('[data-testid="session-state"][data-state="open"]');
  await page.waitForSelector('[data-testid="origin-run"]:not(:disabled)');
  await page.click('[data-testid="origin-run"]');
}

/** What the demo's panel shows. */
function panel({ page }) {
  return page.evaluate(() => {
    const at = (id) => document.querySelector(`[data-testid="${id}"]`);
    return {
      words: at('origin-words').textContent,
      signer: at('origin-signer').dataset.whole,
      sha: at('origin-sha').dataset.whole,
      verified: at('origin-verified').value,
      code: at('origin-error').dataset.code,
      sequence: at('origin-error').dataset.sequence,
    };
  });
}

test(`${BROWSER}: what a relay behind the gateway does to it is found out, and where`, { timeout: PATIENCE }, async () => {
  const tricks = [...TRICKS, ['change:1']].flatMap(([trick]) => ['--trick', trick]);
  const { world, browser } = await opened({ relay: true, hostile: [STOQ_HOSTILE, ...tricks] });
  const sha256 = await browser.page.evaluate((size) => globalThis.store(size), 1024 * 1024 + 5);
  assert.match(sha256, /^[0-9a-f]{64}$/, 'what is not verified passes the relay as it is');
  for (const [trick, code, sequence, upTo] of TRICKS) {
    const found = await browser.page.evaluate((options) => globalThis.get(options), { origins: [world.serviceId], delivery: 'pending' });
    assert.equal(found.code, code, trick);
    if (code === undefined) {
      assert.deepEqual([found.sha256, found.signers, found.final], [sha256, [world.serviceId], true], trick);
    } else if (upTo) {
      assert.ok(found.sequence <= sequence && found.through < sequence && !found.final, `${trick}: ${found.sequence}, ${found.through}`);
    } else {
      assert.deepEqual([found.sequence, found.final], [sequence, false], trick);
      assert.ok(found.through < sequence, 'nothing behind it is vouched for');
    }
  }
  const refused = await browser.page.evaluate(() => globalThis.session.stats().refused);
  assert.deepEqual(refused, { 'bad-token': 2, 'replayed-token': 1, 'bad-signature': 1, truncated: 1 });

  await browser.page.goto(world.page);
  await chooseAndFetch(browser);
  await browser.page.waitForSelector('[data-testid="origin-result"][data-result="refused"]');
  const shown = await panel(browser);
  assert.deepEqual([shown.code, shown.sequence], ['bad-token', '1']);
  assert.match(shown.words, /nothing from piece 1 on is used/);
});
