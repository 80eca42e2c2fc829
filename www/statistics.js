// What a list of measured times says: percentiles and bins for a histogram.

/**
 * @typedef {{ p50: number, p95: number, p99: number, max: number }} Summary in the unit of the times
 * @typedef {{ from: number, to: number, count: number }} Bin `from` is inside, `to` is not
 */

/**
 * The smallest of the times that at least `share` of them do not exceed (nearest rank: always a time that was measured).
 * @param {readonly number[]} sorted ascending, not empty
 * @param {number} share above 0, at most 1
 */
export function percentile(sorted, share) {
  const value = sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
  if (value === undefined) throw new RangeError("no times to summarise");
  return value;
}

/**
 * @param {readonly number[]} times in any order
 * @returns {Summary | undefined} nothing, of nothing
 */
export function summary(times) {
  if (times.length === 0) return undefined;
  const sorted = times.toSorted((a, b) => a - b);
  return {
    p50: percentile(sorted, 0.5),
    p95: percentile(sorted, 0.95),
    p99: percentile(sorted, 0.99),
    max: percentile(sorted, 1),
  };
}

/**
 * Counts times into bins of equal width from 0 to `end`; what is `end` or more falls into one last bin without an end.
 * @param {readonly number[]} times
 * @param {number} end
 * @param {number} width of one bin
 * @returns {Bin[]}
 */
export function bins(times, end, width) {
  const inner = Math.max(1, Math.ceil(end / width - 1e-9));
  const all = Array.from({ length: inner + 1 }, (_, i) => ({
    from: i * width,
    to: i === inner ? Infinity : (i + 1) * width,
    count: 0,
  }));
  for (const time of times) {
    // Clocks tick in steps, often as wide as a bin: the small addend keeps a time on an edge in the upper bin.
    const bin = all[Math.min(inner, Math.floor(time / width + 1e-9))];
    if (bin) bin.count += 1;
  }
  return all;
}

/**
 * The step in which this browser's clock ticks: no measurement is finer. Measured, because browsers coarsen it at will.
 * @param {() => number} now
 */
export function clockStep(now = () => performance.now()) {
  let smallest = Infinity;
  let last = now();
  const end = last + 8;
  while (last < end) {
    const t = now();
    if (t > last) {
      smallest = Math.min(smallest, t - last);
      last = t;
    }
  }
  return Math.round(smallest * 1000) / 1000;
}
