// What a session counts.

import type { Datagrams } from './datagrams.js';
import type { ErrorCode } from './error.js';
import type { Session } from './session.js';

/** Counters of one session. */
export interface SessionStats {
  /** Datagrams handed to the browser. */
  sentDatagrams: number;
  /** Datagrams that arrived, the dropped ones included. */
  receivedDatagrams: number;
  /** Datagrams that arrived and were thrown away: nobody received them, or nobody signed them, in time, or they made no sense. */
  droppedDatagrams: number;
  /** Streams opened from here. */
  streamsOpened: number;
  /** Streams opened by the peer. */
  streamsAccepted: number;
  /**
   * What came on verified streams and as verified datagrams and was not taken, by code: how many streams ended with `bad-token`,
   * say, or datagrams were changed, and how many streams were refused as `channel-reused`.
   */
  refused: Partial<Record<ErrorCode, number>>;
  /** Messages, and what became of them. */
  messages: MessageStats;
  /** The last answer to {@link Session.ping}, in milliseconds. */
  pingRtt: number | undefined;
  /** What the gateway last said about its side of the connection, if it did. */
  path: PathStats | undefined;
}

/** Counters of the messages of one session. */
export interface MessageStats {
  /** Messages handed to the browser. */
  sent: number;
  /** Messages that arrived whole, the dropped ones included. */
  received: number;
  /** Messages that arrived whole and gave way, because nobody read them in time. */
  dropped: number;
  /** Messages that gave way before they were whole. */
  evicted: number;
  /** Messages that did not become whole in time. */
  expired: number;
  /** Messages that were put together and had another hash than announced. */
  mismatched: number;
  /** Shards that contradicted others of their message. */
  contradicting: number;
  /** Shards that came again. */
  duplicate: number;
  /** Shards of messages that were whole already: without losses, that is all parity. */
  late: number;
  /** Shards of messages larger than 1 MiB. */
  tooLarge: number;
}

/** What a gateway tells about the connection, because browsers do not. */
export interface PathStats {
  /** Round-trip time in milliseconds. */
  rtt: number;
  /** Its variation in milliseconds. */
  rttVariation: number;
  /** Packets lost since the connection began. */
  lostPackets: number;
  /** Bytes the gateway may have in flight. */
  congestionWindow: number;
  /** Bytes a second that the gateway sends and that arrive. */
  sendRate: number;
  /**
   * The class of the path, by the rate that it carries: below 100 Mbit/s, below 1 Gbit/s, 2.5, 10, 25, and above. `undefined`
   * until it had enough to carry, or if a newer gateway knows more classes.
   */
  tier: 'slow' | 'home' | 'standard' | 'performance' | 'enterprise' | 'data-center' | undefined;
}
