// What went wrong.

import type { Session } from './session.js';
import type { VerifiedData } from './verified.js';

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
