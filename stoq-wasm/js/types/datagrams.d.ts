// Datagrams, plain and verified.

import type { StoqError } from './error.js';
import type { Session } from './session.js';
import type { SessionStats } from './stats.js';
import type { VerifiedData, VerifiedOptions } from './verified.js';

/** The datagrams of a session: each arrives whole, or not at all, in any order. */
export class Datagrams {
  private constructor();
  /** The largest that can be sent now, in bytes. */
  readonly maxSize: number;
  /** One datagram a chunk. At most 1024 wait; the oldest makes room. */
  readonly readable: ReadableStream<Uint8Array>;
  /** One datagram a chunk. */
  readonly writable: WritableStream<Uint8Array>;
  /**
   * Sends one. Resolves when the browser has taken it, which says nothing about its arrival.
   * @throws {@link StoqError} `datagram-too-large`, or how the session ended.
   */
  send(data: Uint8Array): Promise<void>;
  /**
   * The next one to arrive.
   * @throws {@link StoqError} How the session ended.
   */
  receive(): Promise<Uint8Array>;
}

/** A datagram with a token that is right for it. */
export interface VerifiedDatagram {
  /** As {@link VerifiedData.state}; what comes as `pending` may be followed by a {@link DatagramWord}. */
  readonly state: 'verified' | 'pending';
  /** The number of its token. Each comes once; they may come in any order, and some not at all. */
  readonly sequence: number;
  /** Its data; perhaps none. */
  readonly data: Uint8Array;
  /** Who signed it, one of {@link VerifiedOptions.origins}, where it is `verified`. */
  readonly signer?: string;
}

/** What has become of a datagram that was handed out as `pending`. */
export type DatagramWord =
  /** An origin has signed it. */
  | { readonly state: 'verified', readonly sequence: number, readonly signer: string, readonly data?: undefined }
  /** It is not the one that was signed: somebody has made another in its place. Also of one that was held back. */
  | { readonly state: 'forged', readonly sequence: number, readonly signer?: undefined, readonly data?: undefined }
  /** No more signatures can come: the peer's announcements have ended, or four signatures were bad. Said once. */
  | { readonly state: 'signatures-ended', readonly sequence?: undefined, readonly signer?: undefined, readonly data?: undefined };

/** What verified datagrams hand out: a datagram if it has `data`, else word of one. */
export type VerifiedDatagramItem = VerifiedDatagram | DatagramWord;

/**
 * The datagrams of a session that have tokens, see {@link Session.verifiedDatagrams}. What is changed or repeated on the way is
 * dropped and counted in {@link SessionStats.refused}; what is lost is not missed.
 */
export class VerifiedDatagrams {
  private constructor();
  /** The largest that can be sent now, in bytes: 58 less than {@link Datagrams.maxSize}, for the token. */
  readonly maxSize: number;
  /** One item a chunk. */
  readonly readable: ReadableStream<VerifiedDatagramItem>;
  /** One datagram a chunk. */
  readonly writable: WritableStream<Uint8Array>;
  /**
   * Sends one with a token and no signature, as {@link Datagrams.send}: a page has no FALCON key.
   * @throws {@link StoqError} `datagram-too-large`, or how the session ended.
   */
  send(data: Uint8Array): Promise<void>;
  /**
   * The next item, in the order in which they came or were verified.
   * @throws {@link StoqError} How the session ended, when all that came before was handed out.
   */
  receive(): Promise<VerifiedDatagramItem>;
}
