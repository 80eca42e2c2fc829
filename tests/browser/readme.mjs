// Runs the README's browser client as it stands: `node readme.mjs BROWSER PAGE README GATEWAY FALCON-ID`.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { launch } from './launch.mjs';

const [name, url, readme, gateway, falconId] = process.argv.slice(2);
const snippet = /```js\n([\s\S]*?)```/.exec(readFileSync(readme, 'utf8'))?.[1];
assert(snippet, 'the README has a block of JavaScript');
assert(snippet.trim().split('\n').length <= 15, 'the browser client fits 15 lines');

const browser = await launch(name, url);
try {
  const printed = await browser.page.evaluate(
    async ([snippet, gateway, falconId]) => {
      const lines = [];
      const [imports, ...body] = snippet.split('\n');
      // An inline module, because the page's import map does not reach into blobs.
      const script = Object.assign(document.createElement('script'), { type: 'module' });
      script.textContent = `${imports}
        const { gateway, authority, falconId, endpointRecord, console, done, failed } = globalThis.readme;
        try { ${body.join('\n')} done(); } catch (error) { failed(error); }`;
      await new Promise((done, failed) => {
        const console = { log: (line) => lines.push(line) };
        const authority = new URL(gateway).host;
        const endpointRecord = new URL('/.well-known/stoq/endpoint', location.href);
        globalThis.readme = { gateway, authority, falconId, endpointRecord, console, done, failed };
        document.head.append(script);
      });
      return lines;
    },
    [snippet, gateway, falconId],
  );
  assert.deepEqual(printed, ['hello']);
  console.log(`${name}: the README's client printed ${printed}`);
} finally {
  await browser.close();
}
