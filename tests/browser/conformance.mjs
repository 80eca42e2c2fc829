// Runs every conformance body, the behaviours of the npm package, and the FALCON-1024 vectors in one browser: `node conformance.mjs BROWSER PAGE GATEWAY CERTIFICATE-HASH`.
// Prints a line for each; exits with 1 if one failed.

import { launch } from './launch.mjs';

const [name, url, gateway, certificateHash] = process.argv.slice(2);
/** Longer than any body takes on a busy machine; one that hangs has failed. */
const PATIENCE = 60_000;
/** The same for a body that is known to hang in this browser. */
const SHORT_PATIENCE = 10_000;

const EIGHT_BITS = 'a page can choose eight bits of a code';
/**
 * What a browser cannot do yet, as the npm package's README tells its users. Each is run all the same: one that
 * passes after all is a failure here, so that the table stays true.
 * @type {Record<string, Record<string, string>>}
 */
const CANNOT_YET = {
  chromium: {
    large_reset_codes_reach_the_service: EIGHT_BITS,
    large_stop_codes_reach_the_service: EIGHT_BITS,
  },
  firefox: {
    large_reset_codes_reach_the_service: EIGHT_BITS,
    large_stop_codes_reach_the_service: EIGHT_BITS,
    reset_codes_arrive: "it does not show the code of the peer's reset",
    stop_codes_arrive: "the peer's stop ends both halves of the stream",
    stop_codes_reach_the_service: 'it sends no STOP_SENDING',
  },
};

const browser = await launch(name, url);
let failed = 0;
try {
  await browser.page.waitForFunction('window.suites');
  const names = await browser.page.evaluate('window.suites.flatMap(({ names }) => [...names])');
  for (const behaviour of names) {
    const reason = CANNOT_YET[name][behaviour];
    const failure = await browser.page.evaluate(
      async ({ behaviour, patience, ...gateway }) => {
        const late = new Promise((resolve) => {
          setTimeout(() => resolve(`no result after ${patience} ms`), patience);
        });
        const suite = window.suites.find(({ names }) => names.includes(behaviour));
        const run = suite.run(behaviour, gateway).then(() => null, (thrown) => String(thrown));
        return Promise.race([run, late]);
      },
      { behaviour, url: gateway, certificateHash, patience: reason ? SHORT_PATIENCE : PATIENCE },
    );
    const verdict = judge(failure, reason);
    console.log(`${name} ${behaviour} ... ${verdict}`);
    if (verdict.startsWith('FAILED')) failed += 1;
  }
  // It throws if one is answered wrongly.
  console.log(`${name}: ${await browser.page.evaluate('window.falconVectors()')}`);
  console.log(`${name}: ${names.length - failed} passed, ${failed} failed`);
} finally {
  await browser.close();
}
process.exitCode = failed === 0 ? 0 : 1;

/** @param {string | null} failure @param {string | undefined} reason why the browser cannot do it */
function judge(failure, reason) {
  if (reason === undefined) return failure === null ? 'ok' : `FAILED: ${failure}`;
  return failure === null ? `FAILED: it passes now; take it off the list (${reason})` : `ok, known to fail: ${reason}`;
}
