// The page's own promises: what it loads, what its policy allows, and that code and page use the same names.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import test from "node:test";

const root = new URL("../", import.meta.url);
const page = readFileSync(new URL("index.html", root), "utf8");
const modules = readdirSync(root).filter((name) => name.endsWith(".js"));
const sources = new Map(modules.map((name) => [name, readFileSync(new URL(name, root), "utf8")]));

test("the policy allows this import map and no other inline script", () => {
  const map = /<script type="importmap">(.*?)<\/script>/s.exec(page)?.[1] ?? "";
  const hash = createHash("sha256").update(map).digest("base64");
  assert.ok(page.includes(`'sha256-${hash}'`), `the policy should name 'sha256-${hash}'`);
  assert.deepEqual(Object.keys(JSON.parse(map).imports), ["stoq"]);
  const inline = page.match(/<script(?![^>]*\bsrc=)[^>]*>/g);
  assert.deepEqual(inline, ['<script type="importmap">']);
  assert.ok(!/\s(style|on[a-z]+)="/.test(page), "no inline styles or handlers");
});

test("modules import each other and the package, nothing else", () => {
  for (const [name, source] of sources) {
    for (const [, from] of source.matchAll(/^\s*(?:import|export)\s.*?from "([^"]+)"/gms)) {
      assert.ok(from === "stoq" || modules.includes(from?.replace("./", "") ?? ""), `${name} imports ${from}`);
    }
  }
});

test("nothing is asked of other hosts", () => {
  const urls = /https?:\/\/(?!www\.w3\.org\/)[a-z0-9]/i;
  const styles = readdirSync(new URL("style/", root)).map((name) => readFileSync(new URL(`style/${name}`, root), "utf8"));
  for (const text of [page, ...sources.values(), ...styles]) assert.doesNotMatch(text, urls);
});

test("each name that the code looks for stands on the page, once", () => {
  const ids = [...page.matchAll(/data-testid="([^"]+)"/g)].map(([, id]) => id ?? "");
  assert.equal(new Set(ids).size, ids.length);
  for (const [name, source] of sources) {
    for (const [, id] of source.matchAll(/(?:find\([^,]+, |copy\(|\bat\(|#at\()"([^"]+)"/g)) {
      assert.ok(ids.includes(id ?? ""), `${name} looks for ${id}`);
    }
  }
});

test("each part of the page has a label", () => {
  for (const [, target] of page.matchAll(/aria-labelledby="([^"]+)"/g)) assert.ok(page.includes(`id="${target}"`), target);
});
