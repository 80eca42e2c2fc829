// Only what the page itself does with verified streams: the account of what is signed, and when a file counts as fetched.

import "./stoq-in-node.js";

import assert from "node:assert/strict";
import test from "node:test";
import { Collected } from "./streams.js";

/** @typedef {import("stoq").VerifiedItem} VerifiedItem */

const { getVerified } = await import("../verified-files.js");
const SHA = "0123456789abcdef".repeat(4);

/**
 * A session whose next verified stream hands out these items, and then fails if there is an error.
 * @param {(string | number)[]} items text: data; a number: a signature through this piece
 * @param {{ state?: "pending" | "verified", error?: Error }} [how]
 */
function answering(items, { state = "pending", error } = {}) {
  const sent = new Collected();
  let sequence = 0;
  /** @type {VerifiedItem[]} */
  const left = items.map((item) =>
    typeof item === "number"
      ? { state: "verified", through: item, signer: "stoq1abc", final: false, answers: 1, answersAll: true }
      : { state, sequence: sequence++, data: new TextEncoder().encode(item) },
  );
  const readable = new ReadableStream({
    pull(controller) {
      const item = left.shift();
      if (item) controller.enqueue(item);
      else if (error) controller.error(error);
      else controller.close();
    },
  });
  const writer = sent.writable.getWriter();
  const send = { write: (/** @type {Uint8Array} */ part) => writer.write(part), finish: () => writer.close() };
  /** @type {any} */
  const session = { openVerifiedBidirectionalStream: async () => ({ channel: "00", readable, send }) };
  return { session, sent };
}

test("what is signed is told apart from what has arrived", async () => {
  const { session, sent } = answering(['{"size":5}\n', "hel", 0, "lo", `{"sha256":"${SHA}"}\n`, 3]);
  const sink = new Collected();
  /** @type {[number, number][]} */
  const seen = [];
  const fetched = await getVerified(session, "a.txt", sink.writable, ["stoq1abc"], {
    onProgress: ({ arrived, verified }) => void seen.push([arrived, verified]),
  });
  assert.equal(sent.text(), '{"op":"get","name":"a.txt"}\n');
  assert.deepEqual(seen, [[11, 0], [14, 0], [14, 11], [16, 11], [94, 11], [94, 94]]);
  assert.equal(sink.text(), "hello");
  assert.ok(sink.closed);
  assert.deepEqual([fetched.size, fetched.sha256], [5, SHA]);
  assert.deepEqual(fetched.progress, { arrived: 94, verified: 94, items: 4, signatures: 2, through: 3, signer: "stoq1abc" });
});

test("data that comes verified counts at once", async () => {
  const { session } = answering(['{"size":2}\n', "ok", `{"sha256":"${SHA}"}\n`, 2], { state: "verified" });
  const fetched = await getVerified(session, "a", new Collected().writable, ["stoq1abc"]);
  assert.deepEqual([fetched.progress.arrived, fetched.progress.verified], [91, 91]);
});

test("a file that somebody has meddled with leaves nothing behind", async () => {
  const error = Object.assign(new Error("the data of token 2 was changed"), { code: "bad-token", sequence: 2 });
  const { session } = answering(['{"size":5}\n', "hel", 1], { error });
  const sink = new Collected();
  await assert.rejects(getVerified(session, "a", sink.writable, ["stoq1abc"]), error);
  assert.ok(sink.aborted && !sink.closed);
});

test("a file without its signed end is not fetched", async () => {
  const error = Object.assign(new Error("cut"), { code: "truncated", sequence: 3 });
  const { session } = answering(['{"size":2}\n', "ok", `{"sha256":"${SHA}"}\n`, 2], { error });
  const sink = new Collected();
  await assert.rejects(getVerified(session, "a", sink.writable, ["stoq1abc"]), error);
  assert.ok(sink.aborted && !sink.closed);
});
