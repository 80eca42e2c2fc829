// Lets Node resolve the bare name `stoq`, so that modules which import it can be loaded without a browser.
// Only what needs no session is there: the error class, and SHA-256 from Node's own library.

import { register } from "node:module";

const source = `
  import { createHash } from "node:crypto";
  export class StoqError extends Error {
    constructor(code, number, message) { super(message); Object.assign(this, { name: "StoqError", code, number }); }
  }
  export class Sha256 {
    #hash = createHash("sha256");
    update(data) { this.#hash.update(data); }
    hex() { return this.#hash.copy().digest("hex"); }
    free() {}
  }
`;
const hooks = `
  export function resolve(name, context, next) {
    return name === "stoq" ? { url: ${JSON.stringify(dataUrl(source))}, shortCircuit: true } : next(name, context);
  }
`;
register(dataUrl(hooks));

/** @param {string} text */
function dataUrl(text) {
  return `data:text/javascript,${encodeURIComponent(text)}`;
}
