// Being let in: a key of this browser, a token that an issuer makes out for it, and a service that wants one.

import init, { StoqClient, holderPublicKey } from "stoq";
import { announce } from "./announce.js";
import { copyButton, showShort } from "./copy-button.js";
import { list } from "./files-protocol.js";
import { find, write } from "./find.js";
import { count, span } from "./format.js";
import { readGuarded } from "./guarded.js";
import { keptKey, newKey } from "./holder-key.js";
import { clientOptions, readPins } from "./pins.js";
import { showProblem } from "./problem.js";
import { readGateway } from "./session.js";

/** @typedef {import("./guarded.js").Guarded} Guarded */

export function accessPanel() {
  const make = find(document, "holder-make", HTMLButtonElement);
  const run = find(document, "access-run", HTMLButtonElement);
  const token = find(document, "access-token", HTMLTextAreaElement);
  copyButton("holder-key", () => at("holder-key").dataset.whole);
  copyButton("issue-command", () => at("issue-command").textContent ?? "");
  /** @type {CryptoKeyPair | undefined} */
  let pair;
  /** @type {Guarded | undefined} */
  let guarded;
  let running = false;

  const show = async () => {
    const key = pair ? await holderPublicKey(pair) : "";
    showShort("holder-key", key, (whole) => whole);
    write(make, pair ? "Make another key" : "Make a key");
    write(at("issue-command"), guarded && key ? `${guarded.issue} --holder ${key}` : "Make a key first.");
    find(document, "copy-issue-command", HTMLButtonElement).hidden = !guarded || !key;
    at("no-guarded").hidden = guarded !== undefined;
    run.disabled = running || !guarded || !pair || token.value.trim() === "";
    make.disabled = running;
  };
  make.addEventListener("click", async () => {
    try {
      pair = await newKey();
      showProblem(at("access-error"), undefined);
    } catch (error) {
      become("failed", "No key was made", error);
    }
    await show();
  });
  token.addEventListener("input", show);
  find(document, "access-form", HTMLFormElement).addEventListener("submit", async (event) => {
    event.preventDefault();
    if (!guarded || !pair || running) return;
    running = true;
    await show();
    become("connecting", "Connecting");
    try {
      become("open", await enter(guarded, token.value.trim(), pair));
    } catch (error) {
      become("failed", "Not let in", error);
    }
    running = false;
    await show();
  });
  const start = async () => {
    await init();
    guarded = await readGuarded();
    pair = await keptKey().catch(() => undefined);
    await show();
  };
  start().catch((error) => become("failed", "There is no access here", error));
}

/**
 * Opens a session with the token, looks what is there, and closes it.
 * @param {Guarded} guarded
 * @param {string} token
 * @param {CryptoKeyPair} pair
 * @returns {Promise<string>} what came of it
 */
async function enter({ service, route }, token, pair) {
  const [gateway, pins] = await Promise.all([readGateway(), readPins()]);
  const client = new StoqClient(clientOptions(gateway, pins, false));
  const start = performance.now();
  const connecting = client.connect(`${gateway.url}/stoq/v1/${service}`, { route, accessTokens: token, holderKeys: pair });
  const session = await connecting.finally(() => client.free());
  const opened = span(performance.now() - start);
  try {
    const { files } = await list(session);
    return `Let in after ${opened}: ${count(files.length)} ${files.length === 1 ? "file" : "files"} there`;
  } finally {
    await session.close({ reason: "the page has seen enough" });
  }
}

/**
 * @param {"connecting" | "open" | "failed"} state
 * @param {string} words
 * @param {unknown} [error]
 */
function become(state, words, error) {
  at("access-state").dataset.state = state;
  write(at("access-words"), words);
  showProblem(at("access-error"), error);
  if (state !== "connecting") announce(`Access: ${words}`);
}

/** @param {string} id */
function at(id) {
  return find(document, id, HTMLElement);
}
