// Loads the module, once.

import load, { setErrorClass } from '../pkg/stoq_wasm.js';
import { StoqError } from './error.js';

/** @typedef {import('../pkg/stoq_wasm.js').InitInput} Source */

/** @type {Promise<void> | undefined} */
let loading;
let loaded = false;

/**
 * Loads the module, unless that has been done or is under way.
 * @param {() => Source | Promise<Source>} source gives its address or bytes, and is called only if they are needed
 * @returns {Promise<void>}
 */
export function loadOnce(source) {
  loading ??= start(source);
  return loading;
}

/** Throws one clear sentence if the module is not there yet. */
export function mustBeLoaded() {
  if (!loaded) {
    throw new Error("stoq is not loaded yet: await the package's default export, `init()`, before anything else");
  }
}

/** @param {() => Source | Promise<Source>} source */
async function start(source) {
  try {
    await load({ module_or_path: await source() });
    setErrorClass(StoqError);
    loaded = true;
  } catch (error) {
    // A failed load, say of a page that was offline, can be tried again.
    loading = undefined;
    throw error;
  }
}
