// The demo's main job on real input: a file from the page through the gateway to the native service and back.
// BROWSER, STOQ_SITE and STOQ_BIN say in which browser, with which page and programs.

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { createReadStream, openSync, closeSync, readdirSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { launch, residentBytes } from './launch.mjs';
import { World } from './processes.mjs';

const { BROWSER, STOQ_BIN, STOQ_SITE } = process.env;
const MIB = 1024 * 1024;
const SIZE = 256 * MIB;
/** For the whole way of the file, on a busy machine. */
const PATIENCE = 240_000;

/** @type {World} */ let world;
/** @type {import('./launch.mjs').Browser} */ let browser;
let file = '';
let hash = '';

before(async () => {
  world = await World.start(STOQ_BIN, STOQ_SITE);
  file = join(world.folder, 'random.bin');
  hash = writeRandom(file, SIZE);
  browser = await launch(BROWSER, 'about:blank');
  // The save dialog cannot be answered without a person; the page then uses the private file system.
  await browser.beforeEachPage(() => delete globalThis.showSaveFilePicker);
  await browser.page.goto(world.page);
  await browser.page.waitForSelector('[data-testid="session-state"]');
});

after(async () => {
  await browser?.close();
  await world?.stop();
});

test(`${BROWSER}: 256 MiB go to the service and back, with equal hashes and flat memory`, { timeout: 2 * PATIENCE }, async () => {
  const memory = watchMemory();
  await browser.setFile('[data-testid="file-input"]', file);
  assert.deepEqual(await hashesOf('put'), { local: hash, service: hash });
  assert.equal(await sha256(join(world.store, 'random.bin')), hash, 'what is stored is what was sent');

  await browser.page.waitForSelector('[data-testid="fetch"]');
  await browser.page.click('[data-testid="fetch"]');
  assert.deepEqual(await hashesOf('get'), { local: hash, service: hash });

  const { gateway, page } = memory.stop();
  console.log(`  resident MiB each second, gateway: ${gateway.join(' ')}`);
  console.log(`  resident MiB each second, page:    ${page.join(' ')}`);
  assert(Math.max(...gateway) < 100, 'the gateway stays under 100 MiB');
  // Flat: far from growing with the file, which went by twice.
  assert(Math.max(...page) - page[0] < SIZE / MIB, 'the page does not hold the file');
});

test(`${BROWSER}: 1000 echoes on a stream, 1000 datagrams and 100 messages are answered`, { timeout: PATIENCE }, async () => {
  const result = await browser.page.evaluate(async () => {
    const [{ echoStream, echoDatagrams, echoMessages }, { Link }] = await Promise.all([
      import('./echo.js'), import('./session.js'),
    ]);
    const link = new Link('echo');
    const session = await link.connect();
    if (!session) throw link.error;
    const stream = await echoStream(session, 1000, 64);
    const datagrams = await echoDatagrams(session, 1000, 64);
    // Each in some 20 datagrams.
    const messages = await echoMessages(session, 100, 20_000);
    await session.close();
    const back = { stream: stream.times.length, datagrams: datagrams.times.length, messages: messages.times.length };
    return { back, lost: { datagrams: datagrams.lost, messages: messages.lost } };
  });
  const { back, lost } = result;
  assert.equal(back.stream, 1000);
  // Who is busy drops datagrams, browsers and kernels, but few, and each is either back or lost.
  assert.equal(back.datagrams + lost.datagrams, 1000, JSON.stringify(result));
  assert.equal(back.messages + lost.messages, 100, JSON.stringify(result));
  assert.ok(lost.datagrams <= 50 && lost.messages <= 5, JSON.stringify(result));
});

test(`${BROWSER}: what the page announces the service announces back`, { timeout: PATIENCE }, async () => {
  await browser.page.waitForSelector('[data-testid="seed-run"]:not(:disabled)');
  await browser.page.click('[data-testid="seed-run"]');
  const content = createHash('sha256').update('hello').digest('hex');
  await browser.page.waitForSelector(`[data-testid="seeds"] [data-content="${content}"][data-kind="announced"]`);
  const words = await browser.page.evaluate(() => document.querySelector('[data-testid="seeds"]').textContent);
  assert.match(words, /announced by the service: 3 copies wanted, priority normal, held by nobody yet/);
});

/** Both hashes that the page shows for the newest transfer of this kind, once it has ended. */
async function hashesOf(kind) {
  const ended = await browser.page.evaluate(async (kind) => {
    const card = () => document.querySelector(`[data-testid="transfer"][data-kind="${kind}"]`);
    while (!['agree', 'differ', 'failed', 'cancelled'].includes(card()?.dataset.state)) {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    const text = (id) => card().querySelector(`[data-testid="${id}"]`).textContent;
    const [local, service] = [text('hash-local'), text('hash-service')].map((hash) => hash.replace(/\s/g, ''));
    return { state: card().dataset.state, problem: text('transfer-error'), local, service };
  }, kind);
  assert.equal(ended.state, 'agree', ended.problem);
  return { local: ended.local, service: ended.service };
}

/** Samples the operating system's figures each second, in MiB. */
function watchMemory() {
  const gateway = [];
  const page = [];
  const sample = () => {
    gateway.push(Math.round(residentBytes(world.gateway.process.pid) / MIB));
    page.push(Math.round(Math.max(...browser.renderers().map(residentBytes)) / MIB));
  };
  sample();
  const timer = setInterval(sample, 1_000);
  return {
    stop() {
      clearInterval(timer);
      sample();
      return { gateway, page };
    },
  };
}

/** Writes random bytes; returns their SHA-256. */
function writeRandom(path, size) {
  const hash = createHash('sha256');
  const file = openSync(path, 'w');
  for (let written = 0; written < size; written += MIB) {
    const block = randomBytes(MIB);
    hash.update(block);
    writeSync(file, block);
  }
  closeSync(file);
  return hash.digest('hex');
}

async function sha256(path) {
  const hash = createHash('sha256');
  for await (const block of createReadStream(path)) hash.update(block);
  return hash.digest('hex');
}
