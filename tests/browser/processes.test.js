// The parts of the browser tests, without a browser.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { start } from './processes.mjs';

const PATIENCE = 30_000;
const PART = ['-e', 'console.log("ready"); setInterval(() => {}, 1000)'];

test('parts leave nothing behind in this process', { timeout: PATIENCE }, async (context) => {
  const before = process.listenerCount('exit');
  for (let i = 0; i < 3; i += 1) {
    const part = await start(process.execPath, PART, (line) => line === 'ready');
    context.after(() => part.kill());
    assert.equal(process.listenerCount('exit'), before);
  }
});

test('parts end with the process that started them', { timeout: PATIENCE }, async () => {
  const program = `import { start } from ${JSON.stringify(new URL('processes.mjs', import.meta.url).href)};
    const part = await start(process.execPath, ${JSON.stringify(PART)}, (line) => line === 'ready');
    console.log(part.process.pid);
    process.exit();`;
  const { line } = await start(process.execPath, ['--input-type=module', '-e', program], (text) => /^\d+$/.test(text));
  // Signal 0 asks whether it is there; a process that was killed may stay for a moment.
  for (;;) {
    try {
      process.kill(Number(line), 0);
    } catch (error) {
      assert.equal(error.code, 'ESRCH');
      return;
    }
    await new Promise((resolve) => { setTimeout(resolve, 20); });
  }
});
