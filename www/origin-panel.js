// Whose data it is: a file on a verified stream, with what is signed of it so far, by whom, and past whom it came.

import { announce } from "./announce.js";
import { copyButton, showShort } from "./copy-button.js";
import { codeOf } from "./explain.js";
import { find, write } from "./find.js";
import { bytes, count, percent, shortHash, shortId, when } from "./format.js";
import { readOrigins } from "./origins.js";
import { showProblem } from "./problem.js";
import { privateFile } from "./save.js";
import { getVerified } from "./verified-files.js";

/**
 * @typedef {import("./session.js").Link} Link
 * @typedef {import("./verified-files.js").Progress} Progress
 */

/** @param {Link} link */
export function originPanel(link) {
  const form = find(document, "origin-form", HTMLFormElement);
  const origin = find(document, "origin-id", HTMLInputElement);
  const file = find(document, "origin-file", HTMLSelectElement);
  const early = find(document, "origin-pending", HTMLInputElement);
  const run = find(document, "origin-run", HTMLButtonElement);
  const stop = find(document, "origin-stop", HTMLButtonElement);
  const saved = find(document, "origin-save", HTMLAnchorElement);
  copyButton("origin-signer", () => at("origin-signer").dataset.whole);
  copyButton("origin-sha", () => at("origin-sha").dataset.whole);
  void readOrigins().then((origins) => (origin.value ||= origins[link.service]?.[0] ?? ""));

  /** @type {AbortController | undefined} */
  let running;
  /** Takes back what the link leads to. */
  let forgetSaved = async () => {};

  const show = () => {
    run.disabled = !link.session || running !== undefined || file.options.length === 0;
    file.disabled = file.options.length === 0;
    stop.disabled = running === undefined;
    if (link.session) showHops(link.session.hops);
  };
  // The store's list is the choice.
  new MutationObserver(() => {
    const names = [...at("stored-files").querySelectorAll("tr")].map((row) => row.dataset.name ?? "");
    const chosen = file.value;
    file.replaceChildren(...names.map((name) => new Option(name, name, false, name === chosen)));
    show();
  }).observe(at("stored-files"), { childList: true });

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const { session } = link;
    if (!session || running) return;
    running = new AbortController();
    show();
    await forgetSaved();
    saved.hidden = true;
    const name = file.value;
    const view = new View();
    try {
      const place = await privateFile();
      forgetSaved = async () => {
        URL.revokeObjectURL(saved.href);
        await place.discard().catch(() => {});
        forgetSaved = async () => {};
      };
      const fetched = await getVerified(session, name, place.sink, origin.value.trim().split(/[\s,]+/), {
        delivery: early.checked ? "pending" : "verified",
        onSize: (size) => view.size(size),
        onProgress: (progress) => view.progress(progress),
        signal: running.signal,
      });
      view.finish(fetched);
      const whole = await place.file();
      if (whole) {
        saved.href = URL.createObjectURL(whole);
        saved.download = name;
        saved.hidden = false;
      }
    } catch (error) {
      await forgetSaved();
      view.fail(error, running.signal.aborted);
    } finally {
      running = undefined;
      show();
    }
  });
  stop.addEventListener("click", () => running?.abort(new DOMException("stopped from this page", "AbortError")));
  link.addEventListener("change", show);
  show();
}

/** What is seen of one fetch. */
class View {
  #size = 0;
  /** @type {Progress | undefined} */
  #progress;
  #drawing = false;

  constructor() {
    this.#become("running", "Fetching");
    showProblem(at("origin-error"), undefined);
    showShort("origin-signer", "", shortId);
    showShort("origin-sha", "", shortHash);
    for (const id of ["origin-signatures", "origin-through"]) write(at(id), "–");
    this.#draw();
  }

  /** @param {number} size of the file */
  size(size) {
    this.#size = size;
  }

  /** @param {Progress} progress */
  progress(progress) {
    this.#progress = progress;
    if (this.#drawing) return;
    this.#drawing = true;
    // Drawn now and then, not per piece: there are thousands a second.
    setTimeout(() => {
      this.#drawing = false;
      this.#draw();
    }, 100);
  }

  /** @param {{ size: number, sha256: string, progress: Progress }} fetched */
  finish({ size, sha256, progress }) {
    this.#size = size;
    this.#progress = progress;
    this.#draw();
    showShort("origin-sha", sha256, shortHash);
    this.#become("verified", `Verified: every byte of it is signed by ${shortId(progress.signer)}, and so is its end`);
  }

  /**
   * @param {unknown} error
   * @param {boolean} stopped from this page
   */
  fail(error, stopped) {
    this.#draw();
    if (stopped) return this.#become("stopped", "Stopped");
    showProblem(at("origin-error"), error);
    const from = typeof error === "object" && error !== null && "sequence" in error ? error.sequence : undefined;
    if (typeof from !== "number") return this.#become("failed", "Not fetched");
    at("origin-error").dataset.sequence = String(from);
    this.#become("refused", `Not what the origin sent: nothing from piece ${count(from)} on is used (${codeOf(error)})`);
  }

  #draw() {
    const { arrived = 0, verified = 0, signatures = 0, through = -1, signer = "" } = this.#progress ?? {};
    // The lines around the file are part of the answer.
    const whole = Math.max(this.#size, arrived, 1);
    find(document, "origin-arrived", HTMLProgressElement).value = arrived / whole;
    find(document, "origin-verified", HTMLProgressElement).value = verified / whole;
    write(at("origin-arrived-words"), `${bytes(arrived)} arrived`);
    write(at("origin-verified-words"), `${bytes(verified)} verified, ${percent(verified, whole)}`);
    write(at("origin-pending-words"), `${bytes(arrived - verified)} pending`);
    if (signatures > 0) write(at("origin-signatures"), count(signatures));
    if (through >= 0) write(at("origin-through"), count(through));
    if (signer) showShort("origin-signer", signer, shortId);
  }

  /**
   * @param {"running" | "verified" | "refused" | "failed" | "stopped"} state
   * @param {string} words
   */
  #become(state, words) {
    at("origin-result").dataset.result = state;
    at("origin-state").dataset.state = DOTS[state];
    write(at("origin-words"), words);
    if (state !== "running") announce(words);
  }
}

/** Which mark stands before the words. */
const DOTS = { running: "connecting", verified: "open", refused: "failed", failed: "failed", stopped: "idle" };

/** @param {readonly import("stoq").Hop[]} hops */
function showHops(hops) {
  at("no-hops").hidden = hops.length > 0;
  at("hops").hidden = hops.length === 0;
  at("hops").replaceChildren(
    ...hops.map(({ id, address, port, timestamp, metadata }) => {
      const item = document.createElement("li");
      const who = document.createElement("code");
      who.textContent = shortId(id);
      who.title = id;
      const where = address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
      const more = metadata.map(([key, value]) => `${key} ${value}`);
      item.append(who, ` ${[where, when(timestamp.getTime()), ...more].join(" · ")}`);
      return item;
    }),
  );
}

/** @param {string} id */
function at(id) {
  return find(document, id, HTMLElement);
}
