// Streams of bytes in memory, for tests of what reads them.

/**
 * @param {Uint8Array[]} parts
 * @param {boolean} [ends] whether the end follows the last part
 * @returns {ReadableStream<Uint8Array>}
 */
export function streamOf(parts, ends = true) {
  const left = [...parts];
  return new ReadableStream({
    pull(controller) {
      const part = left.shift();
      if (part) controller.enqueue(part);
      else if (ends) controller.close();
      else return new Promise(() => {});
    },
  });
}

/**
 * @param {Uint8Array} whole
 * @param {number} size
 */
export function chunks(whole, size) {
  const parts = [];
  for (let at = 0; at < whole.length; at += size) parts.push(whole.subarray(at, at + size));
  return parts;
}

/** Keeps what is written, and whether it was ended or given up. */
export class Collected {
  /** @type {Uint8Array[]} */
  parts = [];
  closed = false;
  /** @type {unknown} */
  aborted;
  /** @type {WritableStream<Uint8Array>} */
  writable = new WritableStream({
    write: (part) => void this.parts.push(part.slice()),
    close: () => void (this.closed = true),
    abort: (reason) => void (this.aborted = reason ?? "no reason"),
  });

  text() {
    return Buffer.concat(this.parts).toString();
  }
}
