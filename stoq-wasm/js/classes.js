// The classes of the package. What a page can begin with looks first whether the module is loaded; all other objects come
// from these.

import * as module from '../pkg/stoq_wasm.js';
import { mustBeLoaded } from './loader.js';

export { StoqError } from './error.js';
export {
  BidirectionalStream, Datagrams, ReceiveStream, SendStream, Session, VerifiedBidirectionalStream, VerifiedDatagrams,
  VerifiedReceiveStream,
} from '../pkg/stoq_wasm.js';

export class StoqClient extends module.StoqClient {
  /** @param {import('./index.d.ts').ClientOptions} [options] */
  constructor(options) {
    mustBeLoaded();
    super(options);
  }
}

export class Sha256 extends module.Sha256 {
  constructor() {
    mustBeLoaded();
    super();
  }
}

/** @returns {Promise<CryptoKeyPair>} */
export async function generateHolderKey() {
  mustBeLoaded();
  return module.generateHolderKey();
}

/**
 * @param {CryptoKeyPair} pair
 * @returns {Promise<string>}
 */
export async function holderPublicKey(pair) {
  mustBeLoaded();
  return module.holderPublicKey(pair);
}

/**
 * @param {Uint8Array | ArrayBuffer} record
 * @param {import('./index.d.ts').RecordCheck} against
 * @returns {import('./index.d.ts').GatewayIdentity}
 */
export function verifyEndpointRecord(record, against) {
  mustBeLoaded();
  return module.verifyEndpointRecord(record, against);
}
