// One transfer as the page shows it: on its way, then its verdict.

import { StoqError } from "stoq";
import { codeOf } from "./explain.js";
import { copy, find, write } from "./find.js";
import { drawFingerprint } from "./fingerprint.js";
import { bytes, hashGroups, percent, rate, span, wait } from "./format.js";
import { Meter } from "./meter.js";
import { showProblem } from "./problem.js";

/**
 * @typedef {"put" | "get"} Kind
 * @typedef {"waiting" | "running" | "agree" | "differ" | "failed" | "cancelled"} CardState
 */

export class TransferCard {
  element;
  #kind;
  #cancel = new AbortController();
  #meter = new Meter(2000, performance.now());
  #size = 0;
  #start = 0;
  #drawing = false;

  /**
   * @param {Kind} kind
   * @param {string} name
   */
  constructor(kind, name) {
    this.#kind = kind;
    this.element = copy("transfer-template");
    this.element.dataset.kind = kind;
    write(this.#at("transfer-arrow"), kind === "put" ? "↑" : "↓");
    write(this.#at("transfer-name"), name);
    write(this.#at("transfer-state"), "Waiting");
    this.#at("transfer-progress").setAttribute("aria-label", `Progress of ${name}`);
    const button = find(this.element, "transfer-cancel", HTMLButtonElement);
    write(find(button, "transfer-cancel-name", HTMLElement), ` ${name}`);
    button.addEventListener("click", () => this.#cancel.abort(new StoqError("cancelled", CANCELLED, "stopped from this page")));
  }

  /** Aborted by the card's button. */
  get signal() {
    return this.#cancel.signal;
  }

  /** @type {CardState} */
  get state() {
    return /** @type {CardState} */ (this.element.dataset.state);
  }

  /** @param {number} [size] bytes, where known */
  begin(size) {
    this.#start = performance.now();
    this.#meter = new Meter(2000, this.#start);
    if (size !== undefined) this.#size = size;
    this.#become("running", this.#kind === "put" ? "Sending" : "Fetching");
    this.#draw();
  }

  /** @param {number} size bytes */
  size(size) {
    this.#size = size;
  }

  /** @param {number} done bytes so far */
  progress(done) {
    const now = performance.now();
    this.#meter.add(done - this.#meter.total, now);
    if (this.#drawing) return;
    this.#drawing = true;
    // Drawn now and then, not per chunk: a fast transfer has thousands a second.
    setTimeout(() => {
      this.#drawing = false;
      if (this.state === "running") this.#draw();
    }, 100);
  }

  /**
   * @param {{ sha256: string, localSha256: string }} hashes the service's and ours
   * @param {string} [uploaded] ours from when the file was sent
   */
  finish({ sha256, localSha256 }, uploaded) {
    this.#draw();
    const seconds = (performance.now() - this.#start) / 1000;
    write(this.#at("transfer-left"), `in ${span(seconds * 1000)}`);
    write(this.#at("transfer-rate"), this.#size > 0 && seconds > 0 ? `${rate(this.#size / seconds)} on average` : "");
    const agree = sha256 === localSha256 && (uploaded === undefined || uploaded === localSha256);
    if (agree) this.#become("agree", this.#kind === "put" ? "Stored" : "Fetched");
    else this.#become("differ", "Hashes differ");
    const verdict = this.#at("verdict");
    verdict.hidden = false;
    verdict.dataset.agree = agree ? "yes" : "no";
    write(this.#at("verdict-text"), verdictWords(this.#kind, sha256 === localSha256, uploaded === undefined ? undefined : uploaded === localSha256));
    showHash(this.#at("hash-local"), localSha256);
    showHash(this.#at("hash-service"), sha256);
    this.#at("hash-upload-part").hidden = uploaded === undefined;
    showHash(this.#at("hash-upload"), uploaded ?? "");
    drawFingerprint(find(this.element, "fingerprint", SVGSVGElement), localSha256, sha256);
  }

  /** @param {unknown} error */
  fail(error) {
    const cancelled = this.signal.aborted || codeOf(error) === "AbortError";
    this.#become(cancelled ? "cancelled" : "failed", cancelled ? "Cancelled" : "Failed");
    write(this.#at("transfer-rate"), "");
    write(this.#at("transfer-left"), "");
    if (!cancelled) showProblem(this.#at("transfer-error"), error);
  }

  /**
   * Offers the fetched file for download.
   * @param {File} file
   * @param {string} name
   * @param {() => Promise<void>} discard
   */
  offer(file, name, discard) {
    const part = this.#at("download-part");
    part.hidden = false;
    const link = find(part, "download-link", HTMLAnchorElement);
    const url = URL.createObjectURL(file);
    link.href = url;
    link.download = name;
    const remove = async () => {
      part.hidden = true;
      URL.revokeObjectURL(url);
      await discard().catch(() => {});
    };
    this.dismiss = remove;
    find(part, "download-discard", HTMLButtonElement).addEventListener("click", remove);
  }

  /** Makes room for newer cards: the verdict stays, the hashes are a click away. */
  fold() {
    find(this.element, "hashes", HTMLDetailsElement).open = false;
  }

  /** Gives back what the card holds, before it is taken away. */
  dismiss = async () => {};

  #draw() {
    const done = this.#meter.total;
    const speed = this.#meter.rate(performance.now());
    const bar = find(this.element, "transfer-progress", HTMLProgressElement);
    bar.value = this.#size === 0 ? (this.state === "running" ? 0 : 1) : done / this.#size;
    write(this.#at("transfer-done"), `${bytes(done)} of ${bytes(this.#size)}`);
    write(this.#at("transfer-percent"), percent(done, this.#size));
    write(this.#at("transfer-rate"), speed > 0 ? rate(speed) : "");
    write(this.#at("transfer-left"), speed > 0 ? `${wait((this.#size - done) / speed)} left` : "");
  }

  /**
   * @param {CardState} state
   * @param {string} words
   */
  #become(state, words) {
    this.element.dataset.state = state;
    write(this.#at("transfer-state"), words);
    find(this.element, "transfer-cancel", HTMLButtonElement).hidden = state !== "running" && state !== "waiting";
  }

  /** @param {string} id */
  #at(id) {
    return find(this.element, id, HTMLElement);
  }
}

/** The protocol's code for work that was given up (stoq-core's table of close codes). */
const CANCELLED = 0x5354_0014;

/**
 * @param {Kind} kind
 * @param {boolean} same whether service and page agree
 * @param {boolean | undefined} asUploaded whether that is also what was sent from here, where known
 */
function verdictWords(kind, same, asUploaded) {
  if (!same) {
    return kind === "put"
      ? "The hashes differ. What the service stored is not what this page sent."
      : "The hashes differ. What arrived here is not what the service read.";
  }
  if (kind === "put") return "Both hashes agree: the service stored exactly what this page sent.";
  if (asUploaded === undefined) return "Both hashes agree: what arrived is exactly what the service holds.";
  return asUploaded
    ? "All three hashes agree: what came back is exactly what this browser sent."
    : "Page and service agree, but the file is not the one that this browser sent under this name.";
}

/**
 * @param {HTMLElement} place
 * @param {string} hash in groups, with no space in between that a copy would take along
 */
function showHash(place, hash) {
  place.dataset.hash = hash;
  place.replaceChildren(
    ...hashGroups(hash).map((group) => {
      const part = document.createElement("span");
      part.textContent = group;
      return part;
    }),
  );
}
