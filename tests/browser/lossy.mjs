// Messages in shards to a page, and in Chromium from it, over a path that loses datagrams: `node lossy.mjs BROWSER PAGE GATEWAY CERTIFICATE-HASH`.

import assert from 'node:assert/strict';
import { launch } from './launch.mjs';

const [name, url, gateway, certificateHash] = process.argv.slice(2);
const MESSAGES = 50;
/** For one message to come back, in milliseconds; what takes longer may still come. */
const PATIENCE = 2_000;

/** Firefox 140 drops what it cannot send at once, which is most of a message here: what it sends, it sends on streams. */
const service = name === 'firefox' ? 'mail' : 'echo';

const browser = await launch(name, url);
try {
  await browser.page.waitForFunction('window.suites');
  const { whole, twice, altered, stats } = await browser.page.evaluate(
    async ({ gateway, certificateHash, count, patience, service }) => {
      const { StoqClient } = await import(new URL('./node_modules/stoq/js/index.js', location.href).href);
      const client = new StoqClient({ certificateHashes: [certificateHash] });
      const session = await client.connect(`${gateway}/stoq/v1/${service}`);
      const message = (number) => {
        const bytes = new Uint8Array(20_000).map((_, at) => at * 7 + number);
        new DataView(bytes.buffer).setUint32(0, number);
        return bytes;
      };
      const seen = new Set();
      let twice = 0;
      let altered = 0;
      let came = () => {};
      const reading = (async () => {
        for await (const back of session.messages) {
          const number = new DataView(back.buffer).getUint32(0);
          if (seen.has(number)) twice += 1;
          seen.add(number);
          const wanted = message(number);
          if (back.length !== wanted.length || back.some((byte, at) => byte !== wanted[at])) altered += 1;
          came();
        }
      })().catch(() => 'the session was closed');
      for (let number = 0; number < count; number += 1) {
        const back = new Promise((resolve) => { came = resolve; });
        if (service === 'echo') {
          await session.sendMessage(message(number), { parity: 12 });
        } else {
          // The service sends back as a message what it reads from a stream.
          const stream = await session.openBidirectionalStream();
          await stream.send.write(message(number));
          await stream.send.finish();
        }
        await Promise.race([back, new Promise((resolve) => { setTimeout(resolve, patience); })]);
      }
      const result = { whole: seen.size, twice, altered, stats: session.stats() };
      await session.close();
      await reading;
      return result;
    },
    { gateway, certificateHash, count: MESSAGES, patience: PATIENCE, service },
  );
  console.log(`${name}: ${whole} of ${MESSAGES} messages came back`, stats.messages);
  assert.equal(twice, 0);
  assert.equal(altered, 0);
  // Each fails with a chance of 1 in 10,000 each way.
  assert.ok(whole >= MESSAGES - 2, `${MESSAGES - whole} messages were lost`);
} finally {
  await browser.close();
}
