import assert from "node:assert/strict";
import test from "node:test";
import { Meter } from "../meter.js";

test("a steady flow has its rate from the start", () => {
  const meter = new Meter(1000, 0);
  for (let t = 10; t <= 5000; t += 10) {
    meter.add(100, t);
    if (t === 500 || t === 5000) assert.ok(Math.abs(meter.rate(t) - 10_000) < 300, `${t}: ${meter.rate(t)}`);
  }
  assert.equal(meter.total, 50_000);
});

test("the rate falls to nothing when nothing comes", () => {
  const meter = new Meter(1000, 0);
  meter.add(5000, 100);
  assert.ok(meter.rate(500) > 0);
  assert.equal(meter.rate(1200), 0);
});

test("a burst after a pause counts over the window, not over the pause", () => {
  const meter = new Meter(1000, 0);
  meter.add(1000, 60_000);
  assert.equal(meter.rate(60_000), 1000);
});

test("no time has passed: no rate", () => {
  assert.equal(new Meter(1000, 5).rate(5), 0);
});
