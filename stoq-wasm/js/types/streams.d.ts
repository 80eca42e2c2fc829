// Streams as they are.

import type { StoqError } from './error.js';

/** A stream in both directions. Each direction ends by itself. */
export class BidirectionalStream {
  private constructor();
  /** The direction to the peer. */
  readonly send: SendStream;
  /** The direction from the peer. */
  readonly receive: ReceiveStream;
  /** Short for `receive.readable`. */
  readonly readable: ReadableStream<Uint8Array>;
  /** Short for `send.writable`. */
  readonly writable: WritableStream<Uint8Array>;
}

/** The sending direction of a stream. Use the methods, or `writable`, or first one and then the other. */
export class SendStream {
  private constructor();
  /** The stream for `pipeTo` and friends: closing it finishes, aborting it resets (with the code of a {@link StoqError}). */
  readonly writable: WritableStream<Uint8Array>;
  /**
   * Sends bytes. Resolves when there is room for more; leave the bytes alone until then.
   * @throws {@link StoqError} The code with which the peer stopped the stream, or how the session ended.
   */
  write(data: Uint8Array): Promise<void>;
  /**
   * Says that this was all. Resolves when everything is on its way.
   * @throws {@link StoqError} As {@link SendStream.write}; `invalid-argument` if that was said before.
   */
  finish(): Promise<void>;
  /**
   * Gives up: what the peer has not read yet is lost, and it sees the code.
   * @param code An integer from 0 to 2³² − 1, default `cancelled`. From 192 on, browsers of today send `unmapped-code`
   *   instead, except for the codes with a name.
   */
  reset(code?: number): Promise<void>;
}

/** The receiving direction of a stream. Use the methods, or `readable`, or first one and then the other. */
export class ReceiveStream {
  private constructor();
  /** The stream for `pipeTo`, `for await` and friends; a byte stream. Cancelling it stops (with the code of a {@link StoqError}). */
  readonly readable: ReadableStream<Uint8Array>;
  /**
   * The next bytes, as many as the browser has at hand; `undefined` after the last.
   * @throws {@link StoqError} The code with which the peer reset the stream, or how the session ended.
   */
  read(): Promise<Uint8Array | undefined>;
  /**
   * Wants no more: the peer is told, and sees the code. Firefox 140 does not tell it.
   * @param code As at {@link SendStream.reset}.
   */
  stop(code?: number): Promise<void>;
}
