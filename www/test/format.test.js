import assert from "node:assert/strict";
import test from "node:test";
import { bytes, hashGroups, hex, percent, rate, shortHash, span, tidy, wait } from "../format.js";

test("sizes have three figures and the shortest unit", () => {
  assert.equal(bytes(0), "0 B");
  assert.equal(bytes(1023), "1,023 B");
  assert.equal(bytes(1024), "1 KiB");
  assert.equal(bytes(1536), "1.5 KiB");
  assert.equal(bytes(1023.9 * 1024), "1 MiB");
  assert.equal(bytes(256 * 2 ** 20), "256 MiB");
  assert.equal(bytes(10 * 2 ** 30), "10 GiB");
  assert.equal(bytes(100 * 2 ** 30), "100 GiB");
  assert.equal(bytes(5000 * 2 ** 40), "5,000 TiB");
});

test("rates keep their figures, so that they stand still", () => {
  assert.equal(rate(0), "0 B/s");
  assert.equal(rate(2 ** 20), "1.00 MiB/s");
  assert.equal(rate(12.34 * 2 ** 20), "12.3 MiB/s");
});

test("spans go from milliseconds to seconds", () => {
  assert.equal(span(0.4249), "0.42 ms");
  assert.equal(span(12.34), "12.3 ms");
  assert.equal(span(123.4), "123 ms");
  assert.equal(span(999.4), "999 ms");
  assert.equal(span(999.6), "1.00 s");
});

test("tidy drops zeros after the point and nothing else", () => {
  assert.equal(tidy("1.00 ms"), "1 ms");
  assert.equal(tidy("1.50 ms"), "1.5 ms");
  assert.equal(tidy("12.0 KiB/s"), "12 KiB/s");
  assert.equal(tidy("100 B"), "100 B");
  assert.equal(tidy("0.05 ms"), "0.05 ms");
  assert.equal(tidy("1,000 TiB"), "1,000 TiB");
});

test("waits are told as a person would", () => {
  assert.equal(wait(0.2), "0 s");
  assert.equal(wait(59.4), "59 s");
  assert.equal(wait(60), "1 min");
  assert.equal(wait(125), "2 min 5 s");
  assert.equal(wait(3840), "1 h 4 min");
});

test("100 % is all of it, and nothing of nothing is all", () => {
  assert.equal(percent(0, 10), "0 %");
  assert.equal(percent(9999, 10_000), "99 %");
  assert.equal(percent(10, 10), "100 %");
  assert.equal(percent(0, 0), "100 %");
});

test("hashes can be shortened, grouped and made", () => {
  const hash = hex(Uint8Array.from({ length: 32 }, (_, i) => i));
  assert.equal(hash.length, 64);
  assert.equal(shortHash(hash), "00010203…1c1d1e1f");
  assert.equal(hashGroups(hash).length, 8);
  assert.equal(hashGroups(hash).join(""), hash);
  assert.equal(shortHash(""), "");
});
