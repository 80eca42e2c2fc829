// The classes of the package. Those that a page makes objects of look first whether the module is loaded; all other
// objects come from these.

import * as module from '../pkg/stoq_wasm.js';
import { mustBeLoaded } from './loader.js';

export { StoqError } from './error.js';
export { BidirectionalStream, Datagrams, ReceiveStream, SendStream, Session } from '../pkg/stoq_wasm.js';

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
