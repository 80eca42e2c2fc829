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

import type { StoqClient } from './types/client.js';
import type { StoqError } from './types/error.js';
import type { Session } from './types/session.js';

export * from './types/client.js';
export * from './types/datagrams.js';
export * from './types/error.js';
export * from './types/hash.js';
export * from './types/identity.js';
export * from './types/seeds.js';
export * from './types/session.js';
export * from './types/stats.js';
export * from './types/streams.js';
export * from './types/verified.js';

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
