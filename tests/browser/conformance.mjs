// Runs every conformance body in one browser: `node conformance.mjs BROWSER PAGE GATEWAY CERTIFICATE-HASH`.
// Prints a line for each; exits with 1 if one failed.

import { launch } from './launch.mjs';

const [name, url, gateway, certificateHash] = process.argv.slice(2);
/** Longer than any body takes on a busy machine; one that hangs has failed. */
const PATIENCE = 60_000;

const browser = await launch(name, url);
let failed = 0;
try {
  await browser.page.waitForFunction('window.conformance');
  const names = await browser.page.evaluate('window.conformance.names');
  for (const behaviour of names) {
    const failure = await browser.page.evaluate(
      async ([behaviour, gateway, hash, patience]) => {
        const late = new Promise((resolve) => {
          setTimeout(() => resolve(`no result after ${patience} ms`), patience);
        });
        const run = window.conformance.run(behaviour, gateway, hash);
        return Promise.race([run.then(() => null, (text) => String(text)), late]);
      },
      [behaviour, gateway, certificateHash, PATIENCE],
    );
    console.log(`${name} ${behaviour} ... ${failure === null ? 'ok' : `FAILED: ${failure}`}`);
    if (failure !== null) failed += 1;
  }
  console.log(`${name}: ${names.length - failed} passed, ${failed} failed`);
} finally {
  await browser.close();
}
process.exitCode = failed === 0 ? 0 : 1;
