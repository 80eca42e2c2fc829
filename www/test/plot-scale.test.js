import assert from "node:assert/strict";
import test from "node:test";
import { areaPath, linePath, niceBytes, niceCeiling } from "../plot-scale.js";

const same = (/** @type {number} */ v) => v;

test("an axis ends at a round number that is not below the value", () => {
  for (const [value, end] of /** @type {[number, number][]} */ ([[0, 1], [1, 1], [1.1, 2], [3, 4], [5, 6], [7, 8], [9, 10], [0.3, 0.4], [123, 200]])) {
    assert.ok(Math.abs(niceCeiling(value) - end) < 1e-9, `${value}: ${niceCeiling(value)}`);
  }
  for (let value = 0.001; value < 1e9; value *= 1.37) assert.ok(niceCeiling(value) >= value * (1 - 1e-9));
});

test("an axis of bytes is round in its own unit", () => {
  assert.equal(niceBytes(0), 1);
  assert.equal(niceBytes(300), 400);
  assert.equal(niceBytes(1100), 2048);
  assert.equal(niceBytes(150 * 2 ** 20), 200 * 2 ** 20);
  assert.equal(niceBytes(1010 * 2 ** 20), 2 ** 30);
  for (let value = 1; value < 1e13; value *= 1.37) assert.ok(niceBytes(value) >= value * (1 - 1e-9), String(value));
});

test("a gap starts the line anew, and a lone point is a dot", () => {
  const points = [{ t: 0, v: 1 }, { t: 1, v: 2 }, { t: 2, v: undefined }, { t: 3, v: 4 }];
  assert.equal(linePath(points, same, same), "M0 1L1 2M3 4h0");
  assert.equal(linePath([], same, same), "");
});

test("the surface reaches down to the base under each stretch", () => {
  const points = [{ t: 0, v: 1 }, { t: 1, v: 2 }, { t: 2, v: undefined }, { t: 3, v: 4 }];
  assert.equal(areaPath(points, same, same, 9), "M0 9L0 1L1 2L1 9Z");
});

test("places are rounded to tenths", () => {
  assert.equal(linePath([{ t: 1 / 3, v: 2 / 3 }, { t: 1, v: 1 }], same, same), "M0.3 0.7L1 1");
});
