// Buttons that put the whole of something on the clipboard whose short form the page shows.

import { announce } from "./announce.js";
import { find, write } from "./find.js";

/**
 * @param {string} id of what is shown; the button's is the same with `copy-` before it
 * @param {() => string | undefined} value
 */
export function copyButton(id, value) {
  const button = find(document, `copy-${id}`, HTMLButtonElement);
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(value() ?? "");
    button.dataset.done = "yes";
    announce("Copied");
    setTimeout(() => delete button.dataset.done, 1500);
  });
}

/**
 * Shows the short form, and the whole on hover; nothing hides the button.
 * @param {string} id
 * @param {string} whole
 * @param {(whole: string) => string} short
 */
export function showShort(id, whole, short) {
  const place = find(document, id, HTMLElement);
  write(place, whole === "" ? "–" : short(whole));
  place.title = whole;
  place.dataset.whole = whole;
  find(document, `copy-${id}`, HTMLButtonElement).hidden = whole === "";
}
