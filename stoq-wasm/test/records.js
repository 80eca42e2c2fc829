// Endpoint records that a real key has signed, for the tests.

import { readFileSync } from 'node:fs';

/** @typedef {{ serial: string, certificateHashes: string[], bytes: Uint8Array<ArrayBuffer> }} Signed */

const file = JSON.parse(readFileSync(new URL('endpoint-records.json', import.meta.url), 'utf8'));

/** @type {{ authority: string, falconId: string, anotherId: string, notBefore: number, expiry: number }} */
export const { authority, falconId, anotherId, notBefore, expiry } = file;
/** The first of the two. */
export const older = signed(file.older);
/** What the same gateway published later. */
export const newer = signed(file.newer);
/** While both hold. */
export const meanwhile = (notBefore + expiry) / 2;

/**
 * @param {{ serial: string, certificateHashes: string[], bytes: string }} entry
 * @returns {Signed}
 */
function signed(entry) {
  return { ...entry, bytes: Uint8Array.from(Buffer.from(entry.bytes, 'hex')) };
}
