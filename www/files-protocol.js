// The protocol of the service `files`: one request on one bidirectional stream. No page in here.
//
//   put     {"op":"put","name","size"}\n body FIN  ->  {"name","size","sha256"}\n FIN
//   get     {"op":"get","name"}\n FIN              ->  {"size"}\n body {"sha256"}\n FIN
//   list    {"op":"list"}\n FIN                    ->  {"files":[…],"used","quota"}\n FIN
//   delete  {"op":"delete","name"}\n FIN           ->  {}\n FIN
//
// Each answer may be {"error":{"code","message"}}\n instead.

import { Sha256 } from "stoq";
import { ByteSource } from "./byte-source.js";
import { answerLine, FilesError, listingLine, parseHash, parseSize, parseStored } from "./files-answers.js";

export { FilesError };

/**
 * @typedef {import("stoq").Session} Session
 * @typedef {import("stoq").BidirectionalStream} BidirectionalStream
 * @typedef {import("./files-answers.js").Listing} Listing
 * @typedef {{ name: string, size: number, sha256: string, localSha256: string }} Stored
 * @typedef {{ size: number, sha256: string, localSha256: string }} Fetched
 */

/**
 * Stores a file, hashing it on the way. The file is never held whole.
 * @param {Session} session a session with the service `files`
 * @param {Blob & { name?: string }} file
 * @param {{ name?: string, onProgress?: (sent: number) => void, signal?: AbortSignal }} [options]
 *   `onProgress` hears how many bytes of the body were handed to the stream so far
 * @returns {Promise<Stored>} the service's hash and ours: comparing them is the caller's decision to make
 * @throws {FilesError | import("stoq").StoqError} and the signal's reason; then nothing has been stored
 */
export async function put(session, file, { name = file.name ?? "", onProgress, signal } = {}) {
  signal?.throwIfAborted();
  const stream = await session.openBidirectionalStream();
  const source = new ByteSource(stream.readable);
  const hash = new Sha256();
  const refused = new AbortController();
  const stop = signal ? AbortSignal.any([signal, refused.signal]) : refused.signal;
  const cancel = () => void source.cancel(signal?.reason).catch(ignore);
  signal?.addEventListener("abort", cancel);
  try {
    const answer = lastLine(source).then(parseStored);
    // A refusal can come before the body has been sent: it ends the body.
    answer.catch((error) => refused.abort(error));
    const sending = send(stream, { op: "put", name, size: file.size }).then(() =>
      file.stream().pipeThrough(metered(hash, onProgress)).pipeTo(stream.writable, { signal: stop }),
    );
    // The service ends a body that it does not want, and says why in its answer: the answer is the better error.
    const stored = await sending.then(
      () => answer,
      (error) => Promise.race([answer, failAfter(ANSWER_GRACE, error)]),
    );
    return { ...stored, localSha256: hash.hex() };
  } catch (error) {
    cancel();
    throw signal?.aborted ? signal.reason : error;
  } finally {
    signal?.removeEventListener("abort", cancel);
    hash.free();
  }
}

/**
 * Fetches a file into `sink`, hashing it on the way. The sink is closed at the end, aborted on any error.
 * @param {Session} session a session with the service `files`
 * @param {string} name
 * @param {WritableStream<Uint8Array>} sink
 * @param {{ onSize?: (size: number) => void, onProgress?: (received: number) => void, signal?: AbortSignal }} [options]
 * @returns {Promise<Fetched>} the service's hash and ours: comparing them is the caller's decision to make
 * @throws {FilesError | import("stoq").StoqError} and the signal's reason
 */
export async function get(session, name, sink, { onSize, onProgress, signal } = {}) {
  const writer = sink.getWriter();
  const hash = new Sha256();
  try {
    const fetched = await request(session, { op: "get", name }, signal, async (source) => {
      const { size } = parseSize(await answerLine(source));
      onSize?.(size);
      let received = 0;
      onProgress?.(received);
      for await (const part of source.take(size)) {
        hash.update(part);
        await writer.ready;
        // Not awaited: the next part is read while this one is written. A failure shows at `ready` or `close`.
        writer.write(part).catch(ignore);
        received += part.length;
        onProgress?.(received);
      }
      const { sha256 } = parseHash(await answerLine(source));
      return { size, sha256, localSha256: hash.hex() };
    });
    await writer.close();
    return fetched;
  } catch (error) {
    await writer.abort(error).catch(ignore);
    throw error;
  } finally {
    hash.free();
  }
}

/**
 * @param {Session} session a session with the service `files`
 * @param {{ signal?: AbortSignal }} [options]
 * @returns {Promise<Listing>}
 */
export function list(session, { signal } = {}) {
  return request(session, { op: "list" }, signal, listingLine);
}

/**
 * Deletes a stored file.
 * @param {Session} session a session with the service `files`
 * @param {string} name
 * @param {{ signal?: AbortSignal }} [options]
 * @returns {Promise<void>}
 */
export function remove(session, name, { signal } = {}) {
  return request(session, { op: "delete", name }, signal, async (source) => {
    await answerLine(source);
  });
}

/**
 * Asks without a body, lets `read` read the answer, and waits for its end.
 * @template T
 * @param {Session} session
 * @param {object} question
 * @param {AbortSignal | undefined} signal
 * @param {(source: ByteSource) => Promise<T>} read
 * @returns {Promise<T>}
 */
async function request(session, question, signal, read) {
  signal?.throwIfAborted();
  const stream = await session.openBidirectionalStream();
  const source = new ByteSource(stream.readable);
  const cancel = () => void source.cancel(signal?.reason).catch(ignore);
  signal?.addEventListener("abort", cancel);
  try {
    // Whether the question arrived shows in the answer; a stream that is stopped after it is no failure.
    send(stream, question)
      .then(() => stream.writable.close())
      .catch(ignore);
    const answer = await read(source);
    await source.end();
    return answer;
  } catch (error) {
    cancel();
    throw signal?.aborted ? signal.reason : error;
  } finally {
    signal?.removeEventListener("abort", cancel);
  }
}

/**
 * @param {BidirectionalStream} stream
 * @param {object} question
 */
async function send(stream, question) {
  const writer = stream.writable.getWriter();
  try {
    await writer.write(new TextEncoder().encode(`${JSON.stringify(question)}\n`));
  } finally {
    writer.releaseLock();
  }
}

/**
 * Hands bytes on, hashed and counted.
 * @param {Sha256} hash
 * @param {((total: number) => void) | undefined} onProgress
 * @returns {TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>}
 */
function metered(hash, onProgress) {
  let total = 0;
  return new TransformStream({
    start: () => onProgress?.(0),
    transform(part, controller) {
      hash.update(part);
      controller.enqueue(part);
      total += part.length;
      onProgress?.(total);
    },
  });
}

/** @param {ByteSource} source */
async function lastLine(source) {
  const answer = await answerLine(source);
  await source.end();
  return answer;
}

/**
 * @param {number} ms
 * @param {unknown} error
 * @returns {Promise<never>}
 */
function failAfter(ms, error) {
  return new Promise((_, reject) => setTimeout(reject, ms, error));
}

function ignore() {}

/** After a body broke off, how long the service has to say why, in ms: an answer is under way already or never comes. */
const ANSWER_GRACE = 2000;
