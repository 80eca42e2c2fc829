// A service that wants an access token, asked by a real browser: its key is WebCrypto's own, and tokens are issued as an operator
// does. BROWSER, STOQ_SITE and STOQ_BIN as for the demo.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch } from './launch.mjs';
import { World } from './processes.mjs';

const { BROWSER, STOQ_BIN, STOQ_SITE } = process.env;
const PATIENCE = 120_000;

/** @type {World} */ let world;
/** @type {import('./launch.mjs').Browser} */ let browser;

before(async () => {
  world = await World.start(STOQ_BIN, STOQ_SITE, { guarded: true });
  // A page that connects to nothing by itself.
  browser = await launch(BROWSER, `${world.page}/conformance.html`);
});
after(async () => {
  await browser?.close();
  await world?.stop();
});

/** In the page: two keys, which stay there, and what they are called. */
async function makeKeys() {
  const { default: init, generateHolderKey, holderPublicKey } = await import('stoq');
  await init();
  globalThis.pairs = [await generateHolderKey(), await generateHolderKey()];
  return Promise.all(globalThis.pairs.map(holderPublicKey));
}

/** In the page: what comes of a connect with these tokens, and of the key of the first half and the private half of this number. */
async function enter({ url, pins, route, tokens, half }) {
  const [{ StoqClient }, { list }] = await Promise.all([import('stoq'), import('./files-protocol.js')]);
  const client = new StoqClient({ pins, endpointRecord: '/.well-known/stoq/endpoint' });
  const holderKeys = { publicKey: globalThis.pairs[0].publicKey, privateKey: globalThis.pairs[half].privateKey };
  try {
    const session = await client.connect(`${url}/stoq/v1/files`, { route, accessTokens: tokens, holderKeys });
    const { files } = await list(session);
    await session.close();
    return `let in: ${files.length}`;
  } catch (error) {
    return error.code ?? String(error);
  }
}

test(`${BROWSER}: a token lets in who has its key, into its service, as long as it holds`, { timeout: PATIENCE }, async () => {
  const { relayId } = world.guarded;
  const [mine, other] = await browser.page.evaluate(makeKeys);
  assert.match(mine, /^stoqh1/);
  const secret = await browser.page.evaluate(() => crypto.subtle.exportKey('pkcs8', globalThis.pairs[0].privateKey).then(() => 'read', ({ name }) => name));
  assert.equal(secret, 'InvalidAccessError', 'no script reads it');
  const pins = { [new URL(world.url).host]: [world.falconId] };
  const outcome = (tokens, half = 0) => browser.page.evaluate(enter, { url: world.url, pins, route: [relayId], tokens, half });

  const short = world.issue(mine, { life: '1s' });
  const end = Date.now() + 1_000;
  const good = world.issue(mine);
  assert.equal(await outcome([good]), 'let in: 0');
  assert.equal(await outcome([]), 'access-token-required');
  assert.equal(await outcome([good], 1), 'holder-proof-wrong', 'its name, and another key');
  assert.equal(await outcome([world.issue(other)]), 'invalid-argument', 'the page does not even try');
  assert.equal(await outcome([world.issue(mine, { service: 'echo' })]), 'access-token-wrong-service');
  const foreign = await outcome([world.issue(mine, { audience: world.serviceId })]);
  assert.ok(['access-token-wrong-audience', 'access-token-required'].includes(foreign), foreign);
  await new Promise((resolve) => { setTimeout(resolve, Math.max(0, end - Date.now())); });
  assert.equal(await outcome([short]), 'access-token-expired');
  assert.equal(await outcome([good]), 'let in: 0', 'and the good one still is');
});

test(`${BROWSER}: the demo's panel makes a key, takes a token for it and says what comes of it`, { timeout: PATIENCE }, async () => {
  const { page } = browser;
  await page.goto(world.page);
  await page.waitForSelector('[data-testid="holder-make"]:not(:disabled)');
  await page.click('[data-testid="holder-make"]');
  await page.waitForSelector('[data-testid="holder-key"][data-whole^="stoqh1"]');
  const shown = () => page.evaluate(() => {
    const text = (id) => document.querySelector(`[data-testid="${id}"]`).textContent;
    return { key: text('holder-key'), command: text('issue-command'), words: text('access-words'), code: document.querySelector('[data-testid="access-error"]').dataset.code };
  });
  const { key, command } = await shown();
  assert.match(command, new RegExp(`^stoq token issue --key .* --service files --permission read --holder ${key}$`));

  const enterToken = async (token, state) => {
    await page.evaluate((token) => {
      const field = document.querySelector('[data-testid="access-token"]');
      field.value = token;
      field.dispatchEvent(new Event('input', { bubbles: true }));
    }, token);
    await page.waitForSelector('[data-testid="access-run"]:not(:disabled)');
    await page.click('[data-testid="access-run"]');
    await page.waitForSelector(`[data-testid="access-state"][data-state="${state}"]`);
    return shown();
  };
  assert.match((await enterToken(world.issue(key), 'open')).words, /^Let in after .*: 0 files there$/);
  assert.equal((await enterToken(world.issue(key, { service: 'echo' }), 'failed')).code, 'access-token-wrong-service');
  // The key outlives the page.
  await page.goto(world.page);
  await page.waitForSelector('[data-testid="holder-key"][data-whole^="stoqh1"]');
  assert.equal((await shown()).key, key);
  assert.match((await enterToken(world.issue(key), 'open')).words, /^Let in after/);
});
