// Counts bytes and tells how fast they came of late.

export class Meter {
  /** Totals at times, the oldest first; the first stands at or before the start of the window. @type {{ t: number, total: number }[]} */
  #marks;
  #window;
  total = 0;

  /**
   * @param {number} window over how long the rate is taken, in ms
   * @param {number} now ms
   */
  constructor(window, now) {
    this.#window = window;
    this.#marks = [{ t: now, total: 0 }];
  }

  /**
   * @param {number} bytes
   * @param {number} now ms, never less than before
   */
  add(bytes, now) {
    this.total += bytes;
    const last = this.#marks.at(-1);
    // Marks closer than a fiftieth of the window are one: memory stays small at any rate.
    if (last && this.#marks.length > 1 && now - last.t < this.#window / 50) last.total = this.total;
    else this.#marks.push({ t: now, total: this.total });
    this.#prune(now);
  }

  /**
   * @param {number} now ms
   * @returns {number} bytes a second
   */
  rate(now) {
    this.#prune(now);
    const [first] = this.#marks;
    if (!first) return 0;
    const since = Math.max(first.t, now - this.#window);
    return now > since ? ((this.total - first.total) / (now - since)) * 1000 : 0;
  }

  /** @param {number} now */
  #prune(now) {
    while (this.#marks[1] && this.#marks[1].t <= now - this.#window) this.#marks.shift();
  }
}
