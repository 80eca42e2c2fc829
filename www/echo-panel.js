// The echo measurement as a form and two histograms.

import { announce } from "./announce.js";
import { echoDatagrams, echoMessages, echoStream } from "./echo.js";
import { codeOf } from "./explain.js";
import { copy, find, write } from "./find.js";
import { count, span, tidy } from "./format.js";
import { Histogram } from "./plot.js";
import { niceCeiling } from "./plot-scale.js";
import { showProblem } from "./problem.js";
import { STATE_WORDS } from "./session-panel.js";
import { bins, clockStep, summary } from "./statistics.js";

/**
 * @typedef {import("./session.js").Link} Link
 * @typedef {import("./echo.js").Echoes} Echoes
 * @typedef {import("./echo.js").Options} Options
 */

/** @param {Link} link */
export function echoPanel(link) {
  const step = clockStep();
  write(at("clock-note"), `This browser’s clock ticks every ${span(step)}; nothing finer can be measured here.`);
  const stream = new Result("stream", "On a stream");
  const datagrams = new Result("datagrams", "As datagrams");
  const messages = new Result("messages", "As messages");
  at("echo-results").replaceChildren(stream.element, datagrams.element, messages.element);

  const runStream = find(document, "echo-run-stream", HTMLButtonElement);
  const runDatagrams = find(document, "echo-run-datagrams", HTMLButtonElement);
  const runMessages = find(document, "echo-run-messages", HTMLButtonElement);
  const stop = find(document, "echo-stop", HTMLButtonElement);
  /** @type {AbortController | undefined} */
  let running;

  const show = () => {
    runStream.disabled = runDatagrams.disabled = runMessages.disabled = !link.session || running !== undefined;
    stop.disabled = running === undefined;
    at("echo-state").dataset.state = link.state;
    write(at("echo-state-text"), STATE_WORDS[link.state] + (link.error ? `: ${codeOf(link.error)}` : ""));
    const size = find(document, "echo-size", HTMLInputElement);
    if (link.session) size.title = `A datagram carries at most ${count(link.session.datagrams.maxSize)} bytes`;
  };

  /**
   * @param {Result} result
   * @param {typeof echoStream} measure
   */
  const run = async (result, measure) => {
    const { session } = link;
    if (!session || running || !find(document, "echo-form", HTMLFormElement).reportValidity()) return;
    running = new AbortController();
    show();
    showProblem(at("echo-error"), undefined);
    const rounds = find(document, "echo-count", HTMLInputElement).valueAsNumber;
    const size = find(document, "echo-size", HTMLInputElement).valueAsNumber;
    result.begin(rounds, size);
    try {
      const echoes = await measure(session, rounds, size, { signal: running.signal, onProgress: (n) => result.progress(n) });
      result.finish(echoes);
      drawAlike([stream, datagrams, messages], step);
    } catch (error) {
      result.giveUp();
      if (!running.signal.aborted) showProblem(at("echo-error"), error);
    }
    running = undefined;
    show();
  };

  runStream.addEventListener("click", () => run(stream, echoStream));
  runDatagrams.addEventListener("click", () => run(datagrams, echoDatagrams));
  runMessages.addEventListener("click", () => run(messages, echoMessages));
  stop.addEventListener("click", () => running?.abort());
  find(document, "echo-form", HTMLFormElement).addEventListener("submit", (event) => event.preventDefault());
  link.addEventListener("change", show);
  show();
}

/**
 * Draws all on one scale, so that they can be compared by eye. Most of the times fill the width, the rare slow ones
 * share the last bar, and no bar is finer than the clock.
 * @param {Result[]} results
 * @param {number} step of the clock, in ms
 */
function drawAlike(results, step) {
  const slow = Math.max(...results.map(({ summary }) => summary?.p99 ?? 0));
  const width = Math.max(1, Math.round(niceCeiling((slow * 1.2) / BARS) / step)) * step;
  const end = Math.max(10, Math.ceil((slow * 1.2) / width)) * width;
  const counted = results.map(({ times }) => bins(times, end, width));
  const top = Math.max(...counted.flat().map((bin) => bin.count));
  for (const [i, result] of results.entries()) result.draw(counted[i] ?? [], top);
}

/** One measurement on the page. */
class Result {
  element = copy("echo-template");
  /** Of the last measurement that was finished, in ms. @type {number[]} */
  times = [];
  /** @type {import("./statistics.js").Summary | undefined} */
  summary;
  #title;
  #histogram;
  #bar = find(this.element, "echo-progress", HTMLProgressElement);
  #rounds = 0;

  /**
   * @param {string} id told apart by tests
   * @param {string} title
   */
  constructor(id, title) {
    this.#title = title;
    this.element.dataset.measure = id;
    this.element.dataset.state = "idle";
    write(this.#at("echo-name"), title);
    this.#bar.setAttribute("aria-label", `Progress, ${title.toLowerCase()}`);
    const svg = find(this.element, "echo-histogram", SVGSVGElement);
    svg.setAttribute("aria-label", `${title}: not measured yet`);
    this.#histogram = new Histogram(svg, (ms) => tidy(span(ms)));
  }

  /**
   * @param {number} rounds
   * @param {number} size
   */
  begin(rounds, size) {
    this.#rounds = rounds;
    this.element.dataset.state = "running";
    write(this.#at("echo-what"), `${count(rounds)} × ${count(size)} bytes`);
    this.#bar.value = 0;
  }

  /** @param {number} done */
  progress(done) {
    this.#bar.value = done / this.#rounds;
  }

  giveUp() {
    this.element.dataset.state = "stopped";
    write(this.#at("echo-what"), "stopped");
  }

  /** @param {Echoes} echoes */
  finish({ times, lost }) {
    this.element.dataset.state = "done";
    const all = summary(times);
    this.times = times;
    this.summary = all;
    for (const name of FIGURES) {
      const place = this.#at(`echo-${name}`);
      write(place, all ? span(all[name]) : "–");
      place.dataset.ms = all ? String(all[name]) : "";
    }
    const lostPlace = this.#at("echo-lost");
    write(lostPlace, count(lost));
    lostPlace.dataset.count = String(lost);
    lostPlace.dataset.answered = String(times.length);
    if (!all) return;
    const words = `${this.#title}: half within ${span(all.p50)}, 95 of 100 within ${span(all.p95)}, 99 of 100 within ${span(all.p99)}, the slowest ${span(all.max)}, ${count(lost)} lost`;
    find(this.element, "echo-histogram", SVGSVGElement).setAttribute("aria-label", words);
    announce(words);
  }

  /**
   * @param {import("./statistics.js").Bin[]} counted
   * @param {number} top the count at full height
   */
  draw(counted, top) {
    const { summary } = this;
    if (!summary) return;
    this.#histogram.show(counted, FIGURES.slice(0, 3).map((name) => ({ name, at: summary[name] })), top);
  }

  /** @param {string} id */
  #at(id) {
    return find(this.element, id, HTMLElement);
  }
}

/** @type {("p50" | "p95" | "p99" | "max")[]} */
const FIGURES = ["p50", "p95", "p99", "max"];
const BARS = 60;

/** @param {string} id */
function at(id) {
  return find(document, id, HTMLElement);
}
