// Runs transfers, each with its card: uploads one after the other, fetches as they are asked for.

import { StoqError } from "stoq";
import { announce } from "./announce.js";
import { codeOf } from "./explain.js";
import { get, put } from "./files-protocol.js";
import { find } from "./find.js";
import { traffic } from "./live.js";
import { recall, remember } from "./remembered.js";
import { TransferCard } from "./transfer-card.js";

/**
 * @typedef {import("./session.js").Link} Link
 * @typedef {import("./save.js").Destination} Destination
 * @typedef {import("./transfer-card.js").Kind} Kind
 */

export class Transfers {
  #link;
  #changed;
  /** @type {TransferCard[]} */
  #cards = [];
  /** Ends when the last upload in the queue has ended. */
  #uploads = Promise.resolve();
  #list = find(document, "transfers", HTMLOListElement);
  #part = find(document, "transfers-part", HTMLElement);

  /**
   * @param {Link} link
   * @param {() => void} changed called when the store may hold something else
   */
  constructor(link, changed) {
    this.#link = link;
    this.#changed = changed;
    find(document, "clear-transfers", HTMLButtonElement).addEventListener("click", () => this.#clear());
  }

  /** @param {File} file */
  upload(file) {
    const card = this.#add("put", file.name);
    this.#uploads = this.#uploads.then(async () => {
      await this.#run(card, file.name, async (session) => {
        card.begin(file.size);
        const stored = await put(session, file, { signal: card.signal, onProgress: count(card, traffic.sent) });
        remember(stored.name, stored.localSha256);
        card.finish(stored);
      });
      this.#changed();
    });
  }

  /**
   * @param {string} name
   * @param {number} size bytes, as listed
   * @param {Promise<Destination>} opening
   */
  async fetch(name, size, opening) {
    /** @type {Destination} */
    let destination;
    try {
      destination = await opening;
    } catch (error) {
      // Someone who closes the save dialog wants to hear no more of it.
      if (codeOf(error) !== "AbortError") this.#add("get", name).fail(error);
      return;
    }
    const card = this.#add("get", name);
    await this.#run(card, name, async (session) => {
      card.begin(size);
      const fetched = await get(session, name, destination.sink, {
        signal: card.signal,
        onSize: (exact) => card.size(exact),
        onProgress: count(card, traffic.received),
      });
      card.finish(fetched, recall(name));
      const file = await destination.file();
      if (file) card.offer(file, name, destination.discard);
    });
    // Where there was no session, nobody has used it.
    if (!destination.sink.locked) await destination.sink.abort().catch(() => {});
  }

  /**
   * @param {TransferCard} card
   * @param {string} name
   * @param {(session: import("stoq").Session) => Promise<void>} work
   */
  async #run(card, name, work) {
    try {
      card.signal.throwIfAborted();
      const { session, error } = this.#link;
      if (!session) throw error ?? new StoqError("session-closed", SESSION_CLOSED, "there is no session");
      await work(session);
    } catch (error) {
      card.fail(error);
    }
    announce(`${name}: ${OUTCOMES[card.state] ?? ""}`);
  }

  /**
   * @param {Kind} kind
   * @param {string} name
   */
  #add(kind, name) {
    const card = new TransferCard(kind, name);
    for (const older of this.#cards) older.fold();
    this.#cards.unshift(card);
    this.#list.prepend(card.element);
    this.#part.hidden = false;
    return card;
  }

  #clear() {
    const ended = this.#cards.filter((card) => card.state in OUTCOMES);
    for (const card of ended) {
      card.element.remove();
      void card.dismiss();
    }
    this.#cards = this.#cards.filter((card) => !ended.includes(card));
    this.#part.hidden = this.#cards.length === 0;
  }
}

/** The states in which a transfer has ended, and what is said of them. @type {Record<string, string>} */
const OUTCOMES = {
  agree: "complete, the hashes agree",
  differ: "complete, but the hashes differ",
  failed: "failed",
  cancelled: "cancelled",
};

/** The protocol's code for a session that has ended (stoq-core's table of close codes). */
const SESSION_CLOSED = 0x5354_0015;

/**
 * @param {TransferCard} card
 * @param {import("./meter.js").Meter} meter
 */
function count(card, meter) {
  let before = 0;
  return (/** @type {number} */ done) => {
    meter.add(done - before, performance.now());
    before = done;
    card.progress(done);
  };
}
