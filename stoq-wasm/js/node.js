// The package in Node: the module is read, not fetched.

import { readFile } from 'node:fs/promises';

import { loadOnce } from './loader.js';

export * from './classes.js';

/** @param {import('./index.d.ts').WasmSource} [source] */
export default function init(source = new URL('../pkg/stoq_wasm_bg.wasm', import.meta.url)) {
  return loadOnce(() => {
    if (source instanceof URL) return source.protocol === 'file:' ? readFile(source) : source;
    if (typeof source === 'string') return /^https?:/.test(source) ? source : readFile(source);
    return source;
  });
}
