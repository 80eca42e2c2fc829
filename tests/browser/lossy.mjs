// Messages in shards to a page, and in Chromium from it, over a path that loses datagrams: `node lossy.mjs BROWSER PAGE GATEWAY CERTIFICATE-HASH`.

import assert from 'node:assert/strict';
import { launch } from './launch.mjs';

const [name, url, gateway, certificateHash] = process.argv.slice(2);
const MESSAGES = 50;
/** That many may be lost: each is with a chance of 1 in 10,000 each way. */
const MAY_BE_LOST = 2;
/** How long a message may become whole after its first shard, at either end, in milliseconds: the default of `MessageConfig`. */
const TIMEOUT = 5_000;

/** Firefox 140 drops what it cannot send at once, which is most of a message here: what it sends, it sends on streams. */
const service = name === 'firefox' ? 'mail' : 'echo';

const browser = await launch(name, url);
try {
  await browser.page.waitForFunction('window.suites');
  const { whole, twice, altered, stats, ended } = await browser.page.evaluate(
    async ({ gateway, certificateHash, count, mayBeLost, timeout, service }) => {
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
          came(number);
        }
      })().catch(() => 'the session was closed');
      /** Waits until a message has come, or it could no longer become whole on its way there or back. */
      const settled = (number) => new Promise((resolve) => {
        const timer = setTimeout(resolve, 2 * timeout);
        came = (other) => {
          if (other !== number) return;
          clearTimeout(timer);
          resolve();
        };
      });
      let before = session.stats();
      for (let number = 0; number < count && number - seen.size <= mayBeLost; number += 1) {
        const back = settled(number);
        if (service === 'echo') {
          await session.sendMessage(message(number), { parity: 12 });
        } else {
          // The service sends back as a message what it reads from a stream.
          const stream = await session.openBidirectionalStream();
          await stream.send.write(message(number));
          await stream.send.finish();
        }
        await back;
        const now = session.stats();
        if (!seen.has(number)) {
          // A path that loses one in ten lets some come; where none do, something else is wrong.
          const shards = now.receivedDatagrams - before.receivedDatagrams;
          console.log(`message ${number} did not come back; ${shards} datagrams came while it was waited for`);
        }
        before = now;
      }
      const ended = await Promise.race([session.closed, Promise.resolve(null)]);
      const result = { whole: seen.size, twice, altered, stats: session.stats(), ended };
      await session.close();
      await reading;
      return result;
    },
    { gateway, certificateHash, count: MESSAGES, mayBeLost: MAY_BE_LOST, timeout: TIMEOUT, service },
  );
  console.log(`${name}: ${whole} of ${MESSAGES} messages came back, ${twice} twice, ${altered} altered`, { ...stats, ended });
  assert.equal(twice, 0);
  assert.equal(altered, 0);
  assert.ok(whole >= MESSAGES - MAY_BE_LOST, `more than ${MAY_BE_LOST} messages were lost`);
} finally {
  await browser.close();
}
