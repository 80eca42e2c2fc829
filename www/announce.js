// Says to screen readers what others see happen.

import { find } from "./find.js";

/** @param {string} words */
export function announce(words) {
  find(document, "announcer", HTMLDivElement).textContent = words;
}
