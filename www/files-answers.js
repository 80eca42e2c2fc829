// The answers of the service `files`, from lines to values: what is returned has every field it should have.

/**
 * @typedef {{ name: string, size: number, modified: number }} StoredFile `modified`: Unix milliseconds
 * @typedef {{ files: StoredFile[], used: number, quota: number }} Listing sizes in bytes
 */

/** The service refused a request, or gave an answer that is none (`malformed-answer`). */
export class FilesError extends Error {
  /**
   * @param {string} code `bad-request`, `bad-name`, `no-such-file`, `quota-exceeded`, `too-short`, `storage-error`, `malformed-answer`
   * @param {string} message
   */
  constructor(code, message) {
    super(message);
    this.name = "FilesError";
    this.code = code;
  }
}

/**
 * One line of an answer, an object; a line that carries an error throws it.
 * @param {import("./byte-source.js").ByteSource} source
 * @param {number} [limit]
 * @returns {Promise<Record<string, unknown>>}
 */
export async function answerLine(source, limit = LINE_LIMIT) {
  const line = await source.line(limit);
  const answer = parseObject(line);
  if (answer.error !== undefined) {
    const { code, message } = object(answer.error);
    throw new FilesError(text(code), text(message));
  }
  return answer;
}

/** @param {import("./byte-source.js").ByteSource} source */
export async function listingLine(source) {
  return parseListing(await answerLine(source, LIST_LIMIT));
}

/** @param {string} line */
function parseObject(line) {
  try {
    return object(JSON.parse(line));
  } catch (error) {
    if (error instanceof FilesError) throw error;
    throw malformed("a line is not JSON");
  }
}

/** @param {Record<string, unknown>} answer */
export function parseStored({ name, size, sha256 }) {
  return { name: text(name), size: natural(size), sha256: sha(sha256) };
}

/** @param {Record<string, unknown>} answer */
export function parseSize({ size }) {
  return { size: natural(size) };
}

/** @param {Record<string, unknown>} answer */
export function parseHash({ sha256 }) {
  return { sha256: sha(sha256) };
}

/**
 * @param {Record<string, unknown>} answer
 * @returns {Listing}
 */
function parseListing({ files, used, quota }) {
  if (!Array.isArray(files)) throw malformed("a list is missing");
  return {
    files: files.map(object).map((file) => ({
      name: text(file.name),
      size: natural(file.size),
      modified: natural(file.modified),
    })),
    used: natural(used),
    quota: natural(quota),
  };
}

/**
 * @param {unknown} value
 * @returns {Record<string, unknown>}
 */
function object(value) {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw malformed("an object is missing");
  return /** @type {Record<string, unknown>} */ (value);
}

/** @param {unknown} value */
function text(value) {
  if (typeof value !== "string") throw malformed("a text is missing");
  return value;
}

/** @param {unknown} value */
function natural(value) {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) throw malformed("a number is missing");
  return value;
}

/** @param {unknown} value */
function sha(value) {
  if (typeof value !== "string" || !/^[0-9a-f]{64}$/.test(value)) throw malformed("a SHA-256 is missing");
  return value;
}

/** @param {string} what */
function malformed(what) {
  return new FilesError("malformed-answer", `the service's answer cannot be read: ${what}`);
}

/** Answers are short; a peer cannot make the page hold more. */
const LINE_LIMIT = 4096;
/** A list has a line of its own: 64 bytes a file leave room for a quarter of a million files. */
const LIST_LIMIT = 16 * 1024 * 1024;
