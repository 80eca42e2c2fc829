// Sessions, and how they end.

import type { ClientOptions } from './client.js';
import type { Datagrams, VerifiedDatagrams } from './datagrams.js';
import type { ErrorCode, StoqError } from './error.js';
import type { GatewayIdentity } from './identity.js';
import type { Seed, SeedEvent } from './seeds.js';
import type { SessionStats } from './stats.js';
import type { BidirectionalStream, ReceiveStream, SendStream } from './streams.js';
import type { VerifiedBidirectionalStream, VerifiedOptions, VerifiedReceiveStream } from './verified.js';

/**
 * One relay, in its own words. Each relay authenticates its neighbours and nobody else, and this end has a gateway for a
 * neighbour: all that stands here are claims. Who sent the data is what {@link VerifiedOptions.origins} proves, whatever the
 * relays say.
 */
export interface Hop {
  /** Who it says it is. */
  readonly id: string;
  /** The IP address at which it says it is reached. */
  readonly address: string;
  /** The UDP port there. */
  readonly port: number;
  /** When it says it passed the request on. */
  readonly timestamp: Date;
  /** What else it says: names and values. */
  readonly metadata: readonly (readonly [string, string])[];
}

/** How a session ended. */
export interface CloseInfo {
  /** The code as it travels. */
  readonly code: number;
  /** The word for the code. */
  readonly name: ErrorCode;
  /** What the side that closed had to say; may be empty. */
  readonly reason: string;
}

/** Why and how soon the peer wants the session to end. */
export interface GoingAway {
  /** The code as it travels. */
  readonly code: number;
  /** The word for the code. */
  readonly name: ErrorCode;
  /** After how many milliseconds the peer will close the session itself. */
  readonly grace: number;
  /** Where to connect to instead, if the peer names a place: `host:port`. */
  readonly authority: string | undefined;
}

/** A session with a service: any number of streams, datagrams, and one end. */
export class Session {
  private constructor();
  /** The URL it was opened with. */
  readonly url: string;
  /** The name of the service. */
  readonly service: string;
  /** What was verified of the gateway before connecting; `null` if the client has no {@link ClientOptions.pins}. */
  readonly security: GatewayIdentity | null;
  /** The session hash, 32 bytes: the same at both ends, and different in every session. */
  readonly hash: Uint8Array;
  /**
   * The relays between here and the service, as the service saw them, the first one passed first; empty if there were none, or
   * none that said so. Claims: see {@link Hop}.
   */
  readonly hops: readonly Hop[];
  /** The largest datagram, in bytes, that fits the whole path now. It can change. */
  readonly maxDatagramSize: number;
  /** Resolves when the session has ended, whoever ended it. Never rejects. */
  readonly closed: Promise<CloseInfo>;
  /**
   * Resolves when the peer asks to wind the session up: begin no more work on it. Otherwise it stays pending. It does not
   * keep the session open, and need not be looked at.
   */
  readonly draining: Promise<GoingAway>;
  /** The datagrams of the session. */
  readonly datagrams: Datagrams;
  /** The largest message, in bytes, that can be sent now: some 200 KB. It changes with the path. */
  readonly maxMessageSize: number;
  /**
   * The peer's messages, one a chunk, in the order in which they became whole. Each arrives whole or not at all, and once.
   * What is not whole yet takes at most 1 MiB, in 64 messages, for 5 s; whole ones wait up to 4 MiB. The oldest make room.
   */
  readonly messages: ReadableStream<Uint8Array>;
  /**
   * Sends a message of up to {@link maxMessageSize} bytes in datagrams, cut into shards: none waits for another, and lost
   * ones are made up for by `parity` shards more. Resolves when the browser has taken them, which says nothing about the
   * arrival. The first message, sent or received, takes some 8 ms and 400 KB for tables.
   *
   * Firefox 140 takes any number of datagrams at once and drops what the path does not carry at that moment: on a path
   * that loses much, most messages of more than ten or so datagrams do not leave it whole. Chromium waits.
   *
   * @param options `parity`: how many shards may be lost, 0 to 255; never more than two for each shard that the message fills, and
   *   16. Default: as many as a loss of 1 % asks for, because
   *   browsers do not tell what is lost.
   * @throws {@link StoqError} `datagram-too-large` · `invalid-argument`: no bytes at all, or no such parity · `unsupported`:
   *   the peer takes no datagrams · or how the session ended.
   */
  sendMessage(data: Uint8Array, options?: { readonly parity?: number }): Promise<void>;
  /**
   * What the far end announces of contents and who holds them, one event a chunk. Nobody has proved that it is so. Nothing is
   * read before somebody reads here. It fails as the session ends, and with `malformed-frame`, `frame-too-large` or
   * `control-flood` if the far end breaks a rule.
   */
  readonly seeds: ReadableStream<SeedEvent>;
  /**
   * Announces to the far end of the session, through all relays, who holds a content: in place of what was announced of it
   * before, and for as long as the far end chooses, ten minutes as a rule. Announcements arrive in their order. Resolves when the
   * seed is on its way: 256 at once, and 32 a second over time, half of what a far end takes before it stops them as a flood.
   * @throws {@link StoqError} `invalid-argument`: not such a seed · `unsupported`: the far end takes none (which may show only
   *   at the next one) · how the session ended.
   */
  sendSeed(seed: Seed): Promise<void>;
  /**
   * Opens a stream in both directions. While the peer's limit of open streams is reached, this waits, however long that
   * takes, and calls are served in their order.
   * @throws {@link StoqError} How the session ended; `unmapped-code` if the browser could not open it for another reason.
   */
  openBidirectionalStream(): Promise<BidirectionalStream>;
  /**
   * Opens a stream from here to the peer. While the peer's limit of open streams is reached, this waits, however long that
   * takes, and calls are served in their order.
   * @throws {@link StoqError} How the session ended; `unmapped-code` if the browser could not open it for another reason.
   */
  openUnidirectionalStream(): Promise<SendStream>;
  /**
   * The next stream that the peer opened in both directions and that is not verified, in the order of arrival. At most 64 wait
   * here, verified or not, since which it is shows when it is here: of a peer that opens both kinds, accept both. The browser
   * keeps the others, and in the end the peer can open no more.
   * @throws {@link StoqError} How the session ended.
   */
  acceptBidirectionalStream(): Promise<BidirectionalStream>;
  /**
   * The next stream that the peer opened from there to here and that is not verified, in the order of arrival. At most 64 wait
   * here, verified or not, as with {@link acceptBidirectionalStream}; the browser keeps the others, and in the end the peer can
   * open no more.
   * @throws {@link StoqError} How the session ended.
   */
  acceptUnidirectionalStream(): Promise<ReceiveStream>;
  /**
   * Opens a verified stream in both directions: what arrives on it is held against the signatures of
   * {@link VerifiedOptions.origins}. The service must take such streams, or refuses this one with `unsupported`.
   * @throws {@link StoqError} As {@link openBidirectionalStream}; `invalid-argument`; `limit-exceeded` after 65 536 verified
   *   streams that this page has opened in one session.
   */
  openVerifiedBidirectionalStream(options?: VerifiedOptions): Promise<VerifiedBidirectionalStream>;
  /**
   * Opens a verified stream from here to the peer, which finds out what was changed on the way by accident. A page has no key to
   * sign with: against a relay that means it, this proves nothing.
   * @throws {@link StoqError} As {@link openVerifiedBidirectionalStream}.
   */
  openVerifiedUnidirectionalStream(options?: Pick<VerifiedOptions, 'algorithm'>): Promise<SendStream>;
  /**
   * The next verified stream that the peer opened in both directions, as {@link acceptBidirectionalStream}. One whose channel
   * was used before in this session is refused (`channel-reused`) and counted, and so is one beyond 65 536 (`limit-exceeded`).
   * @throws {@link StoqError} How the session ended; `invalid-argument`.
   */
  acceptVerifiedBidirectionalStream(options?: VerifiedOptions): Promise<VerifiedBidirectionalStream>;
  /**
   * The next verified stream that the peer opened from there to here, as {@link acceptVerifiedBidirectionalStream}.
   * @throws {@link StoqError} How the session ended; `invalid-argument`.
   */
  acceptVerifiedUnidirectionalStream(options?: VerifiedOptions): Promise<VerifiedReceiveStream>;
  /**
   * The datagrams of the session that have tokens: other ones than {@link datagrams}. The first call says how; later ones, without
   * options, give the same object.
   *
   * With {@link VerifiedOptions.origins} the peer's announcements are read from then on, because the signatures of datagrams come
   * there. At most 1024 datagrams wait to be received, and as many for their signature, with up to 1 MiB of data held back; the
   * oldest make room.
   * @throws {@link StoqError} At once, not as a rejection: `invalid-argument`, also if there were options before.
   */
  verifiedDatagrams(options?: Omit<VerifiedOptions, 'partialAnswers'>): VerifiedDatagrams;
  /**
   * Asks the peer for a sign of life on the control stream.
   * @returns The round-trip time in milliseconds, to the nearest neighbour: behind a gateway, that is the gateway.
   * @throws {@link StoqError} `limit-exceeded`: too many pings are under way.
   */
  ping(): Promise<number>;
  /** Counters, as they stand now. */
  stats(): SessionStats;
  /**
   * Closes the session: the code and the reason go to the peer, every stream ends. A second call waits for the first.
   *
   * @param info `code`: an integer from 0 to 2³² − 1, default 0 (`no-error`). `reason`: for
   *   people; cut to 1024 bytes of UTF-8.
   * @returns How the session ended: if the peer closed it first, its code and reason, not these.
   */
  close(info?: { readonly code?: number; readonly reason?: string }): Promise<CloseInfo>;
  /** Gives the memory of this handle back at once. Its streams, and promises that are still open, go on. */
  free(): void;
}
