// Gathers small parts into blocks before they are written: storage costs a browser about a millisecond a write, however
// small. Measured with parts of 16 KiB: 13 MiB/s in Chromium and 37 in Firefox as they come, 80 and 252 gathered.

/**
 * @param {WritableStream<Uint8Array>} sink
 * @param {number} [size] of a block, in bytes; memory is at most two of them
 * @returns {WritableStream<Uint8Array>}
 */
export function inBlocks(sink, size = 2 ** 20) {
  const writer = sink.getWriter();
  let block = new Uint8Array(size);
  let filled = 0;
  /** One block is written while the next is filled. @type {Promise<void>} */
  let writing = Promise.resolve();

  async function flush() {
    const full = block.subarray(0, filled);
    block = new Uint8Array(size);
    filled = 0;
    await writing;
    writing = writer.write(full);
    // Seen by the next flush, or by `close`.
    writing.catch(() => {});
  }

  return new WritableStream({
    async write(part) {
      for (let at = 0; at < part.length; ) {
        const piece = part.subarray(at, at + size - filled);
        block.set(piece, filled);
        filled += piece.length;
        at += piece.length;
        if (filled === size) await flush();
      }
    },
    async close() {
      if (filled > 0) await flush();
      await writing;
      await writer.close();
    },
    abort: (reason) => writer.abort(reason),
  });
}
