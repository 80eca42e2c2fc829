// What the package does in a page, beyond what every carrier does: WHATWG streams, identity of handles, errors, memory.
// A page imports this file next to the package and calls `run` for each of `names`; the services are those of the
// conformance tests.

import init, { ReceiveStream, SendStream, Session, Sha256, StoqClient, StoqError } from 'stoq';

/**
 * @typedef {{ url: string, certificateHash: string }} Gateway
 * @typedef {(service: string) => Promise<Session>} Connect
 */

/** @type {Record<string, (connect: Connect, client: StoqClient, url: string) => Promise<void>>} */
const behaviours = {
  async the_same_object_comes_back_each_time(connect) {
    const session = await connect('echo');
    equal([session.service, session.hash.length, session.url.endsWith('/stoq/v1/echo')], ['echo', 32, true]);
    const stream = await session.openBidirectionalStream();
    const pairs = [
      [session.closed, session.closed],
      [session.draining, session.draining],
      [session.datagrams, session.datagrams],
      [session.datagrams.readable, session.datagrams.readable],
      [stream.send, stream.send],
      [stream.readable, stream.receive.readable],
      [stream.writable, stream.send.writable],
    ];
    pairs.forEach(([one, other], at) => equal(one === other, true, `pair ${at}`));
    equal([session instanceof Session, stream.send instanceof SendStream, stream.receive instanceof ReceiveStream], [true, true, true]);
    await session.close();
  },

  async closing_tells_everyone_the_same(connect) {
    const session = await connect('echo');
    const stream = await session.openBidirectionalStream();
    const waiting = [
      stream.receive.read(), session.acceptBidirectionalStream(), session.acceptUnidirectionalStream(), session.datagrams.receive(),
    ].map(rejection);
    const [first, second] = await Promise.all([session.close({ code: 7, reason: 'bye' }), session.close({ code: 8 })]);
    equal(first, { code: 7, name: 'application', reason: 'bye' });
    equal([second, await session.closed, await session.close()], [first, first, first]);
    const after = [
      stream.send.write(new Uint8Array(1)), stream.receive.read(), session.openBidirectionalStream(), session.ping(),
      session.datagrams.send(new Uint8Array(1)), stream.readable.getReader().read(), stream.writable.getWriter().closed,
    ].map(rejection);
    for (const error of await Promise.all([...waiting, ...after])) equal(error.code, 'session-closed');
  },

  async arguments_are_checked(connect) {
    const session = await connect('echo');
    const stream = await session.openBidirectionalStream();
    for (const data of /** @type {any[]} */ (['text', 1, null, undefined, [1]])) {
      equal((await rejection(stream.send.write(data))).code, 'invalid-argument');
      equal((await rejection(session.datagrams.send(data))).code, 'invalid-argument');
    }
    for (const code of /** @type {any[]} */ ([-1, 1.5, 2 ** 32, 'text', NaN])) {
      equal((await rejection(stream.send.reset(code))).code, 'invalid-argument', String(code));
      equal((await rejection(stream.receive.stop(code))).code, 'invalid-argument', String(code));
      equal((await rejection(session.close({ code }))).code, 'invalid-argument', String(code));
    }
    await stream.send.finish();
    equal((await rejection(stream.send.finish())).code, 'invalid-argument');
    equal((await rejection(stream.send.write(new Uint8Array(1)))).code, 'invalid-argument');
    equal([await stream.receive.read(), await stream.receive.read()], [undefined, undefined]);
    const { reason } = await session.close({ reason: 'x'.repeat(5000) });
    equal(reason.length, 1024);
  },

  async seeds_go_there_and_back(connect) {
    const session = await connect('seeds');
    equal(session.seeds === session.seeds, true);
    const events = session.seeds.getReader();
    const next = async () => (await events.read()).value;
    const id = `stoq1${'aaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dypq'}`;
    const nodes = ['192.0.2.7', '2001:db8::1:2', '::1', 'fe80:1:2:3:4:5:6:7']
      .map((address, at) => ({ id, address, port: 4433 + at, reliability: 100 - at }));
    const content = new Uint8Array(32).fill(9);
    const waiting = next();
    await session.sendSeed({ content, replication: 2, nodes });
    equal(await waiting, { kind: 'announced', seed: { content, replication: 3, priority: 'normal', nodes } });
    await session.sendSeed({ content, replication: 0, priority: 'critical', nodes: [] });
    equal(await next(), { kind: 'changed', seed: { content, replication: 1, priority: 'critical', nodes: [] } });
    // As many as a seed can have, and many at once.
    const many = Array.from({ length: 255 }, (_, at) => ({ id, address: '::1', port: 1 + at, reliability: 0 }));
    const all = Array.from({ length: 20 }, (_, at) => new Uint8Array(32).fill(100 + at));
    await Promise.all(all.map((one) => session.sendSeed({ content: one, replication: 1, nodes: many })));
    for (const one of all) {
      equal(await next(), { kind: 'announced', seed: { content: one, replication: 2, priority: 'normal', nodes: many } });
    }
    const { streamsOpened, streamsAccepted } = session.stats();
    equal([streamsOpened, streamsAccepted], [0, 0], 'they are not the page\'s');
    const last = next();
    await session.close();
    equal((await rejection(last)).code, 'session-closed');
    equal((await rejection(session.sendSeed({ content, replication: 1, nodes }))).code, 'session-closed');
  },

  async streams_can_be_piped(connect) {
    const session = await connect('echo');
    const stream = await session.openBidirectionalStream();
    const [sent, received] = [new Sha256(), new Sha256()];
    const block = crypto.getRandomValues(new Uint8Array(65_536));
    let left = 256;
    const source = new ReadableStream({
      pull(controller) {
        if ((left -= 1) < 0) return controller.close();
        block[0] = left & 255;
        sent.update(block);
        return controller.enqueue(block.slice());
      },
    }, { highWaterMark: 0 });
    let total = 0;
    const sink = new WritableStream({
      write(chunk) {
        received.update(chunk);
        total += chunk.length;
      },
    });
    await Promise.all([source.pipeTo(stream.writable), stream.readable.pipeTo(sink)]);
    equal([total, received.hex()], [256 * 65_536, sent.hex()]);
    await session.close();
  },

  async readers_may_bring_their_buffer(connect) {
    const session = await connect('echo');
    const stream = await session.openBidirectionalStream();
    await stream.send.write(bytes('hello world'));
    await stream.send.finish();
    const reader = stream.readable.getReader({ mode: 'byob' });
    let text = '';
    for (;;) {
      const { value, done } = await reader.read(new Uint8Array(4));
      if (done) {
        equal(value?.length, 0, 'the buffer comes back');
        break;
      }
      text += new TextDecoder().decode(value);
    }
    equal(text, 'hello world');
    await session.close();
  },

  async methods_first_then_pipes(connect) {
    const session = await connect('echo');
    const stream = await session.openBidirectionalStream();
    await stream.send.write(bytes('h'));
    equal(new TextDecoder().decode(await stream.receive.read()), 'h');
    await new Blob(['body']).stream().pipeTo(stream.writable);
    equal(await new Response(stream.readable).text(), 'body');
    await session.close();
  },

  async a_reset_is_an_error_of_the_readable(connect) {
    const session = await connect('reset');
    const stream = await session.openBidirectionalStream();
    await stream.send.write(new Uint8Array([0, 0, 0, 77]));
    const error = await rejection(stream.readable.pipeTo(new WritableStream()));
    // Firefox 140 keeps the code to itself.
    equal(error.number, firefox ? 0x5354_0011 : 77);
    await stream.send.finish();
    await session.close();
  },

  async a_stop_is_an_error_of_the_writable_while_nothing_is_written(connect) {
    const session = await connect('stop');
    const stream = await session.openBidirectionalStream();
    const writer = stream.writable.getWriter();
    await writer.write(new Uint8Array([0, 0, 0, 77]));
    equal((await rejection(writer.closed)).number, 77);
    equal((await rejection(writer.write(new Uint8Array(1)))).number, 77);
    await session.close();
  },

  async abort_and_cancel_carry_codes(connect) {
    const session = await connect('witness');
    const seen = async () => Number(await new Response((await session.acceptUnidirectionalStream()).readable).text());
    const open = async (/** @type {string} */ mode) => {
      const stream = await session.openBidirectionalStream();
      await stream.send.write(bytes(mode));
      await stream.receive.read();
      return stream;
    };
    await (await open('r')).writable.abort(new StoqError('application', 42, 'enough'));
    equal(await seen(), 42);
    await (await open('r')).writable.abort();
    equal(await seen(), 0x5354_0014, 'cancelled');
    await (await open('r')).send.reset(1000);
    equal(await seen(), 0x5354_0011, 'a code that the browser cannot send is unmapped, not another one');
    if (!firefox) {
      const stream = await open('s');
      await stream.readable.cancel(new StoqError('application', 43, 'enough'));
      equal(await seen(), 43);
      await stream.send.finish();
    }
    await session.close();
  },

  async datagrams_are_chunks(connect) {
    const session = await connect('echo');
    const writer = session.datagrams.writable.getWriter();
    const reader = session.datagrams.readable.getReader();
    await writer.write(new Uint8Array([1, 2]));
    equal([...(await reader.read()).value ?? []], [1, 2]);
    equal((await rejection(writer.write(new Uint8Array(5000)))).code, 'datagram-too-large');
    const { sentDatagrams, receivedDatagrams, droppedDatagrams } = session.stats();
    equal([sentDatagrams, receivedDatagrams, droppedDatagrams], [1, 1, 0]);
    await session.close();
  },

  async datagrams_are_signed_by_the_service(connect) {
    const session = await connect('signed');
    const asked = await session.openBidirectionalStream();
    await asked.send.finish();
    const id = await new Response(asked.readable).text();
    const datagrams = session.verifiedDatagrams({ origins: id, delivery: 'pending' });
    equal(session.verifiedDatagrams() === datagrams, true);
    const writer = datagrams.writable.getWriter();
    const reader = datagrams.readable.getReader();
    /** @type {Map<number, number>} */
    const pending = new Map();
    const verified = new Set();
    for (let round = 0; verified.size < 100; round += 1) {
      // Each brings two items, so that one is on its way although some may be lost.
      await writer.write(new Uint8Array([round & 255, 7]));
      const { value: item } = await reader.read();
      if (item?.data) {
        equal([item.state, item.data.length, item.data[1]], ['pending', 2, 7]);
        pending.set(item.sequence, item.data[0] ?? -1);
      } else {
        equal([item?.state, item?.signer, pending.has(item?.sequence ?? -1)], ['verified', id, true]);
        verified.add(item?.sequence);
      }
    }
    equal((await rejection(datagrams.send(new Uint8Array(datagrams.maxSize + 1)))).code, 'datagram-too-large');
    const { refused, droppedDatagrams } = session.stats();
    equal([refused, droppedDatagrams], [{}, 0]);
    await session.close();
    // What came before the end is handed out first.
    const last = async () => { for (;;) await reader.read(); };
    equal((await rejection(last())).code, 'session-closed');
  },

  async free_while_waiting_does_no_harm(connect) {
    const session = await connect('echo');
    const stream = await session.openBidirectionalStream();
    const { send, receive } = stream;
    const [read, accepted] = [receive.read(), session.acceptUnidirectionalStream()];
    for (const handle of /** @type {{ free(): void }[]} */ (/** @type {unknown} */ ([session, stream, receive]))) handle.free();
    await send.write(new Uint8Array([120]));
    equal([...(await read) ?? []], [120]);
    void accepted.catch(() => {});
  },

  async more_streams_than_the_limit_wait(connect) {
    const session = await connect('echo');
    const one = async (/** @type {number} */ number) => {
      const stream = await session.openBidirectionalStream();
      await stream.send.write(new Uint8Array(700).fill(number));
      await stream.send.finish();
      const back = new Uint8Array(await new Response(stream.readable).arrayBuffer());
      equal([back.length, back[0], back[699]], [700, number & 255, number & 255]);
    };
    await Promise.all(Array.from({ length: 300 }, (_, number) => one(number)));
    equal(session.stats().streamsOpened, 300);
    await session.close();
  },

  async streams_that_nobody_accepts_yet_are_not_lost(connect) {
    const session = await connect('witness');
    // The service answers each with a stream of its own: more than the session takes in, fewer than a browser lets be open.
    const count = 90;
    for (let number = 0; number < count; number += 1) {
      const stream = await session.openBidirectionalStream();
      await stream.send.write(bytes('r'));
      await stream.receive.read();
      await stream.send.reset(number);
    }
    await session.ping();
    const seen = [];
    while (seen.length < count) seen.push(Number(await new Response((await session.acceptUnidirectionalStream()).readable).text()));
    equal(seen.sort((one, other) => one - other), Array.from({ length: count }, (_, number) => number));
    await session.close();
  },

  async streams_are_taken_as_there_is_room(connect) {
    let taken = 0;
    /** @type {(go: void) => void} */
    let answer = () => {};
    const held = new Promise((resolve) => { answer = resolve; });
    const flood = new ReadableStream({
      pull(controller) {
        taken += 1;
        controller.enqueue(arrival(new Uint8Array([1])));
      },
    }, { highWaterMark: 0 });
    const connecting = over((transport) => ({
      incomingBidirectionalStreams: flood,
      // With it the control stream, and so the server's answer.
      incomingUnidirectionalStreams: transport.incomingUnidirectionalStreams.pipeThrough(new TransformStream({ start: () => held })),
    }), () => connect('echo'));
    await until(() => taken === 8);
    await pause();
    equal(taken, 8, 'before the session is open');
    answer();
    const session = await connecting;
    await until(() => taken === 64);
    await pause();
    equal(taken, 64, 'while nobody accepts');
    await session.acceptBidirectionalStream();
    await until(() => taken === 65);
    await pause();
    equal([taken, session.stats().streamsAccepted], [65, 65]);
    await session.close();
  },

  async a_stream_that_ends_before_its_header_is_refused(connect) {
    /** @type {unknown} */
    let reason;
    const streams = new ReadableStream({
      start: (controller) => controller.enqueue(arrival(new Uint8Array(), (why) => { reason = why; })),
    });
    const session = await over(() => ({ incomingBidirectionalStreams: streams }), () => connect('echo'));
    await until(() => reason !== undefined);
    equal(reason instanceof WebTransportError, true);
    await session.close();
  },

  async only_the_limit_of_streams_is_waited_for(connect) {
    const refusals = [new DOMException('full', 'NetworkError'), new DOMException('full', 'QuotaExceededError')];
    const session = await over((transport) => {
      const create = transport.createBidirectionalStream.bind(transport);
      return {
        async createBidirectionalStream() {
          const refusal = refusals.shift();
          if (refusal) throw refusal;
          return create();
        },
      };
    }, () => connect('echo'));
    await session.openBidirectionalStream();
    equal(refusals.length, 0);
    refusals.push(new DOMException('broken', 'InvalidStateError'));
    const error = await rejection(session.openBidirectionalStream());
    equal([error.code, /broken/.test(error.message), refusals.length], ['unmapped-code', true, 0]);
    await session.close();
  },

  async a_certificate_that_is_not_listed_is_refused(_connect, _client, url) {
    const client = new StoqClient({ certificateHashes: ['00'.repeat(32)] });
    const error = await rejection(client.connect(`${url}/stoq/v1/echo`));
    equal(error.code, 'handshake-failed');
    equal(/certificateHashes/.test(error.message), true, error.message);
  },

  async what_is_forgotten_is_let_go(connect) {
    const gc = /** @type {any} */ (globalThis).gc;
    if (firefox) return console.log('what_is_forgotten_is_let_go is skipped: Firefox lets no page collect garbage');
    if (!gc) throw new Error('start Chromium with --js-flags=--expose-gc');
    const session = await connect('witness');
    const open = async () => {
      const stream = await session.openBidirectionalStream();
      await stream.send.write(bytes('r'));
      await stream.receive.read();
      return stream.writable;
    };
    const seen = async () => Number(await new Response((await session.acceptUnidirectionalStream()).readable).text());
    const forget = async () => { await open(); };
    const held = await open();
    // Twice: by the second time the first collection has done all that it ever will.
    for (let round = 0; round < 2; round += 1) {
      await forget();
      let waiting = true;
      const code = seen().finally(() => { waiting = false; });
      while (waiting) await gc({ type: 'major', execution: 'async' });
      equal(await code, 0x5354_0014, 'cancelled');
    }
    await held.abort(new StoqError('application', 3, 'held'));
    equal(await seen(), 3);
    await session.close();
  },
};

/** What there is to run. */
export const names = Object.keys(behaviours);

const firefox = navigator.userAgent.includes('Firefox');

/**
 * Runs one; rejects with what differs. A rejection that nobody handled is a failure too.
 * @param {string} name
 * @param {Gateway} gateway
 */
export async function run(name, { url, certificateHash }) {
  await init();
  /** @type {string[]} */
  const unhandled = [];
  const note = (/** @type {PromiseRejectionEvent} */ event) => unhandled.push(String(event.reason));
  addEventListener('unhandledrejection', note);
  try {
    const client = new StoqClient({ certificateHashes: [certificateHash] });
    await behaviours[name]?.((service) => client.connect(`${url}/stoq/v1/${service}`), client, url);
    // The event comes in a task of its own.
    await new Promise((resolve) => { setTimeout(resolve); });
  } finally {
    removeEventListener('unhandledrejection', note);
  }
  equal(unhandled, []);
}

/**
 * What `connect` gives while the browser's transports have some other properties.
 * @param {(transport: WebTransport) => Partial<WebTransport>} change
 * @param {() => Promise<Session>} connect
 */
async function over(change, connect) {
  const real = globalThis.WebTransport;
  globalThis.WebTransport = class extends real {
    /** @param {ConstructorParameters<typeof WebTransport>} args */
    constructor(...args) {
      super(...args);
      for (const [name, value] of Object.entries(change(this))) Object.defineProperty(this, name, { value });
    }
  };
  try {
    return await connect();
  } finally {
    globalThis.WebTransport = real;
  }
}

/**
 * A bidirectional stream as a browser hands it out: some bytes, then the end.
 * @param {Uint8Array<ArrayBuffer>} data
 * @param {(reason: unknown) => void} [abort]
 */
function arrival(data, abort = () => {}) {
  const readable = new ReadableStream({
    type: 'bytes',
    start(controller) {
      if (data.length > 0) controller.enqueue(data);
      controller.close();
    },
  });
  return { readable, writable: new WritableStream({ abort }) };
}

/** @param {() => boolean} condition */
async function until(condition) {
  while (!condition()) await new Promise((resolve) => { setTimeout(resolve); });
}

/** Long enough for what should not happen. */
function pause() {
  return new Promise((resolve) => { setTimeout(resolve, 100); });
}

/** @param {string} text */
function bytes(text) {
  return new TextEncoder().encode(text);
}

/**
 * @param {unknown} got
 * @param {unknown} wanted
 * @param {string} [what]
 */
function equal(got, wanted, what = 'value') {
  const [left, right] = [JSON.stringify(got), JSON.stringify(wanted)];
  if (left !== right) throw new Error(`${what}: got ${left}, wanted ${right}`);
}

/**
 * The error that a promise rejects with, which must be ours.
 * @param {Promise<unknown>} promise
 * @returns {Promise<StoqError>}
 */
async function rejection(promise) {
  const error = await promise.then((value) => new Error(`it resolved with ${value}`), (thrown) => thrown);
  if (!(error instanceof StoqError)) throw error;
  return error;
}
