// The one error class of the package. It is written here, and handed to the module, because it extends Error.

/** @typedef {import('./index.d.ts').ErrorCode} ErrorCode */

export class StoqError extends Error {
  /**
   * @param {ErrorCode} code
   * @param {number} number
   * @param {string} message
   * @param {number} [sequence]
   */
  constructor(code, number, message, sequence) {
    super(message);
    /** @readonly */
    this.name = /** @type {const} */ ('StoqError');
    /** @readonly */
    this.code = code;
    /** @readonly */
    this.number = number;
    /** @readonly */
    this.sequence = sequence;
  }
}
