// Verified streams.

import type { StoqError } from './error.js';
import type { ReceiveStream, SendStream } from './streams.js';

/** How a verified stream is received and sent. */
export interface VerifiedOptions {
  /**
   * Who may have signed what arrives: FALCON identities (`stoq1…`). The first of them that signs stays the signer of the stream.
   * Default: nobody. Then data is `pending` for ever, and an end that a relay made is not told from one that was meant.
   */
  origins?: string | readonly string[];
  /**
   * When data is handed out: `verified`, when its signature has come (up to 16 MiB are held back, and none of them is handed out
   * if it is bad; beyond 64 MiB the streams of a session are read one after the other; after 30 s in which nothing comes it is
   * `limit-exceeded`), or `pending`, at once; its signature follows as an item of its own. Default: `verified`, with origins.
   */
  delivery?: 'verified' | 'pending';
  /** How what is sent is hashed. What arrives may be hashed either way. Default: `blake3`, which is some six times as fast. */
  algorithm?: 'blake3' | 'sha-256';
  /**
   * Whether a signed answer may end although it is to less than what was sent and finished, on streams in both directions that
   * this page opens. Default: `false`; a relay may have cut the question, so the answer is refused (`wrong-request`), or, where
   * it ended first, `finish()` is rejected with that.
   */
  partialAnswers?: boolean;
}

/** Data that arrived on a verified stream, in order and without gaps. */
export interface VerifiedData {
  /**
   * `verified`: an origin has signed it. `pending`: it is whole as far as its hash says, which any relay could have made anew;
   * wait for the {@link VerifiedThrough} that covers it before believing it.
   */
  readonly state: 'verified' | 'pending';
  /** The number of its token: 0, 1, 2, … on each stream. */
  readonly sequence: number;
  /** 1 to 16 384 bytes. */
  readonly data: Uint8Array;
}

/** An origin vouches for all data up to a sequence. */
export interface VerifiedThrough {
  readonly state: 'verified';
  readonly data?: undefined;
  /** The last sequence that is vouched for. */
  readonly through: number;
  /** Who signed: one of {@link VerifiedOptions.origins}. */
  readonly signer: string;
  /** Whether the signer ended the stream here. */
  readonly final: boolean;
  /**
   * How many frames (of up to 16 384 bytes) of what this end sends on the stream the signer had been given by then. No relay has
   * changed them; that it was given no more may be a relay's doing.
   */
  readonly answers: number;
  /** Whether those are all that this end had sent when the signature came. */
  readonly answersAll: boolean;
}

/** What a verified stream hands out: data if it has `data`, else a signature. */
export type VerifiedItem = VerifiedData | VerifiedThrough;

/** A verified stream in both directions. Each direction ends by itself. */
export class VerifiedBidirectionalStream {
  private constructor();
  /** The name of the channel, 32 hexadecimal digits: random, the same at both ends, and used once in a session. */
  readonly channel: string;
  /** The direction to the peer. What is sent has tokens and no signatures: a page has no FALCON key. */
  readonly send: SendStream;
  /** The direction from the peer. */
  readonly receive: VerifiedReceiveStream;
  /** Short for `receive.readable`. */
  readonly readable: ReadableStream<VerifiedItem>;
  /** Short for `send.writable`. */
  readonly writable: WritableStream<Uint8Array>;
  /** Gives the memory of this handle back at once. Its halves go on. */
  free(): void;
}

/**
 * The receiving direction of a verified stream. Use the methods, or `readable`, or first one and then the other.
 *
 * Where what arrives is not what an origin sent, reading fails with an error whose {@link StoqError.sequence} says from where
 * on; the peer is told to stop, with the same code. The codes: `bad-token`: data was changed, dropped or reordered ·
 * `replayed-token`: it came twice · `bad-signature`: a signature is forged, for other data, for another stream or session, or
 * the answer to another question; or a signature is missing, or the key for it · `unsent-run`: a signature for data that never
 * came · `wrong-request`: it answers a request that was not made · `untrusted-origin`: somebody else's key or signature ·
 * `truncated`: the stream was cut short · `limit-exceeded`: too much came without a signature.
 */
export class VerifiedReceiveStream {
  private constructor();
  /** The stream for `for await` and friends. Cancelling it stops (with the code of a {@link StoqError}). */
  readonly readable: ReadableStream<VerifiedItem>;
  /**
   * The next item; `undefined` after the last. With {@link VerifiedOptions.origins}, the end is one that they have signed.
   * @throws {@link StoqError} What is wrong with what arrived, and from which sequence on; the code with which the peer reset
   *   the stream; or how the session ended.
   */
  read(): Promise<VerifiedItem | undefined>;
  /** Wants no more, as {@link ReceiveStream.stop}. */
  stop(code?: number): Promise<void>;
  /** Gives the memory of this handle back at once. A read under way goes on. */
  free(): void;
}
