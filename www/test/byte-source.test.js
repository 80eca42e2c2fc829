import assert from "node:assert/strict";
import test from "node:test";
import { ByteSource, FramingError } from "../byte-source.js";
import { chunks, streamOf } from "./streams.js";

const text = new TextEncoder();

test("lines and a body come out the same, however the stream is cut", async () => {
  const whole = text.encode('{"size":5}\nbody!{"ü":1}\n');
  for (let size = 1; size <= whole.length; size += 1) {
    const source = new ByteSource(streamOf(chunks(whole, size)));
    assert.equal(await source.line(100), '{"size":5}');
    assert.equal(await textOf(source.take(5)), "body!");
    assert.equal(await source.line(100), '{"ü":1}');
    await source.end();
  }
});

test("empty chunks are no end", async () => {
  const source = new ByteSource(streamOf(["", "a", "", "b\n", ""].map((part) => text.encode(part))));
  assert.equal(await source.line(10), "ab");
  await source.end();
});

test("a line may have the longest length and no more", async () => {
  assert.equal(await new ByteSource(streamOf([text.encode("abc\n")])).line(3), "abc");
  await fails(new ByteSource(streamOf([text.encode("abcd\n")])).line(3), "line-too-long");
  // Found out before the line has ended: a peer cannot make us wait and hold.
  await fails(new ByteSource(streamOf([text.encode("abcd")], false)).line(3), "line-too-long");
});

test("an end inside a line or a body is an error", async () => {
  await fails(new ByteSource(streamOf([text.encode("abc")])).line(10), "ended-early");
  await fails(new ByteSource(streamOf([])).line(10), "ended-early");
  await fails(textOf(new ByteSource(streamOf([text.encode("abc")])).take(4)), "ended-early");
});

test("a body of nothing takes nothing", async () => {
  const source = new ByteSource(streamOf([text.encode("x\n")]));
  assert.equal(await textOf(source.take(0)), "");
  assert.equal(await source.line(10), "x");
});

test("bytes after the end are an error, both those at hand and those to come", async () => {
  const source = new ByteSource(streamOf([text.encode("a\nb")]));
  await source.line(10);
  await fails(source.end(), "trailing-bytes");
  await fails(new ByteSource(streamOf([text.encode("b")])).end(), "trailing-bytes");
});

test("cancelling ends a read that waits", async () => {
  const source = new ByteSource(streamOf([], false));
  const line = fails(source.line(10), "ended-early");
  await source.cancel();
  await line;
});

/** @param {AsyncIterable<Uint8Array>} parts */
async function textOf(parts) {
  const decoder = new TextDecoder();
  let all = "";
  for await (const part of parts) all += decoder.decode(part, { stream: true });
  return all;
}

/**
 * @param {Promise<unknown>} promise
 * @param {string} code
 */
async function fails(promise, code) {
  await assert.rejects(promise, (error) => error instanceof FramingError && error.code === code);
}
