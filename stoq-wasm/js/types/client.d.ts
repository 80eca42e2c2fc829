// The client: what a page chooses, and where sessions begin.

import type { StoqError } from './error.js';
import type { Session } from './session.js';

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
