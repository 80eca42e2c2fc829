// Two plots drawn as SVG: lines over the last minute, and a histogram. Colours come from the style sheet.

import { areaPath, linePath } from "./plot-scale.js";

/**
 * @typedef {import("./plot-scale.js").Point} Point
 * @typedef {import("./statistics.js").Bin} Bin
 */

/** Lines that move with the time. */
export class TimePlot {
  #svg;
  #options;
  /** @type {Point[][]} */
  #lines;

  /**
   * @param {SVGSVGElement} svg
   * @param {{ window: number, lines: string[], ceiling: (value: number) => number, format: (value: number) => string }} options
   *   `window`: ms shown · `lines`: the class of each line · `ceiling`: the end of the axis for a largest value
   */
  constructor(svg, options) {
    this.#svg = svg;
    this.#options = options;
    this.#lines = options.lines.map(() => []);
    new ResizeObserver(() => this.draw(performance.now())).observe(svg);
  }

  /**
   * Adds one value to each line.
   * @param {number} t ms, as of `performance.now()`
   * @param {readonly (number | undefined)[]} values in the order of the lines
   */
  push(t, values) {
    for (const [i, line] of this.#lines.entries()) {
      line.push({ t, v: values[i] });
      // One point before the window stays, so that the line enters from outside.
      while (line[1] && line[1].t < t - this.#options.window) line.shift();
    }
  }

  /** @param {number} now the time at the right edge */
  draw(now) {
    const { width, height } = this.#svg.getBoundingClientRect();
    if (width === 0 || height === 0) return;
    const { window, lines, ceiling, format } = this.#options;
    const end = ceiling(Math.max(0, ...this.#lines.flat().map(({ v }) => v ?? 0)));
    const base = height - BELOW;
    const right = width - DOT;
    const x = (/** @type {number} */ t) => right - ((now - t) / window) * right;
    const y = (/** @type {number} */ v) => base - (v / end) * (base - ABOVE);
    const parts = [
      ...grid([end, end / 2], width, y, format),
      shape("line", { class: "base", x1: 0, x2: width, y1: base, y2: base }),
      label(0, height - 3, "start", `${window / 1000} s ago`),
      label(width, height - 3, "end", "now"),
    ];
    for (const [i, name] of lines.entries()) {
      const points = this.#lines[i] ?? [];
      if (i === 0) parts.push(shape("path", { class: `area ${name}`, d: areaPath(points, x, y, base) }));
      parts.push(shape("path", { class: `line ${name}`, d: linePath(points, x, y) }));
      const last = points.at(-1);
      if (last?.v !== undefined) parts.push(shape("circle", { class: `head ${name}`, cx: x(last.t), cy: y(last.v), r: 3 }));
    }
    this.#svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.#svg.replaceChildren(...parts);
  }
}

/** Bars of counts over a measure, with marks. */
export class Histogram {
  #svg;
  #format;
  /** @type {{ bins: Bin[], marks: { name: string, at: number }[], top: number } | undefined} */
  #shown;

  /**
   * @param {SVGSVGElement} svg
   * @param {(value: number) => string} format of the measure
   */
  constructor(svg, format) {
    this.#svg = svg;
    this.#format = format;
    new ResizeObserver(() => this.#draw()).observe(svg);
    this.#draw();
  }

  /**
   * @param {Bin[]} bins of equal width; the last has no end
   * @param {{ name: string, at: number }[]} marks ascending
   * @param {number} top the count at full height, so that two histograms can be compared
   */
  show(bins, marks, top) {
    this.#shown = { bins, marks, top };
    this.#draw();
  }

  #draw() {
    const { width, height } = this.#svg.getBoundingClientRect();
    if (width === 0 || height === 0) return;
    const base = height - BELOW;
    const parts = [shape("line", { class: "base", x1: 0, x2: width, y1: base, y2: base })];
    if (this.#shown) {
      const { bins, marks, top } = this.#shown;
      const step = width / bins.length;
      const end = bins.at(-1)?.from ?? 1;
      const x = (/** @type {number} */ v) => Math.min(v / end, 1 + 0.5 / (bins.length - 1)) * (width - step);
      for (const [i, bin] of bins.entries()) {
        if (bin.count === 0) continue;
        // A bar of one in a thousand is still seen.
        const tall = Math.max(1.5, (bin.count / top) * (base - MARKS));
        const gap = step > 4 ? 1 : 0;
        const name = bin.to === Infinity ? "bar beyond" : "bar";
        parts.push(shape("rect", { class: name, x: i * step, width: step - gap, y: base - tall, height: tall }));
      }
      let line = 0;
      let free = -Infinity;
      for (const { name, at } of marks) {
        const left = x(at);
        // Marks that stand close take turns in height.
        line = left < free ? line + 1 : 0;
        free = left + MARK_WIDTH;
        const flip = left > width - MARK_WIDTH;
        parts.push(shape("line", { class: "mark", x1: left, x2: left, y1: line * 14 + 2, y2: base }));
        parts.push(label(flip ? left - 4 : left + 4, line * 14 + 11, flip ? "end" : "start", name));
      }
      parts.push(label(0, height - 3, "start", "0"));
      parts.push(label((width - step) / 2, height - 3, "middle", this.#format(end / 2)));
      parts.push(label(width, height - 3, "end", `${this.#format(end)} and more`));
    } else {
      parts.push(label(0, base - 8, "start", "not measured yet"));
    }
    this.#svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.#svg.replaceChildren(...parts);
  }
}

/** Room above the highest line for its label, and below the base for the time; for the marks of a histogram; for the dot. */
const ABOVE = 18;
const BELOW = 18;
const MARKS = 34;
const MARK_WIDTH = 30;
const DOT = 4;

/**
 * @param {number[]} values
 * @param {number} width
 * @param {(v: number) => number} y
 * @param {(v: number) => string} format
 */
function grid(values, width, y, format) {
  return values.flatMap((v) => [
    shape("line", { class: "grid", x1: 0, x2: width, y1: y(v), y2: y(v) }),
    label(0, y(v) - 4, "start", format(v)),
  ]);
}

/**
 * @param {number} x
 * @param {number} y
 * @param {string} anchor
 * @param {string} words
 */
function label(x, y, anchor, words) {
  const text = shape("text", { x, y, "text-anchor": anchor });
  text.textContent = words;
  return text;
}

/**
 * @param {string} name
 * @param {Record<string, string | number>} attributes
 */
function shape(name, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  return element;
}
