// The npm package as users get it: packed, and installed in an empty directory that goes with the tests.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';

/** @typedef {typeof import('stoq')} Stoq */

const root = fileURLToPath(new URL('..', import.meta.url));
export const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
/** Where a user's program would be. */
export const folder = mkdtempSync(join(tmpdir(), 'stoq-npm-'));
export const installed = join(folder, 'node_modules/stoq');
let copies = 0;

before(() => {
  assert.ok(existsSync(join(root, 'pkg/stoq_wasm.js')), 'build the module first: cargo xtask build-sdk');
  const [{ filename }] = JSON.parse(npm(['pack', '--json', '--ignore-scripts', '--pack-destination', folder], root));
  writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }');
  npm(['install', '--offline', '--no-audit', '--no-fund', '--ignore-scripts', join(folder, filename)], folder);
});
after(() => rmSync(folder, { recursive: true, force: true }));

/**
 * @param {string[]} args
 * @param {string} cwd
 */
function npm(args, cwd) {
  return execFileSync('npm', args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
}

/**
 * The package, with its types.
 * @param {string} url
 * @returns {Promise<Stoq>}
 */
export function load(url) {
  return import(url);
}

/** The installed package in its initial state: each call gives a copy of its own. */
export async function fresh() {
  copies += 1;
  const copy = join(folder, `copy-${copies}`);
  execFileSync('cp', ['-r', installed, copy]);
  return load(pathToFileURL(join(copy, 'js/node.js')).href);
}

/** The installed package, loaded. */
export async function ready() {
  const stoq = await fresh();
  await stoq.default();
  return stoq;
}

/**
 * What a promise rejects with.
 * @param {Promise<unknown>} promise
 * @returns {Promise<any>}
 */
export function rejection(promise) {
  return promise.then(
    (value) => assert.fail(`resolved with ${value}`),
    (error) => error,
  );
}
