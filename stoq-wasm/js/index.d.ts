/**
 * STOQ in the browser: sessions, streams and datagrams over WebTransport.
 *
 * ```js
 * import init, { StoqClient } from 'stoq';
 *
 * await init();
 * const session = await new StoqClient().connect('https://example.org:4433/stoq/v1/echo');
 * const stream = await session.openBidirectionalStream();
 * await stream.send.write(new TextEncoder().encode('hello'));
 * await stream.send.finish();
 * for await (const chunk of stream.receive.readable) console.log(chunk);
 * await session.close();
 * ```
 *
 * Every promise of this package that rejects, rejects with a {@link StoqError}. Only {@link Session.closed} never does.
 *
 * Handles hold a little WebAssembly memory. It is given back when the garbage collector finds the handle, or at once by
 * `free()`; a promise that is still open keeps what it needs. A stream that nothing refers to any more and that was not
 * ended is reset and stopped with `cancelled`. A session that nothing refers to any more (no handle, no stream, no open
 * promise such as `closed`) is closed with `no-error`.
 *
 * @packageDocumentation
 */

/** Where the WebAssembly module comes from: its bytes, its address, a response that carries it, or a compiled module. */
export type WasmSource = BufferSource | URL | string | Response | WebAssembly.Module;

/**
 * Loads the WebAssembly module. It may be called often and loads once; calls while it loads wait for the same load.
 * A load that failed can be tried again.
 *
 * @param source Where the module comes from. By default the file that is part of this package. Only the call that starts
 *   the load looks at it.
 * @throws The error of `fetch`, the file system or `WebAssembly`, untouched.
 */
export default function init(source?: WasmSource): Promise<void>;

/**
 * What went wrong, or why a session or a stream ended: one word per code of the protocol's table.
 * `application` stands for every code that an application chose; {@link StoqError.number} tells which.
 */
export type ErrorCode =
  | 'no-error'
  | 'internal-error'
  | 'protocol-violation'
  | 'malformed-frame'
  | 'frame-too-large'
  | 'control-stream-closed'
  | 'settings-error'
  | 'version-mismatch'
  | 'unknown-service'
  | 'unknown-path'
  | 'origin-refused'
  | 'upstream-unreachable'
  | 'upstream-lost'
  | 'going-away'
  | 'timeout'
  | 'limit-exceeded'
  | 'held-too-long'
  | 'unmapped-code'
  | 'unknown-session'
  | 'control-flood'
  | 'cancelled'
  | 'session-closed'
  | 'handshake-failed'
  | 'connection-lost'
  | 'invalid-argument'
  | 'unsupported'
  | 'datagram-too-large'
  | 'session-refused'
  | 'untrusted-identity'
  | 'identity-revoked'
  | 'endpoint-record-refused'
  | 'early-data-rejected'
  | 'access-token-malformed'
  | 'access-token-forged'
  | 'access-token-untrusted-issuer'
  | 'access-token-expired'
  | 'access-token-not-yet-valid'
  | 'access-token-wrong-audience'
  | 'access-token-wrong-service'
  | 'access-token-revoked'
  | 'access-token-required'
  | 'permission-denied'
  | 'holder-proof-missing'
  | 'holder-proof-wrong'
  | 'hop-loop'
  | 'too-many-hops'
  | 'next-hop-not-allowed'
  | 'channel-reused'
  | 'bad-token'
  | 'replayed-token'
  | 'stale-token'
  | 'bad-signature'
  | 'unsent-run'
  | 'wrong-request'
  | 'truncated'
  | 'untrusted-origin'
  | 'application';

/**
 * The one error class of this package.
 *
 * On a stream, the code is the one with which the peer reset or stopped it, or `unmapped-code` where the browser keeps it to
 * itself (the README says when). Where the session has ended, it is the
 * session's named close code (say `upstream-lost`); `session-closed` stands for a close without an error, with an
 * application's code, or by this side: {@link Session.closed} has the details.
 */
export class StoqError extends Error {
  /** @param number The code, an integer from 0 to 2³² − 1; `code` is its word. */
  constructor(code: ErrorCode, number: number, message: string, sequence?: number);
  readonly name: 'StoqError';
  /** The word for the code, to compare with. */
  readonly code: ErrorCode;
  /** The code as it travels: an application's own number, or `0x53540000` and up for the protocol's. */
  readonly number: number;
  /**
   * Where a verified stream is not what its origin sent: the {@link VerifiedData.sequence} from which on nothing is to be used.
   * What came before it stays as good as it was said to be. `undefined` for all other errors.
   */
  readonly sequence: number | undefined;
}

/** What a {@link StoqClient} is made with. */
export interface ClientOptions {
  /**
   * SHA-256 hashes of the certificates that the server may present, each as 64 hexadecimal digits (colons allowed) or 32
   * bytes. With them the browser accepts a self-signed certificate (ECDSA P-256, valid for at most 14 days) and no other.
   * Without them (the default) the server needs a certificate that the browser trusts.
   */
  certificateHashes?: readonly (string | Uint8Array)[];
  /**
   * Who the gateways are: for each `host:port` (without a port it is 443; origins such as `https://host:port` will do), the
   * FALCON identities (`stoq1…`) that may speak for it. {@link StoqClient.connect} then
   *
   * 1. goes nowhere but to gateways that stand here, with one identity at least: else `untrusted-identity`, and nothing is
   *    contacted, which holds for all gateways if the object is empty;
   * 2. fetches the gateway's endpoint record and verifies it in WebAssembly: the FALCON-1024 signature of one of these
   *    identities (else `untrusted-identity`), this gateway, valid now, no serial lower than the highest seen of this
   *    gateway, whoever signed that one (else `endpoint-record-refused`);
   * 3. lets the browser accept the certificates that the record lists, and no others. Each must be ECDSA P-256 and valid for
   *    at most 14 days, as browsers demand; that a certificate authority has signed it does not help.
   *
   * It never falls back to connecting without. If the handshake fails, because the gateway replaced its certificate just
   * after the record was read, say, the record is fetched and verified again, and if it has a higher serial, the browser
   * tries once more with that one, within the same time; not if the record was given as bytes. What it proves: that the holder of a pinned key has published these
   * certificates. What it does not: the connection itself is secured with the certificate's classical key, so who can break
   * that one, say with a quantum computer, can still pose as the gateway. And it is worth as much as the way by which the
   * identities came here: a page that the gateway itself serves is told by the gateway whom to trust, and proves nothing.
   *
   * Not together with {@link certificateHashes}. Without it (the default) nothing is verified beyond what browsers do.
   */
  pins?: Readonly<Record<string, string | readonly string[]>>;
  /**
   * Where the endpoint record is, for all gateways of {@link pins}: an address, as `fetch` takes it, or the record itself. Its
   * way need not be secure, and nothing of it is trusted before its signature is verified. Default:
   * `https://<host:port of the URL>/.well-known/stoq/endpoint`.
   */
  endpointRecord?: string | URL | Uint8Array | ArrayBuffer;
  /**
   * Where the highest serial of each gateway's records is kept, so that a record from before one that was seen is not taken:
   * one, say, with certificates that the gateway has withdrawn since (it does so when it restarts). It does not help against
   * a key that was stolen while its certificate is still listed, which is up to 13 days. Default: `localStorage`; where
   * there is none (workers, Node) or it refuses, the module's memory, which ends with the page.
   */
  serials?: SerialStore;
  /** What the browser's congestion control should favour; browsers may ignore it. Default: `default`. */
  congestionControl?: 'default' | 'throughput' | 'low-latency';
  /** How long {@link StoqClient.connect} may take, the endpoint record included, in milliseconds, from 1 to 2³¹ − 1. Default: 10 000. */
  connectTimeout?: number;
}

/**
 * Keeps serials, as `localStorage` and `Map<string, string>` would: a serial is text of decimal digits, because the numbers
 * of JavaScript do not hold all of them. (They count microseconds since 1970, as a rule; nothing depends on it.)
 *
 * A key names the gateway: `stoq-serial:<host:port>`. Who signed does not matter, so that where a successor is pinned too,
 * records of the one before it are not taken after the successor's. All clients that share a store ask for one key after the
 * other, and each looks again right before it writes. Pages that write in the same moment are not kept apart: the lower serial
 * may stay, until a connect of either raises it again.
 * If a method throws, rejects, or gives what is no serial, `connect` fails with `endpoint-record-refused`: without the last
 * serial an old record cannot be told from a new one. The connect's timeout covers it.
 */
export interface SerialStore {
  /** The serial that is kept under a key; `undefined` or `null` if there is none. */
  get(key: string): string | null | undefined | Promise<string | null | undefined>;
  /** Keeps a serial, which is higher than the one that {@link get} gave just before. The session is opened when this has resolved. */
  set(key: string, serial: string): unknown;
}

/** What a verified endpoint record says of a gateway. */
export interface GatewayIdentity {
  /** Who signed it: one of those that are pinned. */
  readonly falconId: string;
  /** The gateway: `host:port`. */
  readonly authority: string;
  /** Its number; later records have higher ones. Decimal digits: `BigInt(serial)` compares. */
  readonly serial: string;
  /** When it began to hold. */
  readonly notBefore: Date;
  /** When it ends. */
  readonly expiry: Date;
  /** SHA-256 of each certificate that the gateway may present, as 64 hexadecimal digits, the newest first. */
  readonly certificateHashes: readonly string[];
}

/** What {@link verifyEndpointRecord} holds a record against. */
export interface RecordCheck {
  /** The gateway that is meant: `host:port`, as in {@link ClientOptions.pins}. */
  readonly authority: string;
  /** Who may have signed it. */
  readonly pins: string | readonly string[];
  /** When it should hold: a date, or milliseconds since 1970. Default: now, by this machine's clock. */
  readonly now?: Date | number;
  /** The highest serial seen before. Default: none. */
  readonly lastSerial?: string | null;
}

/**
 * Verifies an endpoint record without connecting, as {@link ClientOptions.pins} tells. Nothing is stored.
 *
 * @throws {@link StoqError} `invalid-argument` · `untrusted-identity`: somebody has signed it who is not pinned; the message
 *   says who it claims to be · `endpoint-record-refused`: malformed, a signature that does not verify, for another gateway,
 *   not valid yet, expired, or of a lower serial; the message says which.
 */
export function verifyEndpointRecord(record: Uint8Array | ArrayBuffer, against: RecordCheck): GatewayIdentity;

/** Opens sessions. One client may open many, at the same time too; each has a connection of its own. */
export class StoqClient {
  /** @throws {@link StoqError} `invalid-argument`: an option has a value that it cannot have. */
  constructor(options?: ClientOptions);
  /**
   * Opens a session with a service, and resolves when the service has accepted it.
   *
   * @param url `https://host:port/stoq/v1/<service>`
   * @param options What to choose of this session.
   * @throws {@link StoqError} `invalid-argument`: not such a URL · `unsupported`: no WebTransport here ·
   *   `untrusted-identity`, `endpoint-record-refused`: the gateway is not the one that was pinned, see
   *   {@link ClientOptions.pins} (also if the record cannot be fetched); no connection was tried ·
   *   `handshake-failed`: the browser could not connect (it does not say why; the message lists the likely causes) ·
   *   `timeout` · `connection-lost` · `access-token-required` and the other codes of access tokens: what was presented is not
   *   good enough, or for somebody else; `holder-proof-wrong` · or the code with which the server refused, such as `unknown-service` or
   *   `upstream-unreachable`.
   */
  connect(url: string, options?: ConnectOptions): Promise<Session>;
  /** Gives the memory of this handle back at once. Sessions and connects under way go on. */
  free(): void;
}

/** What a page may choose of one session. */
export interface ConnectOptions {
  /**
   * The relays that the request has to pass behind the gateway, by FALCON identity (`stoq1…`), in this order, at most 16; the
   * service's own target comes after the last. Each goes on only to those that its operator allows, else
   * `next-hop-not-allowed`; a chain that is too long is `too-many-hops`, one that comes back to a relay `hop-loop`. Default:
   * the gateway goes to the target itself.
   */
  route?: string | readonly string[];
  /**
   * Access tokens to present, at most four, as `stoq token issue` prints them (`stoqt1…`) or as bytes: one for the gateway, say,
   * and one for the service. Each verifier takes the one that is for it; all on the way can read them, and could replay those
   * that name no holder as long as they live, which is five minutes at most. Default: none.
   */
  accessTokens?: string | Uint8Array | readonly (string | Uint8Array)[];
  /**
   * Keys of the holders that the tokens name, see {@link generateHolderKey}. `connect` then shows for each such token, in a
   * signature that is worth nothing in another session, that this page has the key, and resolves when that was confirmed. A
   * token whose holder's key is not here is `invalid-argument`, and nothing is contacted. Default: none.
   */
  holderKeys?: CryptoKeyPair | readonly CryptoKeyPair[];
}

/**
 * Makes a key for the holder of access tokens: ECDSA with P-256, whose private half no script can read, not even this one. It can
 * be kept in IndexedDB. An issuer puts {@link holderPublicKey} into tokens.
 *
 * @throws {@link StoqError} `unsupported`: no WebCrypto here; it needs a page from https or localhost.
 */
export function generateHolderKey(): Promise<CryptoKeyPair>;

/**
 * The public half of a holder's key, `stoqh1…`, to be given to an issuer: `stoq token issue --holder stoqh1…`.
 *
 * @throws {@link StoqError} `invalid-argument`: no key pair of ECDSA with P-256.
 */
export function holderPublicKey(pair: CryptoKeyPair): Promise<string>;

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

/** How much copies of a content matter. */
export type SeedPriority = 'low' | 'normal' | 'high' | 'critical';

/** Who holds, or shall hold, a content. */
export interface Seed {
  /** Which content: 32 bytes. */
  readonly content: Uint8Array;
  /** Copies that are wanted, from 0 to 255; 0 if none are (any more). */
  readonly replication: number;
  /** How much they matter. Default: `normal`. */
  readonly priority?: SeedPriority;
  /** The nodes, at most 255; perhaps none. The same place does not stand there twice. */
  readonly nodes: readonly SeedNode[];
}

/** One node of a {@link Seed}. */
export interface SeedNode {
  /** Who: text that begins with `stoq1`. */
  readonly id: string;
  /** The IP address, of either version. Whoever announces it may write any; check it before you connect. */
  readonly address: string;
  /** The UDP port there, from 1 to 65 535. */
  readonly port: number;
  /** How often it was there when it was needed, in percent, from 0 to 100. */
  readonly reliability: number;
}

/**
 * What is to be known of an announced content. It is announced first, may change, and in the end it has expired (nothing was
 * said of it for ten minutes) or was dropped (others needed its place: 256 are remembered, in at most 1 MiB); then it may be
 * announced again. What changes faster than it is read is told once.
 */
export type SeedEvent =
  | { readonly kind: 'announced' | 'changed', readonly seed: Required<Seed> }
  | { readonly kind: 'expired' | 'dropped', readonly content: Uint8Array };

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

/** SHA-256 over a stream of pieces, for data too large for `crypto.subtle.digest`. */
export class Sha256 {
  constructor();
  /** Adds bytes. */
  update(data: Uint8Array): void;
  /** The hash of what has been added so far, 32 bytes. More may be added afterwards. */
  digest(): Uint8Array;
  /** The same as 64 lower-case hexadecimal digits. */
  hex(): string;
  /** Gives the memory back at once. */
  free(): void;
}
