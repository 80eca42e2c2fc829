// The npm package as users get it: packed, installed in an empty directory, used from Node.

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { gzipSync } from 'node:zlib';
import { folder, fresh, installed, load, manifest, ready, rejection } from './installed.js';

test('the package holds what its manifest lists, and nothing else', () => {
  const files = execFileSync('find', ['.', '-type', 'f'], { cwd: installed, encoding: 'utf8' });
  const found = files.trim().split('\n').map((file) => file.slice(2)).sort();
  assert.deepEqual(found, [...manifest.files, 'package.json'].sort());
  assert.equal(manifest.dependencies, undefined);
});

test('every file of types that another names is in the package', () => {
  const [seen, open] = [new Set(), ['js/index.d.ts']];
  for (let file; (file = open.pop()) !== undefined;) {
    if (seen.has(file)) continue;
    seen.add(file);
    const text = readFileSync(join(installed, file), 'utf8');
    for (const [, named = ''] of text.matchAll(/ from '(\.[^']+)\.js';/g)) open.push(join(dirname(file), `${named}.d.ts`));
  }
  const types = manifest.files.filter((/** @type {string} */ file) => file.endsWith('.d.ts'));
  assert.deepEqual([...seen].sort(), types.sort());
});

test('the module stays small enough for a page', (context) => {
  const wasm = readFileSync(join(installed, 'pkg/stoq_wasm_bg.wasm'));
  const gzipped = gzipSync(wasm, { level: 9 }).length;
  context.diagnostic(`stoq_wasm_bg.wasm: ${wasm.length} bytes, ${gzipped} bytes gzipped`);
  // The protocol, WebTransport's bindings, FALCON, SHA-256, BLAKE3, and Reed–Solomon.
  assert.ok(gzipped < 150_000, `${gzipped} bytes gzipped: build it without --dev; if it was, something large came in`);
});

test('its name leads to the loader for Node', () => {
  const script = `
    import init, { Sha256, StoqError } from 'stoq';
    await init();
    console.log(new Sha256().hex().slice(0, 8), StoqError.name);`;
  writeFileSync(join(folder, 'use.js'), script);
  assert.equal(execFileSync('node', ['use.js'], { cwd: folder, encoding: 'utf8' }), 'e3b0c442 StoqError\n');
});

test("the README's client runs, and says what Node lacks", () => {
  const readme = readFileSync(join(installed, 'README.md'), 'utf8');
  const client = /```js\n([^]*?)```/.exec(readme)?.[1];
  assert.ok(client && client.trim().split('\n').length <= 17);
  writeFileSync(join(folder, 'readme.js'), client);
  const { stderr, status } = spawnSync('node', ['readme.js'], { cwd: folder, encoding: 'utf8' });
  assert.match(stderr, /^unsupported no WebTransport here/);
  assert.equal(status, 0);
});

test('browsers and bundlers get the file by the address that is written in the loader', async () => {
  const index = readFileSync(join(installed, 'js/index.js'), 'utf8');
  assert.match(index, /new URL\('\.\.\/pkg\/stoq_wasm_bg\.wasm', import\.meta\.url\)/);
  const { default: init, Sha256 } = await load(pathToFileURL(join(installed, 'js/index.js')).href);
  await init(readFileSync(join(installed, 'pkg/stoq_wasm_bg.wasm')));
  assert.equal(new Sha256().digest().length, 32);
});

test('use before init throws one clear sentence', async () => {
  const { StoqClient, Sha256, verifyEndpointRecord } = await fresh();
  const sentence = /^stoq is not loaded yet: await the package's default export, `init\(\)`, before anything else$/;
  assert.throws(() => new StoqClient(), { message: sentence });
  assert.throws(() => new Sha256(), { message: sentence });
  const check = () => verifyEndpointRecord(new Uint8Array(), { authority: 'localhost', pins: [] });
  assert.throws(check, { message: sentence });
});

test('init may be called often, at the same time too, and loads once', async () => {
  const { default: init, Sha256 } = await fresh();
  const first = init();
  assert.equal(init(), first);
  await first;
  // The module is there: another source is not looked at.
  await init('/nowhere.wasm');
  const hash = new Sha256();
  await init();
  hash.update(new Uint8Array(3));
  assert.equal(hash.hex(), createHash('sha256').update(new Uint8Array(3)).digest('hex'));
});

test('init takes bytes, addresses, paths and compiled modules', async () => {
  const file = join(installed, 'pkg/stoq_wasm_bg.wasm');
  const bytes = readFileSync(file);
  const response = new Response(bytes, { headers: { 'content-type': 'application/wasm' } });
  for (const source of [bytes, file, pathToFileURL(file), new WebAssembly.Module(bytes), response]) {
    const { default: init, Sha256 } = await fresh();
    await init(source);
    assert.equal(new Sha256().hex().length, 64);
  }
});

test('a load that failed can be tried again', async () => {
  const { default: init, StoqClient } = await fresh();
  await assert.rejects(init(join(folder, 'missing.wasm')), { code: 'ENOENT' });
  assert.throws(() => new StoqClient(), /not loaded yet/);
  await assert.rejects(init(new Uint8Array(8)));
  await init();
  new StoqClient().free();
});

test('Sha256 agrees with Node, however the data is cut', async () => {
  const { Sha256 } = await ready();
  const data = randomBytes(100_000);
  for (const size of [1, 63, 64, 65, 4096, 100_000]) {
    const hash = new Sha256();
    for (let at = 0; at < data.length; at += size) hash.update(data.subarray(at, at + size));
    assert.equal(hash.hex(), createHash('sha256').update(data).digest('hex'));
    assert.equal(Buffer.from(hash.digest()).toString('hex'), hash.hex(), 'digest leaves the hash as it was');
    hash.free();
  }
});

test('options that cannot be are refused, by name', async () => {
  const { StoqClient, StoqError } = await ready();
  const wrong = [
    'text',
    { certificateHashes: 'ab' },
    { certificateHashes: ['ab'] },
    { certificateHashes: ['g'.repeat(64)] },
    { certificateHashes: [new Uint8Array(31)] },
    { certificateHashes: [17] },
    { congestionControl: 'fast' },
    { connectTimeout: 0 },
    { connectTimeout: Infinity },
    { connectTimeout: '1 s' },
  ];
  for (const options of wrong) {
    const make = () => new StoqClient(/** @type {any} */ (options));
    assert.throws(make, (error) => {
      assert.ok(error instanceof StoqError, String(error));
      assert.equal(error.code, 'invalid-argument');
      assert.equal(error.number, 0x5354_0018);
      return true;
    }, JSON.stringify(options));
  }
  const colons = Array(32).fill('aB').join(':');
  const hashes = [colons, 'ab'.repeat(32), new Uint8Array(32)];
  for (const options of [undefined, {}, { certificateHashes: hashes, congestionControl: /** @type {const} */ ('throughput'), connectTimeout: 1 }]) {
    new StoqClient(options).free();
  }
});

test('a URL that is none of a service is refused', async () => {
  const { StoqClient, StoqError } = await ready();
  const client = new StoqClient();
  const wrong = [
    '', 'localhost', 'http://a/stoq/v1/files', 'stoq://a/files', 'https://a/', 'https://a/stoq/v1/', 'https://a/stoq/v1/Files',
    'https://a/stoq/v1/files/', 'https://a/stoq/v2/files', 'https://a/stoq/v1/files?x', 'https://a/stoq/v1/files#x',
    'https://me@a/stoq/v1/files', 17, undefined,
  ];
  for (const url of wrong) {
    const error = await rejection(client.connect(/** @type {any} */ (url)));
    assert.ok(error instanceof StoqError && error instanceof Error, String(error));
    assert.equal(error.code, 'invalid-argument', String(url));
  }
});

test('without WebTransport, connecting says so', async () => {
  const { StoqClient, StoqError } = await ready();
  const error = await rejection(new StoqClient().connect('https://localhost:4433/stoq/v1/files'));
  assert.ok(error instanceof StoqError);
  assert.equal(error.name, 'StoqError');
  assert.deepEqual([error.code, error.number], ['unsupported', 0x5354_0019]);
  assert.match(error.message, /no WebTransport here/);
  assert.ok(error.stack);
});

test('free() while a connect waits does no harm', async () => {
  const { StoqClient } = await ready();
  const client = new StoqClient();
  const connecting = [client.connect('https://localhost:4433/stoq/v1/files'), client.connect('https://a/')];
  client.free();
  const codes = (await Promise.all(connecting.map(rejection))).map((error) => error.code);
  assert.deepEqual(codes, ['unsupported', 'invalid-argument']);
});
