// Chromium and Firefox behind one small face: open a page, run a function in it, say which processes it is.

import { readdirSync, readFileSync } from 'node:fs';

/**
 * `page` has what Playwright and Puppeteer share: `goto`, `evaluate` with one argument, `click`, `waitForSelector`.
 * @typedef {object} Browser
 * @property {any} page
 * @property {() => number[]} renderers processes that run pages
 * @property {(script: () => void) => Promise<unknown>} beforeEachPage runs a script before the page's own
 * @property {(selector: string, path: string) => Promise<unknown>} setFile chooses a file, as a user does
 * @property {() => Promise<void>} close
 */

const CHROMIUM_FLAGS = [
  // QUIC must stay enabled: WebTransport runs on it.
  '--headless', '--no-sandbox', '--disable-gpu', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync',
  // Tests of what is let go call the garbage collector. Firefox has no such switch for pages.
  '--js-flags=--expose-gc',
];

/**
 * Starts a browser with a fresh profile and opens `url`.
 * @param {'chromium' | 'firefox'} name
 * @param {string} url
 * @returns {Promise<Browser>}
 */
export async function launch(name, url) {
  return name === 'chromium' ? chromium(url) : firefox(url);
}

async function chromium(url) {
  const { chromium } = await import('playwright-core');
  const browser = await chromium.launch({
    executablePath: process.env.STOQ_CHROMIUM ?? '/usr/bin/chromium',
    args: CHROMIUM_FLAGS,
  });
  const page = await browser.newPage();
  relayConsole(page);
  await page.goto(url);
  return {
    page,
    renderers: () => processes((command) => command.includes('--type=renderer')),
    beforeEachPage: (script) => page.addInitScript(script),
    setFile: (selector, path) => page.setInputFiles(selector, path),
    close: () => browser.close(),
  };
}

async function firefox(url) {
  const { launch } = await import('puppeteer-core');
  const browser = await launch({
    browser: 'firefox',
    executablePath: process.env.STOQ_FIREFOX ?? '/usr/bin/firefox-esr',
    headless: true,
  });
  const page = await browser.newPage();
  relayConsole(page);
  await page.goto(url);
  return {
    page,
    // The process of the page's own site; the others are kept ready for pages to come.
    renderers: () => processes((command) => command.includes('-contentproc') && command.at(-1) === 'tab'),
    beforeEachPage: (script) => page.evaluateOnNewDocument(script),
    setFile: async (selector, path) => (await page.$(selector)).uploadFile(path),
    close: () => browser.close(),
  };
}

/** What the page prints belongs into the test's log. */
function relayConsole(page) {
  page.on('console', (message) => console.log(`  page: ${message.text()}`));
  page.on('pageerror', (error) => console.log(`  page error: ${error.message}`));
}

/** Processes below this one whose command line `wanted` accepts. */
function processes(wanted) {
  const parents = new Map();
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, 'utf8');
      parents.set(Number(entry), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]));
    } catch { /* it ended while we looked */ }
  }
  const ours = (pid) => pid === process.pid || (parents.has(pid) && ours(parents.get(pid)));
  return [...parents.keys()].filter((pid) => {
    if (!ours(pid)) return false;
    try {
      // Chromium's processes put blanks where others have zero bytes.
      return wanted(readFileSync(`/proc/${pid}/cmdline`, 'utf8').split(/[\0 ]/).filter(Boolean));
    } catch {
      return false;
    }
  });
}

/**
 * Resident memory of a process in bytes, as the operating system counts it; 0 once it has ended.
 * @param {number} pid
 */
export function residentBytes(pid) {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}
