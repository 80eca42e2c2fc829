// Two hashes as a picture: a bar for each byte, ours upward, theirs downward. Equal hashes mirror each other.

const BYTES = 32;
const STEP = 8;
const MIDDLE = 32;
const TALL = 29;

/**
 * @param {SVGSVGElement} svg with a view box of 256 by 64
 * @param {string} ours 64 hexadecimal digits
 * @param {string} theirs
 */
export function drawFingerprint(svg, ours, theirs) {
  const bars = Array.from({ length: BYTES }, (_, i) => {
    const up = byteAt(ours, i);
    const down = byteAt(theirs, i);
    const same = up === down ? "same" : "other";
    return [bar(i, MIDDLE - 0.5 - height(up), height(up), same), bar(i, MIDDLE + 0.5, height(down), same)];
  });
  svg.replaceChildren(...bars.flat());
}

/**
 * @param {string} hash
 * @param {number} i
 */
function byteAt(hash, i) {
  return Number.parseInt(hash.slice(2 * i, 2 * i + 2), 16) || 0;
}

/** @param {number} byte a byte of zero is still seen */
function height(byte) {
  return 2 + (byte / 255) * TALL;
}

/**
 * @param {number} i
 * @param {number} y
 * @param {number} tall
 * @param {string} name
 */
function bar(i, y, tall, name) {
  const rect = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  for (const [key, value] of Object.entries({ x: i * STEP + 1, y, width: STEP - 2, height: tall, class: name })) {
    rect.setAttribute(key, String(value));
  }
  return rect;
}
