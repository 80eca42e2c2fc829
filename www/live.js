// What happens on the session just now: throughput and round trips, as numbers, as lines, and as movement on the path.

import { find, write } from "./find.js";
import { rate, span, tidy } from "./format.js";
import { Meter } from "./meter.js";
import { TimePlot } from "./plot.js";
import { niceBytes, niceCeiling } from "./plot-scale.js";

/** @typedef {import("./session.js").Link} Link */

/** Bytes of the bodies sent and received, for whoever moves them. */
export const traffic = {
  sent: new Meter(1000, performance.now()),
  received: new Meter(1000, performance.now()),
};

/** @param {Link} link */
export function livePlots(link) {
  const throughput = new TimePlot(find(document, "plot-throughput", SVGSVGElement), {
    window: WINDOW,
    lines: ["sent", "received"],
    ceiling: (value) => niceBytes(Math.max(value, LOWEST_CEILING)),
    format: (value) => tidy(rate(value)),
  });
  const roundTrip = new TimePlot(find(document, "plot-rtt", SVGSVGElement), {
    window: WINDOW,
    lines: ["rtt"],
    ceiling: niceCeiling,
    format: (value) => tidy(span(value)),
  });
  const path = find(document, "path", HTMLElement);

  setInterval(() => {
    const now = performance.now();
    const sent = traffic.sent.rate(now);
    const received = traffic.received.rate(now);
    throughput.push(now, [sent, received]);
    write(find(document, "rate-sent", HTMLElement), rate(sent));
    write(find(document, "rate-received", HTMLElement), rate(received));
    path.dataset.flow = sent > 0 ? (received > 0 ? "both" : "up") : received > 0 ? "down" : "none";
    if (!document.hidden) {
      throughput.draw(now);
      roundTrip.draw(now);
    }
  }, THROUGHPUT_EVERY);

  let waiting = false;
  setInterval(async () => {
    // One ping at a time: a slow answer shows as a slow answer, not as many.
    if (waiting) return;
    waiting = true;
    const ms = await link.session?.ping().catch(() => undefined);
    waiting = false;
    roundTrip.push(performance.now(), [ms]);
    write(find(document, "rtt", HTMLElement), ms === undefined ? "–" : span(ms));
  }, PING_EVERY);
}

const WINDOW = 60_000;
/** The axis never ends below 1 MiB/s, so that a trickle does not look like a flood. */
const LOWEST_CEILING = 2 ** 20;
const THROUGHPUT_EVERY = 250;
const PING_EVERY = 500;
