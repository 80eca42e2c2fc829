// The key of whoever uses this browser: made once, kept here, and read by no script, this one included.

import { generateHolderKey } from "stoq";

/** The key that is kept; nothing if none was made. */
export async function keptKey() {
  const kept = await request("readonly", (store) => store.get(NAME));
  return isPair(kept) ? kept : undefined;
}

/** A new key, in place of the one that is kept: tokens for that one are of no more use. */
export async function newKey() {
  const pair = await generateHolderKey();
  // Where the browser keeps nothing for this page, the key lasts as long as the page.
  await request("readwrite", (store) => store.put(pair, NAME)).catch(() => {});
  return pair;
}

/** @param {unknown} value @returns {value is CryptoKeyPair} */
function isPair(value) {
  return typeof value === "object" && value !== null && "privateKey" in value && "publicKey" in value;
}

/**
 * @param {IDBTransactionMode} mode
 * @param {(store: IDBObjectStore) => IDBRequest} ask
 * @returns {Promise<unknown>}
 */
async function request(mode, ask) {
  const database = await settled(open());
  try {
    return await settled(ask(database.transaction(STORE, mode).objectStore(STORE)));
  } finally {
    database.close();
  }
}

function open() {
  const opening = indexedDB.open("stoq-demo", 1);
  opening.addEventListener("upgradeneeded", () => opening.result.createObjectStore(STORE));
  return opening;
}

/**
 * @template T
 * @param {IDBRequest<T>} request
 * @returns {Promise<T>}
 */
function settled(request) {
  return new Promise((resolve, reject) => {
    request.addEventListener("success", () => resolve(request.result));
    request.addEventListener("error", () => reject(request.error));
  });
}

const STORE = "keys";
const NAME = "holder";
