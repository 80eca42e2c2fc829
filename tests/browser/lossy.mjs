// Messages in shards from a page and back, over a path that loses datagrams: `node lossy.mjs BROWSER PAGE GATEWAY CERTIFICATE-HASH`.

import assert from 'node:assert/strict';
import { launch } from './launch.mjs';

const [name, url, gateway, certificateHash] = process.argv.slice(2);
const MESSAGES = 100;

const browser = await launch(name, url);
try {
  await browser.page.waitForFunction('window.suites');
  const { whole, twice, altered, stats } = await browser.page.evaluate(
    async ({ gateway, certificateHash, count }) => {
      const { StoqClient } = await import(new URL('./node_modules/stoq/js/index.js', location.href).href);
      const client = new StoqClient({ certificateHashes: [certificateHash] });
      const session = await client.connect(`${gateway}/stoq/v1/echo`);
      const message = (number) => {
        const bytes = new Uint8Array(20_000).map((_, at) => at * 7 + number);
        new DataView(bytes.buffer).setUint32(0, number);
        return bytes;
      };
      const seen = new Set();
      let twice = 0;
      let altered = 0;
      const reader = session.messages.getReader();
      for (let number = 0; number < count; number += 1) {
        // The gateway's link loses nothing, so the loss of ours does not show in what the service measures: parity is chosen.
        await session.sendMessage(message(number), { parity: 12 });
        const late = new Promise((resolve) => setTimeout(resolve, 1_000, 'late'));
        const read = await Promise.race([reader.read(), late]);
        // What is late is lost: another read is under way, and has the next.
        if (read === 'late') continue;
        const back = new DataView(read.value.buffer).getUint32(0);
        if (seen.has(back)) twice += 1;
        seen.add(back);
        const wanted = message(back);
        if (read.value.length !== wanted.length || read.value.some((byte, at) => byte !== wanted[at])) altered += 1;
      }
      const result = { whole: seen.size, twice, altered, stats: session.stats() };
      await session.close();
      return result;
    },
    { gateway, certificateHash, count: MESSAGES },
  );
  console.log(`${name}: ${whole} of ${MESSAGES} messages came back`, stats.messages);
  assert.equal(twice, 0);
  assert.equal(altered, 0);
  // Each fails with a chance of 1 in 10,000 each way; a read that was late takes the next one with it.
  assert.ok(whole >= MESSAGES - 4, `${MESSAGES - whole} messages were lost`);
} finally {
  await browser.close();
}
