// A gateway's identity, and its endpoint record.

import type { ClientOptions } from './client.js';
import type { StoqError } from './error.js';

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
