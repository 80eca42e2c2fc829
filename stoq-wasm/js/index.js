// The package in browsers, and for bundlers: they find the module by the address that is written out here.

import { loadOnce } from './loader.js';

export * from './classes.js';

/** @param {import('./index.d.ts').WasmSource} [source] */
export default function init(source) {
  return loadOnce(() => source ?? new URL('../pkg/stoq_wasm_bg.wasm', import.meta.url));
}
