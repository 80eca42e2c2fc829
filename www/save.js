// Where a fetched file goes: a file that the user names, or the browser's private storage. Never memory.

import { inBlocks } from "./blocks.js";

/**
 * A place that bytes are written to.
 * @typedef {object} Destination
 * @property {WritableStream<Uint8Array>} sink aborting it leaves nothing behind
 * @property {() => Promise<File | undefined>} file after the sink was closed: the file, if it has yet to be downloaded
 * @property {() => Promise<void>} discard removes what was written, if it is ours to remove
 */

/** Whether the user can be asked for a place. */
export const canAsk = "showSaveFilePicker" in globalThis;

/** This browser has no place to which a stream can be written. */
export class SaveError extends Error {
  /** @param {string} message */
  constructor(message) {
    super(message);
    this.name = "SaveError";
    this.code = "no-storage";
  }
}

/**
 * Asks the user for a place. To be called from a click, before anything that waits.
 * @param {string} name proposed
 * @returns {Promise<Destination>}
 * @throws {DOMException} `AbortError`, if the user chose none
 */
export async function askWhere(name) {
  if (!globalThis.showSaveFilePicker) throw new SaveError("this browser has no save dialog");
  const handle = await globalThis.showSaveFilePicker({ suggestedName: name, startIn: "downloads" });
  return {
    sink: inBlocks(await handle.createWritable()),
    file: async () => undefined,
    discard: async () => {},
  };
}

/**
 * Opens a new file in the origin-private file system, in a directory that only this page uses.
 * @returns {Promise<Destination>}
 */
export async function privateFile() {
  const directory = await (own ??= ownDirectory());
  const place = `${(serial += 1)}`;
  const handle = await directory.getFileHandle(place, { create: true });
  const discard = () => directory.removeEntry(place);
  const raw = "createWritable" in handle ? await handle.createWritable() : throughWorker(directory.name, place);
  return {
    sink: discardOnAbort(inBlocks(raw), discard),
    // Backed by the disk: neither this nor a download reads it whole.
    file: () => handle.getFile(),
    discard,
  };
}

/** @type {Promise<FileSystemDirectoryHandle> | undefined} */
let own;
let serial = 0;

/** A name of its own for this page, held with a lock while the page lives; directories of pages that are gone are removed. */
async function ownDirectory() {
  if (!globalThis.navigator?.storage?.getDirectory || !navigator.locks) {
    throw new SaveError("this browser cannot write a stream to its storage");
  }
  const root = await navigator.storage.getDirectory();
  const name = `${PREFIX}${crypto.randomUUID()}`;
  await new Promise((held) => {
    void navigator.locks.request(name, () => {
      held(undefined);
      return new Promise(() => {});
    });
  });
  const locks = await navigator.locks.query();
  const alive = new Set(locks.held?.map((lock) => lock.name));
  for await (const entry of root.keys()) {
    if (entry.startsWith(PREFIX) && !alive.has(entry)) {
      await root.removeEntry(entry, { recursive: true }).catch(() => {});
    }
  }
  return root.getDirectoryHandle(name, { create: true });
}

/**
 * @param {WritableStream<Uint8Array>} sink
 * @param {() => Promise<void>} discard
 * @returns {WritableStream<Uint8Array>}
 */
function discardOnAbort(sink, discard) {
  const writer = sink.getWriter();
  return new WritableStream({
    write: (part) => writer.write(part),
    close: () => writer.close(),
    async abort(reason) {
      await writer.abort(reason).catch(() => {});
      await discard().catch(() => {});
    },
  });
}

/**
 * For browsers that write private files only from a worker. Each part is answered before the next is sent.
 * @param {string} directory
 * @param {string} place
 * @returns {WritableStream<Uint8Array>}
 */
function throughWorker(directory, place) {
  const worker = new Worker(new URL("./save-worker.js", import.meta.url), { type: "module" });
  /**
   * @param {object} message
   * @param {Transferable[]} [transfer]
   * @returns {Promise<void>}
   */
  const ask = (message, transfer = []) =>
    new Promise((resolve, reject) => {
      worker.onmessage = ({ data }) => (data.error ? reject(new SaveError(data.error)) : resolve());
      worker.onerror = () => reject(new SaveError("the worker that writes files did not start"));
      worker.postMessage(message, transfer);
    });
  const end = async () => {
    await ask({ do: "close" });
    worker.terminate();
  };
  return new WritableStream({
    start: () => ask({ do: "open", directory, place }),
    write(part) {
      // A copy, because the part may be a view of bytes that others still read.
      const own = part.slice();
      return ask({ do: "write", part: own }, [own.buffer]);
    },
    close: end,
    abort: end,
  });
}

const PREFIX = "stoq-fetched-";
