// A file whose answer its origin signs, over a verified stream: the same request and answer as in files-protocol.js. No page in
// here.

import { ByteSource } from "./byte-source.js";
import { answerLine, parseHash, parseSize } from "./files-answers.js";

/**
 * @typedef {import("stoq").Session} Session
 * @typedef {import("stoq").VerifiedItem} VerifiedItem
 * @typedef {{ arrived: number, verified: number, items: number, signatures: number, through: number, signer: string }} Progress
 *   bytes of the answer that came, and that are signed; pieces of data, and signatures, so far; the last piece that is signed, −1
 *   if none is; and by whom
 */

/**
 * Fetches a file into `sink` as it arrives. The sink is closed when the signed end has come, aborted on any error.
 * @param {Session} session a session with the service `files`
 * @param {string} name
 * @param {WritableStream<Uint8Array>} sink
 * @param {string[]} origins who may have signed it
 * @param {{ delivery?: "pending" | "verified", onSize?: (size: number) => void, onProgress?: (progress: Progress) => void, signal?: AbortSignal }} [options]
 * @returns {Promise<{ size: number, sha256: string, progress: Progress, channel: string }>}
 * @throws {import("stoq").StoqError} with `sequence`, the first piece that is not to be used, if somebody has meddled; and as
 *   `get` of files-protocol.js
 */
export async function getVerified(session, name, sink, origins, { delivery = "pending", onSize, onProgress, signal } = {}) {
  signal?.throwIfAborted();
  const writer = sink.getWriter();
  try {
    const stream = await session.openVerifiedBidirectionalStream({ origins, delivery });
    const tally = new Tally(onProgress);
    const source = new ByteSource(stream.readable.pipeThrough(tally.data));
    const cancel = () => void source.cancel(signal?.reason).catch(() => {});
    signal?.addEventListener("abort", cancel);
    try {
      await stream.send.write(new TextEncoder().encode(`${JSON.stringify({ op: "get", name })}\n`));
      // An error says that the service wants no more, which there is none of.
      stream.send.finish().catch(() => {});
      const { size } = parseSize(await answerLine(source));
      onSize?.(size);
      for await (const part of source.take(size)) {
        signal?.throwIfAborted();
        await writer.write(part);
      }
      const { sha256 } = parseHash(await answerLine(source));
      await source.end();
      await writer.close();
      return { size, sha256, progress: tally.progress, channel: stream.channel };
    } finally {
      signal?.removeEventListener("abort", cancel);
    }
  } catch (error) {
    await writer.abort(error).catch(() => {});
    throw signal?.aborted ? signal.reason : error;
  }
}

/** Lets data pass, and keeps account of what is signed. */
export class Tally {
  /** @type {Progress} */
  progress = { arrived: 0, verified: 0, items: 0, signatures: 0, through: -1, signer: "" };
  /** @type {TransformStream<VerifiedItem, Uint8Array>} */
  data = new TransformStream({
    transform: (item, controller) => {
      if (item.data) {
        this.#data(item);
        controller.enqueue(item.data);
      } else {
        this.#signed(item);
      }
      this.#tell?.(this.progress);
    },
  });
  /** Where each piece ends that is not signed yet. @type {number[]} */
  #ends = [];
  /** The number of the first of them. */
  #first = 0;
  #tell;

  /** @param {((progress: Progress) => void) | undefined} tell */
  constructor(tell) {
    this.#tell = tell;
  }

  /** @param {import("stoq").VerifiedData} item */
  #data({ data, state, sequence }) {
    const { progress } = this;
    progress.arrived += data.length;
    progress.items += 1;
    if (state === "verified") progress.verified = progress.arrived;
    else this.#ends[sequence - this.#first] = progress.arrived;
  }

  /** @param {import("stoq").VerifiedThrough} item */
  #signed({ through, signer }) {
    const { progress } = this;
    const ends = this.#ends.splice(0, through - this.#first + 1);
    this.#first = through + 1;
    progress.verified = ends.at(-1) ?? progress.verified;
    Object.assign(progress, { through, signer, signatures: progress.signatures + 1 });
  }
}
