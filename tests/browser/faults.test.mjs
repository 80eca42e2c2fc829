// What goes wrong in the middle of a transfer: a process dies, a page closes. Each side notices, the error has a
// name, and nothing half-written is shown as stored. BROWSER, STOQ_SITE and STOQ_BIN as for the demo.

import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { launch } from './launch.mjs';
import { World } from './processes.mjs';

const { BROWSER, STOQ_BIN, STOQ_SITE } = process.env;
const PATIENCE = 90_000;

/** @type {World} */ let world;
/** @type {import('./launch.mjs').Browser} */ let browser;

beforeEach(async () => {
  world = await World.start(STOQ_BIN, STOQ_SITE);
  browser = await launch(BROWSER, world.page);
});

afterEach(async () => {
  await browser?.close();
  await world?.stop();
});

/** Starts an upload without end; resolves once bytes of it have arrived in the store. */
async function startUpload() {
  await browser.page.evaluate(async () => {
    const [{ put }, { Link }] = await Promise.all([import('./files-protocol.js'), import('./session.js')]);
    const link = new Link('files');
    const session = await link.connect();
    if (!session) throw link.error;
    globalThis.sessionEnd = session.closed.then((info) => info.name);
    // 8 GiB by announcement (the quota is 10), made as they are asked for.
    const block = new Uint8Array(65_536);
    const endless = {
      name: 'endless.bin',
      size: 2 ** 33,
      stream: () => new ReadableStream({ pull: (controller) => controller.enqueue(block) }, { highWaterMark: 0 }),
    };
    globalThis.upload = put(session, endless).then(() => 'stored', (error) => error.code ?? String(error));
  });
  await until(() => incoming().length > 0);
}

/** Files of uploads that have not ended. */
function incoming() {
  const folder = join(world.store, '.incoming');
  return existsSync(folder) ? readdirSync(folder).filter((name) => name !== 'lock') : [];
}

function stored() {
  return readdirSync(world.store).filter((name) => !name.startsWith('.'));
}

/** Looks again until it is so; the test's own time limit ends it. */
async function until(condition) {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 50));
}

test(`${BROWSER}: the gateway is killed`, { timeout: PATIENCE }, async () => {
  await startUpload();
  await world.gateway.kill();
  assert.equal(await browser.page.evaluate(() => globalThis.upload), 'connection-lost');
  assert.equal(await browser.page.evaluate(() => globalThis.sessionEnd), 'connection-lost');
  await until(() => incoming().length === 0);
  assert.deepEqual(stored(), []);
});

test(`${BROWSER}: the native service is killed`, { timeout: PATIENCE }, async () => {
  await startUpload();
  await world.service.kill();
  assert.equal(await browser.page.evaluate(() => globalThis.upload), 'upstream-lost');
  assert.equal(await browser.page.evaluate(() => globalThis.sessionEnd), 'upstream-lost');
  // What was on its way is there for the killed process to explain; the next one clears it away.
  await world.startService(STOQ_BIN);
  assert.deepEqual([incoming(), stored()], [[], []]);
});

test(`${BROWSER}: the page is closed`, { timeout: PATIENCE }, async () => {
  await startUpload();
  await browser.page.close();
  await until(() => incoming().length === 0);
  assert.deepEqual(stored(), []);
});

test(`${BROWSER}: connects that cannot succeed say why`, { timeout: PATIENCE }, async () => {
  const codes = await browser.page.evaluate(async () => {
    const { default: init, StoqClient } = await import('stoq');
    await init();
    const { readGateway } = await import('./session.js');
    const { url, certificateHashes } = await readGateway();
    const good = new StoqClient({ certificateHashes });
    const wrong = new StoqClient({ certificateHashes: ['00'.repeat(32)] });
    const code = (connecting) => connecting.then(() => 'connected', (error) => error.code ?? String(error));
    return {
      'unknown service': await code(good.connect(`${url}/stoq/v1/nothing-here`)),
      'wrong path': await code(good.connect(`${url}/elsewhere`)),
      'bad hash': await code(wrong.connect(`${url}/stoq/v1/echo`)),
      'nobody there': await code(good.connect('https://127.0.0.1:9/stoq/v1/echo')),
    };
  });
  // Nobody answers at all: browsers differ in how long they try.
  assert.match(codes['nobody there'], /^(timeout|handshake-failed)$/);
  delete codes['nobody there'];
  assert.deepEqual(codes, {
    'unknown service': 'unknown-service',
    'wrong path': 'invalid-argument',
    'bad hash': 'handshake-failed',
  });
});
