// The hashes of files that were sent from here, so that a file fetched back later can be compared with them.

const PREFIX = "stoq-sent:";

/**
 * @param {string} name
 * @param {string} sha256
 */
export function remember(name, sha256) {
  try {
    localStorage.setItem(PREFIX + name, sha256);
  } catch {
    memory.set(name, sha256);
  }
}

/**
 * @param {string} name
 * @returns {string | undefined}
 */
export function recall(name) {
  try {
    return localStorage.getItem(PREFIX + name) ?? memory.get(name);
  } catch {
    return memory.get(name);
  }
}

/** @param {string} name */
export function forget(name) {
  memory.delete(name);
  try {
    localStorage.removeItem(PREFIX + name);
  } catch {
    // It was not there.
  }
}

/** Where storage is refused or full. @type {Map<string, string>} */
const memory = new Map();
