// Hashes of data that is streamed.

/** SHA-256 over a stream of pieces, for data too large for `crypto.subtle.digest`. */
export class Sha256 {
  constructor();
  /** Adds bytes. */
  update(data: Uint8Array): void;
  /** The hash of what has been added so far, 32 bytes. More may be added afterwards. */
  digest(): Uint8Array;
  /** The same as 64 lower-case hexadecimal digits. */
  hex(): string;
  /** Gives the memory back at once. */
  free(): void;
}
