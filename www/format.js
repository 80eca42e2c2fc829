// Values as people read them. Numbers use one locale, because the page is written in one language.

const number = (/** @type {number} */ digits) =>
  new Intl.NumberFormat("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
const whole = number(0);
const tenths = number(1);
const hundredths = number(2);
const date = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

/**
 * A size in binary units, to three figures: `0 B`, `1.5 KiB`, `256 MiB`.
 * @param {number} count
 */
export function bytes(count) {
  return tidy(steadyBytes(count));
}

/**
 * A speed, always with three figures, so that it does not dance while it changes: `1.50 KiB/s`.
 * @param {number} perSecond bytes each second
 */
export function rate(perSecond) {
  return `${steadyBytes(perSecond)}/s`;
}

/**
 * Drops zeros after the point: `1.50 ms` becomes `1.5 ms`. For numbers that stand still.
 * @param {string} words
 */
export function tidy(words) {
  return words.replace(/(\.\d*?)0+(?=\D|$)/, "$1").replace(/\.(?=\D|$)/, "");
}

/**
 * A measured span of time: `0.42 ms`, `12.3 ms`, `1.20 s`.
 * @param {number} ms
 */
export function span(ms) {
  return ms < 999.5 ? `${figures(ms)} ms` : `${figures(ms / 1000)} s`;
}

/**
 * A time to wait, rounded as a person would: `3 s`, `2 min 5 s`, `1 h 4 min`.
 * @param {number} seconds
 */
export function wait(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return s % 60 === 0 ? `${s / 60} min` : `${Math.floor(s / 60)} min ${s % 60} s`;
  const minutes = Math.round(s / 60);
  return `${whole.format(Math.floor(minutes / 60))} h ${minutes % 60} min`;
}

/**
 * A part of a whole; nothing of nothing is complete.
 * @param {number} part
 * @param {number} all
 */
export function percent(part, all) {
  const share = all === 0 ? 1 : part / all;
  // Rounded down: 100 % stands only where all is done.
  return `${Math.floor(Math.min(1, share) * 100)} %`;
}

/** @param {number} unixMilliseconds */
export function when(unixMilliseconds) {
  return date.format(unixMilliseconds);
}

/** @param {number} value */
export function count(value) {
  return whole.format(value);
}

/** @param {Uint8Array} data */
export function hex(data) {
  return Array.from(data, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * Both ends of a hash, for places where the whole is a click away.
 * @param {string} hash hexadecimal digits
 */
export function shortHash(hash) {
  return hash.length <= 20 ? hash : `${hash.slice(0, 8)}…${hash.slice(-8)}`;
}

/**
 * Both ends of a FALCON identity, with the word that they all begin with.
 * @param {string} id
 */
export function shortId(id) {
  return id.length <= 25 ? id : `${id.slice(0, 13)}…${id.slice(-8)}`;
}

/**
 * A hash in groups of eight digits, which the eye can compare.
 * @param {string} hash hexadecimal digits
 */
export function hashGroups(hash) {
  return hash.match(/.{1,8}/g) ?? [];
}

/** @param {number} value three significant figures below 100, whole above */
function figures(value) {
  if (value >= 99.95) return whole.format(value);
  if (value >= 9.995) return tenths.format(value);
  return hundredths.format(value);
}

/** @param {number} count bytes */
function steadyBytes(count) {
  let unit = 0;
  let value = count;
  // 1023.95 would be shown as 1,024: the next unit says it shorter.
  while (value >= 1023.5 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  if (unit === 0) return `${whole.format(value)} B`;
  return `${figures(value)} ${UNITS[unit]}`;
}
