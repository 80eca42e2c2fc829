// Elements by their `data-testid`: the page's own code and its tests use the same names.

/**
 * @template {Element} E
 * @param {ParentNode} root
 * @param {string} id
 * @param {new () => E} type
 * @returns {E}
 */
export function find(root, id, type) {
  const element = root.querySelector(`[data-testid="${id}"]`);
  if (!(element instanceof type)) throw new TypeError(`the page has no ${type.name} named ${id}`);
  return element;
}

/**
 * A copy of the one element inside a `<template>`.
 * @param {string} id of the template
 * @returns {HTMLElement}
 */
export function copy(id) {
  const inside = find(document, id, HTMLTemplateElement).content.firstElementChild;
  const element = inside && document.importNode(inside, true);
  if (!(element instanceof HTMLElement)) throw new TypeError(`the template ${id} is empty`);
  return element;
}

/**
 * Sets an element's text, but only if it changes: screen readers and selections are left in peace.
 * @param {Element} element
 * @param {string} text
 */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
