// The session's facts, and the picture of the way that it goes.

import { announce } from "./announce.js";
import { copyButton, showShort } from "./copy-button.js";
import { brokenLeg, isRefusal } from "./explain.js";
import { find, write } from "./find.js";
import { count, hex, shortHash, span } from "./format.js";
import { showProblem } from "./problem.js";

/**
 * @typedef {import("./session.js").Link} Link
 * @typedef {import("./session.js").LinkState} LinkState
 */

/** @type {Record<LinkState, string>} */
export const STATE_WORDS = {
  idle: "Starting",
  connecting: "Connecting",
  open: "Connected",
  draining: "Closing soon",
  closed: "Closed",
  failed: "Not connected",
};

/**
 * @param {Link} link
 * @param {() => void} reconnect
 */
export function sessionPanel(link, reconnect) {
  const button = find(document, "reconnect", HTMLButtonElement);
  button.addEventListener("click", reconnect);
  copyButton("certificate-hash", () => at("certificate-hash").dataset.whole);
  copyButton("session-hash", () => link.last && hex(link.last.hash));
  write(at("page-origin"), location.host);

  const show = () => {
    showState(link);
    showFacts(link);
    showLegs(link);
    button.disabled = link.state === "connecting";
    write(button, link.state === "failed" || link.state === "closed" ? "Connect again" : "Reconnect");
    showProblem(at("session-error"), link.error);
    if (link.state !== "idle" && link.state !== "connecting") announce(`Session: ${STATE_WORDS[link.state]}`);
  };
  link.addEventListener("change", show);
  show();
}

/** @param {Link} link */
function showState(link) {
  write(at("header-state-text"), STATE_WORDS[link.state]);
  at("header-state").dataset.state = link.state;
  const detail = link.state === "open" ? ` in ${span(link.openedIn)}` : "";
  write(at("session-state"), STATE_WORDS[link.state] + detail);
  at("session-state").dataset.state = link.state;
}

/** @param {Link} link */
function showFacts({ gateway, last, security, service }) {
  if (gateway) {
    write(at("gateway-url"), `${gateway.url}/stoq/v1/${service}`);
    write(at("gateway-host"), new URL(gateway.url).host);
    const [hash] = (security ?? gateway).certificateHashes;
    showShort("certificate-hash", hash ?? "", shortHash);
    if (!hash) write(at("certificate-hash"), "trusted by the browser");
  }
  if (last) {
    showShort("session-hash", hex(last.hash), shortHash);
    write(at("max-datagram"), `${count(last.maxDatagramSize)} bytes`);
  }
}

/** @param {Link} link */
function showLegs({ state, error }) {
  const broken = error && state !== "draining" ? brokenLeg(error) : undefined;
  // The way beyond the break is unknown; the way before it was gone.
  const gateway = isRefusal(error) ? "refused" : broken === "gateway" ? "broken" : broken === "service" ? "reached" : state;
  const service = broken === "service" ? "broken" : broken === "gateway" ? "idle" : state;
  at("path").dataset.state = state;
  at("leg-gateway").dataset.state = gateway;
  at("leg-service").dataset.state = service;
  const words = { refused: "not tried", broken: "broken", open: "open", reached: "reached", draining: "closing soon", connecting: "connecting" };
  for (const [id, leg] of [["leg-gateway-note", gateway], ["leg-service-note", service]]) {
    write(at(id ?? ""), words[/** @type {keyof typeof words} */ (leg)] ?? "");
  }
}

/** @param {string} id */
function at(id) {
  return find(document, id, HTMLElement);
}
