import assert from "node:assert/strict";
import test from "node:test";
import { bins, clockStep, percentile, summary } from "../statistics.js";

test("percentiles are times that were measured", () => {
  const hundred = Array.from({ length: 100 }, (_, i) => i + 1);
  assert.equal(percentile(hundred, 0.5), 50);
  assert.equal(percentile(hundred, 0.99), 99);
  assert.equal(percentile(hundred, 1), 100);
  assert.equal(percentile([7], 0.01), 7);
  assert.throws(() => percentile([], 0.5), RangeError);
});

test("a summary does not mind the order, and nothing has none", () => {
  assert.deepEqual(summary([3, 1, 2]), { p50: 2, p95: 3, p99: 3, max: 3 });
  assert.equal(summary([]), undefined);
});

test("every time falls into one bin, the slow ones into the last", () => {
  const times = [0, 0.05, 0.1, 0.3, 0.30000000000000004, 0.95, 1, 50];
  const all = bins(times, 1, 0.1);
  assert.equal(all.length, 11);
  assert.equal(all.reduce((sum, bin) => sum + bin.count, 0), times.length);
  assert.equal(all[0]?.count, 2);
  assert.equal(all[1]?.count, 1);
  assert.equal(all[3]?.count, 2, "a time on an edge is in the upper bin");
  assert.equal(all[10]?.count, 2);
  assert.equal(all[10]?.to, Infinity);
});

test("the step of a clock is found", () => {
  let calls = 0;
  assert.equal(clockStep(() => Math.floor((calls += 1) / 5) * 0.1), 0.1);
});
