// Who the gateway is: what was verified before connecting, what that is worth, and what a wrong pin does.

import { announce } from "./announce.js";
import { copyButton, showShort } from "./copy-button.js";
import { isRefusal } from "./explain.js";
import { find, write } from "./find.js";
import { count, shortHash, shortId, when } from "./format.js";
import { showProblem } from "./problem.js";

/**
 * @typedef {import("./session.js").Link} Link
 * @typedef {"waiting" | "verified" | "refused" | "unpinned"} Verdict
 */

/**
 * What can be said of the gateway now.
 * @param {Pick<Link, "state" | "error" | "pinned" | "security">} link
 * @returns {Verdict}
 */
export function verdictOn({ state, error, pinned, security }) {
  if (isRefusal(error)) return "refused";
  if (state === "open" || state === "draining") return security ? "verified" : "unpinned";
  return state === "failed" && !pinned ? "unpinned" : "waiting";
}

/**
 * @param {Link} link
 * @param {(wrong: boolean) => void} reconnect with the page's pins, or with a wrong one
 */
export function identityPanel(link, reconnect) {
  const wrong = find(document, "wrong-pin", HTMLInputElement);
  // Browsers keep a box ticked when the page is loaded again; the page begins with its own pins.
  wrong.checked = false;
  wrong.addEventListener("change", () => reconnect(wrong.checked));
  copyButton("falcon-id", () => at("falcon-id").dataset.whole);
  copyButton("pinned-id", () => at("pinned-id").dataset.whole);
  copyButton("record-hash", () => at("record-hash").dataset.whole);

  let last = "";
  const show = () => {
    const verdict = verdictOn(link);
    const [words, detail, dot] = WORDS[verdict];
    at("identity").dataset.verdict = verdict;
    at("identity-state").dataset.state = verdict === "waiting" && link.state === "connecting" ? "connecting" : dot;
    write(at("identity-words"), words);
    write(at("identity-detail"), detail);
    showProblem(at("identity-error"), verdict === "refused" ? link.error : undefined);
    showFacts(link, verdict);
    wrong.disabled = !link.pinned;
    write(at("wrong-pin-note"), link.pinned ? SWITCH_NOTE : "There is no pin here that could be wrong.");
    if (verdict !== last && verdict !== "waiting") announce(`Identity: ${words}`);
    last = verdict;
  };
  link.addEventListener("change", show);
  show();
}

/**
 * @param {Link} link
 * @param {Verdict} verdict
 */
function showFacts({ pinned, security }, verdict) {
  const known = verdict === "verified" ? security : undefined;
  const hashes = known?.certificateHashes ?? [];
  showShort("falcon-id", known?.falconId ?? "", shortId);
  showShort("pinned-id", pinned?.[0] ?? "", shortId);
  showShort("record-hash", hashes[0] ?? "", shortHash);
  write(at("more-pinned"), more(pinned?.length ?? 0));
  write(at("more-hashes"), more(hashes.length));
  write(at("record-serial"), known?.serial ?? "–");
  write(at("record-expiry"), known ? when(known.expiry.getTime()) : "–");
}

/** @param {number} all */
function more(all) {
  return all > 1 ? `and ${count(all - 1)} more` : "";
}

/** @param {string} id */
function at(id) {
  return find(document, id, HTMLElement);
}

/** Words, what they mean, and the state whose mark stands before them. @type {Record<Verdict, [string, string, string]>} */
const WORDS = {
  waiting: ["Not checked", "The record is verified each time before the page connects.", "idle"],
  verified: [
    "Verified before connecting",
    "The pinned identity has signed the gateway’s record. It is for this gateway, it holds now, and no newer one has been seen.",
    "open",
  ],
  refused: ["Refused before connecting", "The page speaks to whom it has pinned, or to nobody: it does not go back to the hash in stoq.json.", "failed"],
  unpinned: [
    "Nothing is pinned",
    "There is no file pins.json beside this page, so it believes the certificate hash in stoq.json. The browser checks that the gateway has that certificate; nobody checks whose it is.",
    "idle",
  ],
};
const SWITCH_NOTE = "Connects again as if another identity were pinned for this gateway.";
