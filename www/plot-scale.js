// Where things stand in a plot: plain numbers in, plain numbers and path texts out.

/** @typedef {{ t: number, v: number | undefined }} Point a value at a time; no value is a gap in the line */

/**
 * The end of an axis: the smallest of 1, 2, 4, 6, 8, 10 times a power of ten that is not below `value`.
 * Half of it is as round as itself, so an axis needs no more than these two labels.
 * @param {number} value
 */
export function niceCeiling(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  const mantissa = value / power;
  const nice = NICE.find((n) => mantissa <= n * (1 + 1e-9)) ?? 10;
  return nice * power;
}

/**
 * The same for bytes, round in the unit in which they will be shown.
 * @param {number} value
 */
export function niceBytes(value) {
  let unit = 1;
  while (value > 1000 * unit && unit < 1024 ** 4) unit *= 1024;
  return Math.max(1, niceCeiling(value / unit)) * unit;
}

/**
 * A path through points; a gap starts it anew, and a point between gaps is a dot.
 * @param {readonly Point[]} points
 * @param {(t: number) => number} x
 * @param {(v: number) => number} y
 */
export function linePath(points, x, y) {
  return runs(points)
    .map((run) => {
      const [first] = run;
      const steps = run.map(({ t, v }) => `${round(x(t))} ${round(y(v))}`);
      return run.length === 1 && first ? `M${steps[0]}h0` : `M${steps.join("L")}`;
    })
    .join("");
}

/**
 * The surface between a line and a base.
 * @param {readonly Point[]} points
 * @param {(t: number) => number} x
 * @param {(v: number) => number} y
 * @param {number} base in the units of the drawing
 */
export function areaPath(points, x, y, base) {
  return runs(points)
    .filter((run) => run.length > 1)
    .map((run) => {
      const steps = run.map(({ t, v }) => `${round(x(t))} ${round(y(v))}`);
      const first = run[0]?.t ?? 0;
      const last = run.at(-1)?.t ?? 0;
      return `M${round(x(first))} ${round(base)}L${steps.join("L")}L${round(x(last))} ${round(base)}Z`;
    })
    .join("");
}

const NICE = [1, 2, 4, 6, 8, 10];

/**
 * The stretches without a gap.
 * @param {readonly Point[]} points
 */
function runs(points) {
  /** @type {{ t: number, v: number }[][]} */
  const all = [];
  let open = false;
  for (const { t, v } of points) {
    if (v === undefined) {
      open = false;
    } else if (open) {
      all.at(-1)?.push({ t, v });
    } else {
      all.push([{ t, v }]);
      open = true;
    }
  }
  return all;
}

/** @param {number} value tenths of a pixel are finer than any screen */
function round(value) {
  return Math.round(value * 10) / 10;
}
