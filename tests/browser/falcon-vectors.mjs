// Checks the FALCON-1024 vectors in Node, with the WebAssembly that browsers get: `node falcon-vectors.mjs SITE`.
// Throws if one is answered wrongly.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const conformance = join(process.argv[2], 'conformance');
const { initSync, falconVectors } = await import(pathToFileURL(join(conformance, 'stoq_web_tests.js')).href);
initSync({ module: await readFile(join(conformance, 'stoq_web_tests_bg.wasm')) });
console.log(`node: ${falconVectors()}`);
