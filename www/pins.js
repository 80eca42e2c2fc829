// Who may speak for the gateway: the file `pins.json` beside the page, put there by whoever serves the page.

/**
 * @typedef {Record<string, string | string[]>} Pins identities for each `host:port`
 * @typedef {import("./session.js").Gateway} Gateway
 * @typedef {import("stoq").ClientOptions} ClientOptions
 */

/** The file is there and cannot be used. The page does not go on without it. */
export class PinsError extends Error {
  /** @param {string} message */
  constructor(message) {
    super(message);
    this.name = "PinsError";
    this.code = "bad-pins";
  }
}

/**
 * Reads the pins; none if there is no such file.
 * @returns {Promise<Pins | undefined>}
 */
export async function readPins() {
  const response = await fetch("./pins.json", { cache: "no-store" }).catch(() => undefined);
  if (response?.status === 404) return undefined;
  if (!response?.ok) throw new PinsError(`the file pins.json could not be loaded${response ? `: the server answered ${response.status}` : ""}`);
  const pins = await response.json().catch(() => undefined);
  if (typeof pins !== "object" || pins === null || Array.isArray(pins)) throw new PinsError("the file pins.json is no object of host:port and identities");
  return pins;
}

/**
 * The identities that may speak for a gateway.
 * @param {Pins} pins
 * @param {string} url of the gateway
 * @returns {string[]}
 */
export function pinnedFor(pins, url) {
  return [pins[authorityOf(url)] ?? []].flat();
}

/**
 * What the SDK is told: with pins it finds out itself which certificates the gateway has, without them it is told.
 * @param {Gateway} gateway
 * @param {Pins | undefined} pins
 * @param {boolean} wrong as if somebody else were pinned
 * @returns {ClientOptions}
 */
export function clientOptions({ url, certificateHashes, endpointRecord }, pins, wrong) {
  if (!pins) return { certificateHashes };
  const where = endpointRecord === undefined ? {} : { endpointRecord };
  return { pins: wrong ? { [authorityOf(url)]: NOBODY } : pins, ...where };
}

/** An identity that is well formed, and that nobody has: its 32 bytes are zero. */
export const NOBODY = `stoq1${"a".repeat(52)}`;

/** @param {string} url */
function authorityOf(url) {
  const { hostname, port } = new URL(url);
  return `${hostname}:${port || "443"}`;
}
