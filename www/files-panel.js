// The store: files go in by choice or by drop, and are listed, fetched back and deleted.

import { announce } from "./announce.js";
import { list, remove } from "./files-protocol.js";
import { copy, find, write } from "./find.js";
import { bytes, when } from "./format.js";
import { showProblem } from "./problem.js";
import { forget } from "./remembered.js";
import { askWhere, canAsk, privateFile } from "./save.js";
import { Transfers } from "./transfers.js";

/**
 * @typedef {import("./session.js").Link} Link
 * @typedef {import("./files-answers.js").StoredFile} StoredFile
 */

/** @param {Link} link */
export function filesPanel(link) {
  const refresh = () => showStore(link, transfers);
  const transfers = new Transfers(link, refresh);
  const input = find(document, "file-input", HTMLInputElement);
  const refreshButton = find(document, "refresh", HTMLButtonElement);

  input.addEventListener("change", () => {
    for (const file of input.files ?? []) transfers.upload(file);
    // The same file can be chosen again.
    input.value = "";
  });
  acceptDrops(() => !input.disabled, (file) => transfers.upload(file));
  refreshButton.addEventListener("click", refresh);
  find(document, "save-to-part", HTMLElement).hidden = !canAsk;

  link.addEventListener("change", () => {
    const ready = link.session !== undefined;
    input.disabled = !ready;
    refreshButton.disabled = !ready;
    write(at("drop-note"), DROP_NOTES[link.state]);
    for (const button of at("stored-files").querySelectorAll("button")) button.disabled = !ready;
    if (link.state === "open") void refresh();
  });
}

/**
 * Takes files dropped anywhere, so that one that misses the mark does not replace the page.
 * @param {() => boolean} ready
 * @param {(file: File) => void} take
 */
function acceptDrops(ready, take) {
  const zone = at("drop-zone");
  let inside = 0;
  /** @param {number} change */
  const move = (change) => {
    inside = Math.max(0, inside + change);
    zone.classList.toggle("over", inside > 0 && ready());
  };
  addEventListener("dragenter", () => move(1));
  addEventListener("dragleave", () => move(-1));
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    move(-inside);
    if (!ready()) return;
    for (const item of event.dataTransfer?.items ?? []) {
      // A directory has no bytes of its own.
      if (item.kind !== "file" || item.webkitGetAsEntry?.()?.isDirectory) continue;
      const file = item.getAsFile();
      if (file) take(file);
    }
  });
}

/**
 * @param {Link} link
 * @param {Transfers} transfers
 */
async function showStore(link, transfers) {
  const { session } = link;
  if (!session) return;
  const problem = at("store-error");
  try {
    const { files, used, quota } = await list(session);
    showProblem(problem, undefined);
    write(at("used"), bytes(used));
    write(at("quota"), bytes(quota));
    find(document, "quota-meter", HTMLMeterElement).value = quota === 0 ? 0 : used / quota;
    at("room").hidden = false;
    at("store-unknown").hidden = true;
    at("nothing-stored").hidden = files.length > 0;
    at("stored").hidden = files.length === 0;
    const newestFirst = files.toSorted((a, b) => b.modified - a.modified);
    at("stored-files").replaceChildren(...newestFirst.map((file) => row(file, link, transfers)));
  } catch (error) {
    // A session that ended meanwhile is told of elsewhere.
    if (link.session === session) showProblem(problem, error);
  }
}

/**
 * @param {StoredFile} file
 * @param {Link} link
 * @param {Transfers} transfers
 */
function row({ name, size, modified }, link, transfers) {
  const element = copy("row-template");
  element.dataset.name = name;
  write(find(element, "stored-name", HTMLElement), name);
  write(find(element, "stored-size", HTMLElement), bytes(size));
  const date = find(element, "stored-date", HTMLTimeElement);
  date.dateTime = new Date(modified).toISOString();
  write(date, when(modified));

  const fetchButton = find(element, "fetch", HTMLButtonElement);
  write(find(element, "fetch-name", HTMLElement), ` ${name}`);
  fetchButton.addEventListener("click", () => {
    const ask = canAsk && find(document, "save-to", HTMLSelectElement).value === "ask";
    void transfers.fetch(name, size, ask ? askWhere(name) : privateFile());
  });

  const deleteButton = find(element, "delete", HTMLButtonElement);
  write(find(element, "delete-name-of", HTMLElement), ` ${name}`);
  deleteButton.addEventListener("click", async () => {
    const { session } = link;
    if (!session || !(await confirmDelete(name))) return;
    try {
      await remove(session, name);
      forget(name);
      announce(`${name} is deleted`);
      await showStore(link, transfers);
    } catch (error) {
      showProblem(at("store-error"), error);
    }
  });
  return element;
}

/** @param {string} name */
function confirmDelete(name) {
  const dialog = find(document, "delete-dialog", HTMLDialogElement);
  write(at("delete-name"), name);
  dialog.returnValue = "keep";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "delete"), { once: true });
  });
}

/** @type {Record<import("./session.js").LinkState, string>} */
const DROP_NOTES = {
  idle: "Waiting for the session",
  connecting: "Waiting for the session",
  open: "Any size, any number",
  draining: "Any size, any number",
  closed: "There is no session: connect again first",
  failed: "There is no session: connect again first",
};

/** @param {string} id */
function at(id) {
  return find(document, id, HTMLElement);
}
