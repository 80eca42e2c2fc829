import assert from "node:assert/strict";
import test from "node:test";
import { inBlocks } from "../blocks.js";
import { chunks, Collected } from "./streams.js";

test("every byte comes out in order, in blocks, whatever the parts", async () => {
  const whole = Uint8Array.from({ length: 23 }, (_, i) => i);
  for (const size of [1, 3, 4, 5, 8, 23]) {
    const sink = new Collected();
    const writer = inBlocks(sink.writable, 4).getWriter();
    for (const part of chunks(whole, size)) await writer.write(part);
    await writer.close();
    assert.deepEqual(new Uint8Array(Buffer.concat(sink.parts)), whole);
    assert.deepEqual(sink.parts.map((part) => part.length), [4, 4, 4, 4, 4, 3]);
    assert.ok(sink.closed);
  }
});

test("nothing is a file of nothing", async () => {
  const sink = new Collected();
  await inBlocks(sink.writable, 4).close();
  assert.equal(sink.parts.length, 0);
  assert.ok(sink.closed);
});

test("a part belongs to the writer again once it was taken", async () => {
  const sink = new Collected();
  const writer = inBlocks(sink.writable, 4).getWriter();
  const part = Uint8Array.of(1, 2);
  await writer.write(part);
  part.fill(9);
  await writer.close();
  assert.deepEqual(sink.parts, [Uint8Array.of(1, 2)]);
});

test("a write that fails is told, at the latest when the stream is closed", async () => {
  const full = new WritableStream({
    write() {
      throw new Error("full");
    },
  });
  const writer = inBlocks(full, 4).getWriter();
  await writer.write(new Uint8Array(5));
  await assert.rejects(writer.close(), /full/);
});

test("giving up reaches the sink", async () => {
  const sink = new Collected();
  await inBlocks(sink.writable, 4).abort(new Error("enough"));
  assert.match(String(sink.aborted), /enough/);
});
