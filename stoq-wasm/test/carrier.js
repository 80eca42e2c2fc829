// The browser's WebTransport, with the test at its other end: streams are those of the standard, and what comes on them is
// what the test puts there.

import { mock } from 'node:test';

/** @typedef {{ bytes: ReadableByteStreamController, sent: Uint8Array[], ended: string, stopped: number | undefined, reset: number | undefined, hold: Promise<void> | undefined }} Line */

/** How a page gives up streams. */
export class WebTransportError extends Error {
  /** @param {{ streamErrorCode: number }} init */
  constructor({ streamErrorCode }) {
    super('a stream');
    this.source = 'stream';
    this.streamErrorCode = streamErrorCode;
  }
}

/** A connection on which the other end takes the session with a control stream that is given. */
export class Carrier {
  /** The last one that was opened. @type {Carrier} */
  static last;
  /** What its server says on its control stream. @type {Uint8Array} */
  static control = new Uint8Array();

  ready = Promise.resolve();
  /** What the page opened, in order; its control stream is the first. @type {Line[]} */
  lines = [];
  /** @type {ReadableStreamDefaultController | undefined} */ #datagrams;
  /** What the page sent as datagrams. @type {Uint8Array[]} */
  sentDatagrams = [];
  datagrams = {
    readable: new ReadableStream({ start: (controller) => { this.#datagrams = controller; } }),
    writable: new WritableStream({ write: (chunk) => { this.sentDatagrams.push(chunk.slice()); } }),
    maxDatagramSize: 1200,
  };
  /** @type {ReadableStreamDefaultController | undefined} */ #bidirectional;
  /** @type {ReadableStreamDefaultController | undefined} */ #unidirectional;
  /** @type {((info: unknown) => void) | undefined} */ #end;
  closed = new Promise((resolve) => { this.#end = resolve; });
  incomingBidirectionalStreams = new ReadableStream({ start: (controller) => { this.#bidirectional = controller; } });
  incomingUnidirectionalStreams = new ReadableStream({ start: (controller) => { this.#unidirectional = controller; } });

  constructor() {
    Carrier.last = this;
  }

  /** Puts it where pages look for the browser's own. Random bytes are all ones, so that answers to them can be known. */
  static install() {
    Object.assign(globalThis, { WebTransport: Carrier, WebTransportError });
    mock.method(crypto, 'getRandomValues', (/** @type {Uint8Array} */ array) => array.fill(1));
  }

  async createUnidirectionalStream() {
    const { writable } = this.#line();
    // The server answers when it has been asked.
    if (this.lines.length === 1) this.open().bytes.enqueue(Carrier.control.slice());
    return writable;
  }

  async createBidirectionalStream() {
    const { readable, writable } = this.#line();
    return { readable, writable };
  }

  /** A stream of the other end's, from there to here; or in both directions. */
  open(kind = 'unidirectional') {
    const { line, readable, writable } = this.#line(false);
    if (kind === 'unidirectional') this.#unidirectional?.enqueue(readable);
    else this.#bidirectional?.enqueue({ readable, writable });
    return line;
  }

  /** A datagram of the other end's. @param {Uint8Array} datagram */
  datagram(datagram) {
    this.#datagrams?.enqueue(datagram);
  }

  close() {
    this.#end?.({ closeCode: 0, reason: '' });
  }

  #line(ours = true) {
    /** @type {Line} */
    const line = Object.assign({}, { bytes: /** @type {any} */ (undefined), sent: [], ended: '', stopped: undefined, reset: undefined, hold: undefined });
    if (ours) this.lines.push(line);
    const readable = new ReadableStream({
      type: 'bytes',
      start: (controller) => { line.bytes = controller; },
      cancel: (reason) => { line.stopped = reason?.streamErrorCode; },
    });
    const writable = new WritableStream({
      write: async (chunk) => {
        await line.hold;
        line.sent.push(chunk.slice());
      },
      close: () => { line.ended = 'finished'; },
      abort: (reason) => { line.reset = reason?.streamErrorCode; },
    });
    return { line, readable, writable };
  }
}
