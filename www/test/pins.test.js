import assert from "node:assert/strict";
import test, { mock } from "node:test";
import "./stoq-in-node.js";

const { NOBODY, clientOptions, pinnedFor, readPins } = await import("../pins.js");
const { verdictOn } = await import("../identity-panel.js");
const { explain, isRefusal } = await import("../explain.js");
const { shortId } = await import("../format.js");

const ID = `stoq1${"b".repeat(51)}q`;
const PINS = { "gateway.example:4433": [ID], "other.example:443": ID };
const GATEWAY = { url: "https://gateway.example:4433", certificateHashes: ["00"], services: [] };

/**
 * What the page reads if the server answers like this.
 * @param {() => Promise<Response>} answer
 */
function reading(answer) {
  const { mock: calls } = mock.method(globalThis, "fetch", answer);
  return readPins().finally(() => calls.restore());
}

test("pins are read, and only a missing file is no pins", async () => {
  assert.deepEqual(await reading(async () => Response.json(PINS)), PINS);
  assert.equal(await reading(async () => new Response("", { status: 404 })), undefined);
  for (const answer of [
    () => Promise.reject(new TypeError("offline")),
    async () => new Response("", { status: 500 }),
    async () => new Response("nonsense"),
    async () => Response.json(null),
    async () => Response.json([ID]),
    async () => Response.json(ID),
  ]) {
    await assert.rejects(reading(answer), { code: "bad-pins" });
  }
});

test("a gateway's pins are found by host and port", () => {
  assert.deepEqual(pinnedFor(PINS, "https://gateway.example:4433"), [ID]);
  assert.deepEqual(pinnedFor(PINS, "https://other.example"), [ID]);
  assert.deepEqual(pinnedFor(PINS, "https://gateway.example"), []);
});

test("with pins, no hash is believed", () => {
  assert.deepEqual(clientOptions(GATEWAY, undefined, false), { certificateHashes: ["00"] });
  assert.deepEqual(clientOptions(GATEWAY, PINS, false), { pins: PINS });
  assert.deepEqual(clientOptions({ ...GATEWAY, endpointRecord: "/there" }, PINS, false), { pins: PINS, endpointRecord: "/there" });
  assert.deepEqual(clientOptions(GATEWAY, PINS, true), { pins: { "gateway.example:4433": NOBODY } });
});

test("the wrong pin is an identity by its form", () => assert.match(NOBODY, /^stoq1[a-z2-7]{52}$/));

test("the verdict never says more than was verified", () => {
  const security = /** @type {any} */ ({ falconId: ID });
  /** @param {string} code */
  const failed = (code) => ({ state: /** @type {const} */ ("failed"), error: Object.assign(new Error("no"), { code }), pinned: [ID], security: undefined });
  const nothing = { error: undefined, pinned: undefined, security: undefined };
  assert.equal(verdictOn({ ...nothing, state: "idle" }), "waiting");
  assert.equal(verdictOn({ ...nothing, state: "connecting", pinned: [ID] }), "waiting");
  assert.equal(verdictOn({ ...nothing, state: "open" }), "unpinned");
  assert.equal(verdictOn({ ...nothing, state: "open", pinned: [ID], security }), "verified");
  assert.equal(verdictOn({ ...nothing, state: "draining", pinned: [ID], security }), "verified");
  assert.equal(verdictOn(failed("untrusted-identity")), "refused");
  assert.equal(verdictOn(failed("endpoint-record-refused")), "refused");
  assert.equal(verdictOn(failed("handshake-failed")), "waiting");
  assert.equal(verdictOn({ ...failed("connection-lost"), state: "closed", security }), "waiting");
});

test("refusals have words of their own", () => {
  for (const code of ["untrusted-identity", "endpoint-record-refused", "bad-pins", "invalid-argument"]) {
    const { title } = explain(Object.assign(new Error("why"), { code }));
    assert.doesNotMatch(title, /Something went wrong/, code);
  }
});

test("a refusal is no broken connection", () => {
  for (const code of ["untrusted-identity", "endpoint-record-refused"]) assert.ok(isRefusal({ code }));
  for (const error of [undefined, null, { code: "handshake-failed" }, new Error("no")]) assert.ok(!isRefusal(error));
});

test("identities are cut in the middle", () => {
  assert.equal(shortId(ID), `stoq1${"b".repeat(8)}…${"b".repeat(7)}q`);
});
