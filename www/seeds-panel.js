// Who holds what: contents announced from this page, and what the far end announces.

import { announce } from "./announce.js";
import { find, write } from "./find.js";
import { count, hex, shortHash, shortId } from "./format.js";
import { showProblem } from "./problem.js";

/**
 * @typedef {import("./session.js").Link} Link
 * @typedef {import("stoq").Session} Session
 * @typedef {import("stoq").SeedEvent} SeedEvent
 */

/** @param {Link} link a session with a service that announces what it hears */
export function seedsPanel(link) {
  const form = find(document, "seed-form", HTMLFormElement);
  const run = find(document, "seed-run", HTMLButtonElement);
  /** @type {Session | undefined} */
  let listening;

  const show = () => {
    run.disabled = !link.session;
    if (!link.session || link.session === listening) return;
    listening = link.session;
    at("seeds").replaceChildren();
    at("no-seeds").hidden = false;
    void listen(listening, () => link.session === listening);
  };
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const { session } = link;
    if (!session) return;
    showProblem(at("seed-error"), undefined);
    try {
      const words = new TextEncoder().encode(find(document, "seed-content", HTMLInputElement).value);
      const content = new Uint8Array(await crypto.subtle.digest("SHA-256", words));
      const replication = find(document, "seed-copies", HTMLInputElement).valueAsNumber;
      await session.sendSeed({ content, replication, nodes: [] });
    } catch (error) {
      showProblem(at("seed-error"), error);
    }
  });
  link.addEventListener("change", show);
  show();
}

/**
 * Lists what is announced in a session until it ends.
 * @param {Session} session
 * @param {() => boolean} current whether the page still shows this session
 */
async function listen(session, current) {
  /** The line of each content. @type {Map<string, HTMLElement>} */
  const lines = new Map();
  try {
    for await (const event of session.seeds) {
      if (!current()) return;
      const content = hex("seed" in event ? event.seed.content : event.content);
      const line = lines.get(content) ?? document.createElement("li");
      lines.set(content, line);
      line.dataset.content = content;
      line.dataset.kind = event.kind;
      write(line, `${shortHash(content)} · ${words(event)}`);
      // The newest stands first.
      at("seeds").prepend(line);
      at("no-seeds").hidden = true;
      announce(`Content ${shortHash(content)}: ${words(event)}`);
    }
  } catch (error) {
    // The session's end is told of elsewhere.
    if (current()) showProblem(at("seed-error"), error);
  }
}

/** @param {SeedEvent} event */
function words(event) {
  if (!("seed" in event)) return event.kind;
  const { replication, priority, nodes } = event.seed;
  const held = nodes.length === 0 ? "held by nobody yet" : `held by ${nodes.map(({ id }) => shortId(id)).join(", ")}`;
  return `${event.kind} by the service: ${count(replication)} ${replication === 1 ? "copy" : "copies"} wanted, priority ${priority}, ${held}`;
}

/** @param {string} id */
function at(id) {
  return find(document, id, HTMLElement);
}
