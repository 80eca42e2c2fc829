// Shows an error where it arose: what happened, what to do, and the code to search for.

import { explain } from "./explain.js";

/**
 * @param {HTMLElement} box with a `strong`, a `span` and a `code`
 * @param {unknown} error none hides the box
 */
export function showProblem(box, error) {
  box.hidden = error === undefined;
  const { title, detail, code } = error === undefined ? NOTHING : explain(error);
  box.dataset.code = code;
  for (const [name, text] of [
    ["strong", title],
    ["span", detail],
    ["code", code],
  ]) {
    const place = box.querySelector(name ?? "");
    if (place) place.textContent = text ?? "";
  }
}

const NOTHING = { title: "", detail: "", code: "" };
