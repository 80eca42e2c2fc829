#!/usr/bin/env -S node --no-warnings
// Runs one test binary that was built for wasm32-wasip1, through Node's WASI:
//
//   CARGO_TARGET_WASM32_WASIP1_RUNNER=$PWD/stoq-core/tests/wasi-runner.mjs cargo test -p stoq-core --target wasm32-wasip1 --tests
//
// The tests see no files, and of the environment only what steers proptest and backtraces.

import { readFile } from "node:fs/promises";
import { WASI } from "node:wasi";

const [binary, ...args] = process.argv.slice(2);
const env = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => name.startsWith("PROPTEST_") || name.startsWith("RUST_")),
);
const wasi = new WASI({ version: "preview1", args: [binary, ...args], env, returnOnExit: true });
const module = await WebAssembly.compile(await readFile(binary));
const instance = await WebAssembly.instantiate(module, wasi.getImportObject());
// A panic aborts on this target: the trap ends Node with an error and code 1.
process.exitCode = wasi.start(instance);
