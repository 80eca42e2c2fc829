// Writes one private file through a synchronous handle, for browsers that have no `createWritable`.
// One message at a time: { do: "open" | "write" | "close", … }, each answered with {} or { error }.

/** @type {SyncAccessHandle | undefined} */
let handle;

self.onmessage = async ({ data }) => {
  try {
    await perform(data);
    self.postMessage({});
  } catch (error) {
    self.postMessage({ error: error instanceof Error ? error.message : String(error) });
  }
};

/** @param {{ do: string, directory: string, place: string, part: Uint8Array }} message */
async function perform({ do: verb, directory, place, part }) {
  if (verb === "open") {
    const root = await navigator.storage.getDirectory();
    const file = await (await root.getDirectoryHandle(directory)).getFileHandle(place);
    handle = await file.createSyncAccessHandle();
  } else if (verb === "write") {
    for (let at = 0; at < part.length; ) {
      const written = handle?.write(part.subarray(at)) ?? 0;
      if (written === 0) throw new Error("the storage takes no more");
      at += written;
    }
  } else {
    handle?.flush();
    handle?.close();
    handle = undefined;
  }
}
