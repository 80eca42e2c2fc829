// Measures a session with the service `echo`, which sends back what it is sent. No page in here.

import { ByteSource } from "./byte-source.js";

/**
 * @typedef {import("stoq").Session} Session
 * @typedef {{ times: number[], lost: number }} Echoes `times`: one round trip each, in ms, in the order of the answers
 * @typedef {{ onProgress?: (done: number) => void, signal?: AbortSignal }} Options
 */

/** An answer was not what was sent. */
export class EchoError extends Error {
  /** @param {string} message */
  constructor(message) {
    super(message);
    this.name = "EchoError";
    this.code = "wrong-echo";
  }
}

/**
 * Sends `count` messages of `size` bytes on one stream, each after the answer to the one before.
 * @param {Session} session
 * @param {number} count
 * @param {number} size at least 1
 * @param {Options} [options]
 * @returns {Promise<Echoes>} `lost` is 0: streams lose nothing
 */
export async function echoStream(session, count, size, { onProgress, signal } = {}) {
  signal?.throwIfAborted();
  const stream = await session.openBidirectionalStream();
  const source = new ByteSource(stream.readable);
  const writer = stream.writable.getWriter();
  const cancel = () => {
    void source.cancel(signal?.reason).catch(ignore);
    void writer.abort(signal?.reason).catch(ignore);
  };
  signal?.addEventListener("abort", cancel);
  try {
    /** @type {number[]} */
    const times = [];
    for (let i = 0; i < count; i += 1) {
      const message = pattern(size, i);
      const start = performance.now();
      // Not awaited: the answer says that it was sent. A failure shows when the answer is read, or at the next write.
      writer.write(message).catch(ignore);
      let at = 0;
      for await (const part of source.take(size)) {
        if (!same(part, message, at)) throw new EchoError(`answer ${i} differs from what was sent`);
        at += part.length;
      }
      times.push(performance.now() - start);
      onProgress?.(i + 1);
    }
    // Close and read to the end: a stream that is left earlier counts as stopped.
    writer.close().catch(ignore);
    await source.end();
    return { times, lost: 0 };
  } catch (error) {
    cancel();
    throw signal?.aborted ? signal.reason : error;
  } finally {
    signal?.removeEventListener("abort", cancel);
  }
}

/**
 * Sends `count` datagrams of `size` bytes, each when the one before was answered or is given up. An answer that comes
 * later still counts, as long as the measurement runs.
 * @param {Session} session nobody else may receive its datagrams meanwhile
 * @param {number} count
 * @param {number} size from {@link SMALLEST_DATAGRAM} to `session.datagrams.maxSize`
 * @param {Options} [options]
 * @returns {Promise<Echoes>}
 */
export function echoDatagrams(session, count, size, options) {
  const { datagrams } = session;
  return echoPieces({ readable: datagrams.readable, send: (data) => datagrams.send(data) }, count, size, options);
}

/**
 * The same with messages, each cut into shards that go in datagrams: one that lost some is put together from the others.
 * @param {Session} session nobody else may receive its messages meanwhile
 * @param {number} count
 * @param {number} size from {@link SMALLEST_DATAGRAM} to `session.maxMessageSize`
 * @param {Options} [options]
 * @returns {Promise<Echoes>}
 */
export function echoMessages(session, count, size, options) {
  return echoPieces({ readable: session.messages, send: (data) => session.sendMessage(data) }, count, size, options);
}

/**
 * @param {{ readable: ReadableStream<Uint8Array>, send: (data: Uint8Array) => Promise<void> }} carrier
 * @param {number} count
 * @param {number} size
 * @param {Options} [options]
 * @returns {Promise<Echoes>}
 */
async function echoPieces(carrier, count, size, { onProgress, signal } = {}) {
  signal?.throwIfAborted();
  if (size < SMALLEST_DATAGRAM) throw new RangeError(`a datagram needs ${SMALLEST_DATAGRAM} bytes for its number`);
  const reader = carrier.readable.getReader();
  const run = crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
  /** When each was sent; answered ones are taken out. @type {Map<number, number>} */
  const open = new Map();
  /** @type {number[]} */
  const times = [];
  /** The one that waits for the next event: an answer, or the end of the receiving loop. */
  let wake = ignore;
  /** @type {unknown} */
  let failure;
  const receiving = receive().catch((error) => {
    failure = error;
    wake();
  });
  const cancel = () => wake();
  signal?.addEventListener("abort", cancel);

  async function receive() {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) throw new EchoError("nothing more comes in this session");
      const at = performance.now();
      const number = numberOf(value, run);
      const start = number === undefined ? undefined : open.get(number);
      if (number === undefined || start === undefined) continue;
      if (!same(value.subarray(SMALLEST_DATAGRAM), pattern(size, number), SMALLEST_DATAGRAM)) {
        throw new EchoError(`answer ${number} differs from what was sent`);
      }
      open.delete(number);
      times.push(at - start);
      wake();
    }
  }

  /**
   * Until `ready` holds or `ms` have passed.
   * @param {() => boolean} ready
   * @param {number} ms
   */
  async function until(ready, ms) {
    const end = performance.now() + ms;
    for (;;) {
      if (failure !== undefined) throw failure;
      signal?.throwIfAborted();
      const left = end - performance.now();
      if (ready() || left <= 0) return;
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, left);
        wake = () => {
          clearTimeout(timer);
          resolve(undefined);
        };
      });
    }
  }

  try {
    let slowest = 0;
    for (let i = 0; i < count; i += 1) {
      const datagram = pattern(size, i);
      const header = new DataView(datagram.buffer);
      header.setUint32(0, run);
      header.setUint32(4, i);
      open.set(i, performance.now());
      await carrier.send(datagram);
      // Given up after many times the slowest answer: one that was lost need not hold up the rest for long.
      const patience = slowest === 0 ? LAST_WAIT : Math.min(LAST_WAIT, Math.max(MIN_PATIENCE, 8 * slowest));
      await until(() => !open.has(i), patience);
      slowest = Math.max(slowest, times.at(-1) ?? 0);
      onProgress?.(i + 1);
    }
    await until(() => open.size === 0, LAST_WAIT);
    return { times, lost: open.size };
  } finally {
    signal?.removeEventListener("abort", cancel);
    reader.releaseLock();
    await receiving;
  }
}

/** A datagram begins with the run and its number, 4 bytes each. */
export const SMALLEST_DATAGRAM = 8;

/** The shortest time to wait for a datagram before the next one is sent, in ms. */
const MIN_PATIENCE = 50;
/** How long an answer may take that has nothing to be compared with, and how long the last ones are waited for, in ms. */
const LAST_WAIT = 1000;

/**
 * Bytes that tell one message from the next, so that an answer to another message is found out.
 * @param {number} size
 * @param {number} number
 */
function pattern(size, number) {
  const message = new Uint8Array(size);
  for (let i = 0; i < size; i += 1) message[i] = (i + number * 31) & 0xff;
  return message;
}

/**
 * @param {Uint8Array} part
 * @param {Uint8Array} whole
 * @param {number} at where in `whole` the part should stand
 */
function same(part, whole, at) {
  return at + part.length <= whole.length && part.every((byte, i) => byte === whole[at + i]);
}

/**
 * @param {Uint8Array} datagram
 * @param {number} run
 * @returns {number | undefined} nothing if it is not of this run
 */
function numberOf(datagram, run) {
  if (datagram.length < SMALLEST_DATAGRAM) return undefined;
  const header = new DataView(datagram.buffer, datagram.byteOffset);
  return header.getUint32(0) === run ? header.getUint32(4) : undefined;
}

function ignore() {}
