// Only what the page itself does with bytes: requests as they are written, answers as they are read. Streams are in
// memory; that service and page understand each other is tested end to end, elsewhere.

import "./stoq-in-node.js";

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import test from "node:test";
import { chunks, Collected, streamOf } from "./streams.js";

const { get, list, put, remove } = await import("../files-protocol.js");

const text = new TextEncoder();
const SHA_HELLO = createHash("sha256").update("hello").digest("hex");
const SHA_OTHER = createHash("sha256").update("other").digest("hex");

test("put sends the question, the body and the end, and tells both hashes", async () => {
  const { session, sent } = answering(`{"name":"a.txt","size":5,"sha256":"${SHA_OTHER}"}\n`);
  /** @type {number[]} */
  const progress = [];
  const stored = await put(session, new File(["hello"], "a.txt"), { onProgress: (n) => void progress.push(n) });
  assert.equal(sent.text(), '{"op":"put","name":"a.txt","size":5}\nhello');
  assert.ok(sent.closed);
  assert.deepEqual(stored, { name: "a.txt", size: 5, sha256: SHA_OTHER, localSha256: SHA_HELLO });
  assert.equal(progress[0], 0);
  assert.equal(progress.at(-1), 5);
});

test("get writes the body into the sink, whatever the cut, and tells both hashes", async () => {
  const answer = text.encode(`{"size":5}\nhello{"sha256":"${SHA_HELLO}"}\n`);
  for (const size of [1, 2, 3, 7, 12, answer.length]) {
    const { session, sent } = answering(...chunks(answer, size));
    const sink = new Collected();
    const fetched = await get(session, "a.txt", sink.writable);
    assert.equal(sent.text(), '{"op":"get","name":"a.txt"}\n');
    assert.deepEqual(fetched, { size: 5, sha256: SHA_HELLO, localSha256: SHA_HELLO });
    assert.equal(sink.text(), "hello");
    assert.ok(sink.closed);
  }
});

test("get of nothing is a file of nothing", async () => {
  const empty = createHash("sha256").digest("hex");
  const { session } = answering(`{"size":0}\n{"sha256":"${empty}"}\n`);
  const sink = new Collected();
  assert.deepEqual(await get(session, "a", sink.writable), { size: 0, sha256: empty, localSha256: empty });
  assert.ok(sink.closed);
});

test("a body that ends early leaves no file behind", async () => {
  const { session } = answering('{"size":5}\nhel');
  const sink = new Collected();
  await fails(get(session, "a.txt", sink.writable), "ended-early");
  assert.ok(sink.aborted);
  assert.ok(!sink.closed);
});

test("a trailer that is missing or followed by more is an error", async () => {
  await fails(get(answering('{"size":2}\nab').session, "a", new Collected().writable), "ended-early");
  const more = answering(`{"size":0}\n{"sha256":"${SHA_HELLO}"}\nmore`);
  await fails(get(more.session, "a", new Collected().writable), "trailing-bytes");
});

test("the service's errors arrive with their codes", async () => {
  const refusal = (/** @type {string} */ code) => answering(`{"error":{"code":"${code}","message":"no"}}\n`).session;
  await fails(list(refusal("storage-error")), "storage-error");
  await fails(remove(refusal("no-such-file"), "a"), "no-such-file");
  const sink = new Collected();
  await fails(get(refusal("no-such-file"), "a", sink.writable), "no-such-file");
  assert.ok(sink.aborted);
  await fails(put(refusal("bad-name"), new File(["x"], "../x")), "bad-name");
});

test("a put that is refused and stopped fails with the refusal, not with the stop", async () => {
  const { session } = answering('{"error":{"code":"quota-exceeded","message":"the store is full"}}\n');
  const stopped = new WritableStream({
    write(part) {
      if (!new TextDecoder().decode(part).startsWith("{")) throw new Error("stopped");
    },
  });
  const stream = await session.openBidirectionalStream();
  const refusing = fake({ readable: stream.readable, writable: stopped });
  await fails(put(refusing, new File(["hello"], "a")), "quota-exceeded");
});

test("a put whose service falls silent after the stop fails with the stop", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const writable = new WritableStream({
    write(part) {
      if (!new TextDecoder().decode(part).startsWith("{")) {
        setImmediate(() => t.mock.timers.tick(60_000));
        throw new Error("stopped");
      }
    },
  });
  const promise = put(fake({ readable: streamOf([], false), writable }), new File(["hello"], "a"));
  await assert.rejects(promise, /stopped/);
});

test("cancelling a put resets the body and is the error", async () => {
  const stop = new AbortController();
  const sent = new Collected();
  const session = fake({ readable: streamOf([], false), writable: sent.writable });
  const onProgress = (/** @type {number} */ n) => n > 0 && stop.abort(new Error("enough"));
  await assert.rejects(put(session, new File(["hello"], "a"), { signal: stop.signal, onProgress }), /enough/);
  assert.match(String(sent.aborted), /enough/);
  assert.ok(!sent.closed);
});

test("cancelling a get stops the answer and gives the sink up", async () => {
  const stop = new AbortController();
  const session = fake({ readable: streamOf([text.encode('{"size":5}\nhel')], false), writable: new Collected().writable });
  const sink = new Collected();
  const onProgress = (/** @type {number} */ n) => n === 3 && stop.abort(new Error("enough"));
  await assert.rejects(get(session, "a", sink.writable, { signal: stop.signal, onProgress }), /enough/);
  assert.match(String(sink.aborted), /enough/);
});

test("list reads every field, and refuses what is none", async () => {
  const listing = { files: [{ name: "a", size: 1, modified: 1_690_000_000_000 }], used: 1, quota: 10 };
  assert.deepEqual(await list(answering(`${JSON.stringify(listing)}\n`).session), listing);
  for (const answer of [
    "not json",
    "[]",
    "null",
    "{}",
    '{"files":[{"name":1}],"used":0,"quota":0}',
    '{"files":[],"used":-1,"quota":0}',
    '{"files":[],"used":0,"quota":1.5}',
    '{"error":7}',
  ]) {
    await fails(list(answering(`${answer}\n`).session), "malformed-answer");
  }
});

test("a hash that is none is refused", async () => {
  for (const hash of ["", "abc", SHA_HELLO.toUpperCase(), `${SHA_HELLO}0`]) {
    const { session } = answering(`{"name":"a","size":1,"sha256":"${hash}"}\n`);
    await fails(put(session, new File(["x"], "a")), "malformed-answer");
  }
});

/**
 * A session whose one stream carries this answer.
 * @param {(string | Uint8Array)[]} answer
 */
function answering(...answer) {
  const sent = new Collected();
  const parts = answer.map((part) => (typeof part === "string" ? text.encode(part) : part));
  return { sent, session: fake({ readable: streamOf(parts), writable: sent.writable }) };
}

/**
 * @param {{ readable: ReadableStream<Uint8Array>, writable: WritableStream<Uint8Array> }} stream
 * @returns {import("stoq").Session}
 */
function fake(stream) {
  return /** @type {any} */ ({ openBidirectionalStream: async () => stream });
}

/**
 * @param {Promise<unknown>} promise
 * @param {string} code
 */
async function fails(promise, code) {
  await assert.rejects(promise, (/** @type {any} */ error) => {
    assert.equal(error.code, code, error);
    return true;
  });
}
