// What an error means to the person in front of the page, and what to do about it.

/**
 * @typedef {{ code: string, title: string, detail: string }} Explanation
 */

/**
 * @param {unknown} error
 * @returns {Explanation}
 */
export function explain(error) {
  const code = codeOf(error);
  const message = error instanceof Error ? error.message : String(error);
  const [words, advice] = WORDS[code] ?? ["Something went wrong", ""];
  const title = sentence(words);
  const what = sentence(message);
  return { code, title, detail: [what === title ? "" : what, advice].filter(Boolean).join(" ") };
}

/**
 * The word to print and to search for: the error's own code, or its name.
 * @param {unknown} error
 */
export function codeOf(error) {
  if (typeof error !== "object" || error === null) return "error";
  if ("code" in error && typeof error.code === "string") return error.code;
  return "name" in error && typeof error.name === "string" ? error.name : "error";
}

/**
 * Where on the way from the page to the service an error arose.
 * @param {unknown} error
 * @returns {"gateway" | "service"}
 */
export function brokenLeg(error) {
  return UPSTREAM.has(codeOf(error)) ? "service" : "gateway";
}

/**
 * Whether the page refused the gateway before it had tried to connect.
 * @param {unknown} error
 */
export function isRefusal(error) {
  return REFUSALS.has(codeOf(error));
}

const REFUSALS = new Set(["untrusted-identity", "endpoint-record-refused"]);
const UPSTREAM = new Set(["upstream-unreachable", "upstream-lost"]);

/** A title, and advice where there is any, for each code that a user of this page can meet. @type {Record<string, [string, string]>} */
const WORDS = {
  "no-gateway": ["No gateway found", "Start it with “cargo xtask demo” and reload this page."],
  "bad-pins": ["The page's pins cannot be used", "Nothing was connected. Mend the file, or take it away to connect without pins."],
  "no-error": ["Session closed", "Connect again to go on."],
  "internal-error": ["The other side failed", "Its log says more."],
  "protocol-violation": ["The other side broke the protocol", ""],
  "version-mismatch": ["The gateway speaks another version of STOQ", "Reload this page to get the one that fits."],
  "unknown-service": ["The gateway has no such service", "Its settings name the services that it relays to."],
  "unknown-path": ["The gateway does not know this path", ""],
  "origin-refused": ["The gateway refuses this page", "The page's origin has to be on the gateway's list."],
  "upstream-unreachable": ["The gateway cannot reach the service", "Is the native service running?"],
  "upstream-lost": ["The gateway lost the service", "Is the native service still running? Then connect again."],
  "going-away": ["The gateway is shutting down", "Connect again in a moment."],
  timeout: ["No answer in time", "Is the gateway running, and is UDP let through?"],
  "limit-exceeded": ["A limit was reached", ""],
  cancelled: ["Cancelled", ""],
  "session-closed": ["The session ended", "Connect again and retry."],
  "handshake-failed": ["The browser could not connect to the gateway", ""],
  "connection-lost": ["The connection was lost", "Connect again and retry."],
  unsupported: ["This browser cannot do this", "STOQ needs WebTransport: Chrome, Edge, Firefox, or Safari from 26.4."],
  "datagram-too-large": ["The datagram is too large for this path", ""],
  "session-refused": ["The session was refused", ""],
  "untrusted-identity": ["The gateway is not the one that is pinned", "Nothing was connected. If the gateway has a new key, the page needs a new pin."],
  "endpoint-record-refused": ["The gateway's record is refused", "Nothing was connected, because nobody vouches for the gateway's certificate."],
  "bad-token": ["The data was changed on the way", "Whoever passes it on has altered it, left some out, or changed the order."],
  "replayed-token": ["Data came twice", "Whoever passes it on has repeated it."],
  "bad-signature": ["A signature is not good", "It is forged, for other data, or the answer to another question; or it is missing."],
  "unsent-run": ["Data was left out on the way", "The origin has signed more than came."],
  "wrong-request": ["This is no answer to what was asked", ""],
  truncated: ["The answer was cut short on the way", "The origin has not signed that it ends here."],
  "untrusted-origin": ["Somebody else has signed it", "The identity above is not the signer's."],
  "access-token-required": ["The service wants an access token", "None of those that were presented is for it."],
  "access-token-malformed": ["This is no access token", ""],
  "access-token-untrusted-issuer": ["Nobody here trusts who has issued the token", ""],
  "access-token-forged": ["The token is not what its issuer has signed", ""],
  "access-token-not-yet-valid": ["The token does not hold yet", "Do the clocks of issuer and service agree?"],
  "access-token-expired": ["The token has expired", "Have the issuer make out another one."],
  "access-token-wrong-audience": ["The token is for another server", ""],
  "access-token-wrong-service": ["The token is for another service", ""],
  "access-token-revoked": ["The token was taken back", ""],
  "permission-denied": ["The token does not permit this", ""],
  "holder-proof-missing": ["The service has not seen the holder's key", ""],
  "holder-proof-wrong": ["This is not the key that the token is for", ""],
  "channel-reused": ["A stream came a second time", ""],
  "invalid-argument": ["A setting of this page cannot be", ""],
  "bad-request": ["The service did not understand", ""],
  "bad-name": ["The service does not take this name", "Rename the file and try again."],
  "no-such-file": ["There is no such file", "Someone else may have deleted it."],
  "quota-exceeded": ["The store is full", "Delete something first."],
  "too-short": ["The file ended early", "It may have changed while it was read."],
  "storage-error": ["The service could not read or write its disk", "Its log says more."],
  "malformed-answer": ["The service's answer makes no sense", ""],
  "ended-early": ["The answer ended early", "Try again."],
  "wrong-echo": ["The echo differs from what was sent", ""],
  "no-storage": ["There is nowhere to save to", ""],
  AbortError: ["Cancelled", ""],
  NotReadableError: ["The file cannot be read", "It may have changed or moved since it was chosen."],
  NotFoundError: ["The file cannot be found", "It may have moved since it was chosen."],
  QuotaExceededError: ["The browser's storage is full", "Choose a place on disk instead, or free some space."],
  NotAllowedError: ["The browser did not allow this", ""],
};

/** @param {string} message as errors have it: lower case, no full stop */
function sentence(message) {
  if (message === "") return "";
  // An identity keeps its spelling.
  const text = message.startsWith("stoq1") ? message : message.charAt(0).toUpperCase() + message.slice(1);
  return /[.!?…]$/.test(text) ? text : `${text}.`;
}
