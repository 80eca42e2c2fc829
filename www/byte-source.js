// Reads lines and counted bodies from a stream of bytes, however the stream was cut into chunks.

/** What an answer can be if it is not what was agreed: `ended-early`, `line-too-long` or `trailing-bytes`. */
export class FramingError extends Error {
  /**
   * @param {"ended-early" | "line-too-long" | "trailing-bytes"} code
   * @param {string} message
   */
  constructor(code, message) {
    super(message);
    this.name = "FramingError";
    this.code = code;
  }
}

export class ByteSource {
  /** @type {ReadableStreamDefaultReader<Uint8Array>} */
  #reader;
  /** Bytes read and not yet handed out. */
  #rest = /** @type {Uint8Array} */ (EMPTY);

  /** @param {ReadableStream<Uint8Array>} readable */
  constructor(readable) {
    this.#reader = readable.getReader();
  }

  /**
   * One line, without its end.
   * @param {number} limit longest line accepted, in bytes: a peer cannot make us hold more
   * @returns {Promise<string>}
   */
  async line(limit) {
    /** @type {Uint8Array[]} */
    const parts = [];
    let length = 0;
    for (;;) {
      const end = this.#rest.indexOf(NEWLINE);
      const part = end < 0 ? this.#rest : this.#rest.subarray(0, end);
      length += part.length;
      if (length > limit) throw new FramingError("line-too-long", `a line is longer than ${limit} bytes`);
      parts.push(part);
      if (end >= 0) {
        this.#rest = this.#rest.subarray(end + 1);
        return decode(parts, length);
      }
      if (!(await this.#fill())) throw new FramingError("ended-early", "the stream ended inside a line");
    }
  }

  /**
   * The next `count` bytes, as they arrive.
   * @param {number} count
   * @returns {AsyncGenerator<Uint8Array, void, void>}
   */
  async *take(count) {
    let missing = count;
    while (missing > 0) {
      if (this.#rest.length === 0 && !(await this.#fill())) {
        throw new FramingError("ended-early", `the stream ended ${missing} bytes early`);
      }
      const part = this.#rest.subarray(0, missing);
      this.#rest = this.#rest.subarray(part.length);
      missing -= part.length;
      yield part;
    }
  }

  /** Waits for the end of the stream; bytes before it are an error. */
  async end() {
    if (this.#rest.length > 0 || (await this.#fill())) {
      throw new FramingError("trailing-bytes", "bytes follow the end of the answer");
    }
  }

  /**
   * Tells the peer that nothing more is wanted. Reads that wait end early.
   * @param {unknown} [reason]
   */
  async cancel(reason) {
    await this.#reader.cancel(reason);
  }

  /** Reads the next chunk that is not empty; false at the end of the stream. */
  async #fill() {
    for (;;) {
      const { value, done } = await this.#reader.read();
      if (done) {
        this.#rest = EMPTY;
        return false;
      }
      if (value.length > 0) {
        this.#rest = value;
        return true;
      }
    }
  }
}

const EMPTY = new Uint8Array(0);
const NEWLINE = 0x0a;

/**
 * @param {Uint8Array[]} parts
 * @param {number} length
 */
function decode(parts, length) {
  const line = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    line.set(part, at);
    at += part.length;
  }
  return new TextDecoder().decode(line);
}
