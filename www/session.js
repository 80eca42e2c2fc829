// Where the gateway is, and the page's sessions with its services.

import init, { StoqClient, StoqError } from "stoq";
import { NOBODY, clientOptions, pinnedFor, readPins } from "./pins.js";

/**
 * @typedef {import("stoq").Session} Session
 * @typedef {import("stoq").GatewayIdentity} GatewayIdentity
 * @typedef {{ url: string, certificateHashes: string[], services: string[], endpointRecord?: string }} Gateway
 * @typedef {"idle" | "connecting" | "open" | "draining" | "closed" | "failed"} LinkState
 */

/** The page was served without a gateway that it could speak to. */
export class GatewayError extends Error {
  /** @param {string} message */
  constructor(message) {
    super(message);
    this.name = "GatewayError";
    this.code = "no-gateway";
  }
}

/**
 * Reads which gateway goes with this page.
 * @returns {Promise<Gateway>}
 */
export async function readGateway() {
  const response = await fetch("./stoq.json", { cache: "no-store" }).catch(() => undefined);
  if (!response) throw new GatewayError("the file stoq.json could not be loaded: is the gateway still running?");
  if (!response.ok) throw new GatewayError(`the file stoq.json could not be loaded: the server answered ${response.status}`);
  /** @type {Partial<Gateway> | undefined} */
  const answer = await response.json().catch(() => undefined);
  if (typeof answer?.url !== "string") throw new GatewayError("the file stoq.json names no gateway");
  const { url, certificateHashes = [], services = [], endpointRecord } = answer;
  return { url, certificateHashes, services, ...(typeof endpointRecord === "string" ? { endpointRecord } : {}) };
}

/** The page's session with one service: it can be lost and opened again. Tells of each change with the event `change`. */
export class Link extends EventTarget {
  /** @type {LinkState} */
  state = "idle";
  /** The session while it can be used. @type {Session | undefined} */
  session;
  /** Where it goes, as far as known. @type {Gateway | undefined} */
  gateway;
  /** Who may speak for the gateway; nothing while that is unknown, or if the page has no pins. @type {string[] | undefined} */
  pinned;
  /** What was verified of the gateway before the session was opened. @type {GatewayIdentity | undefined} */
  security;
  /** Connect as if somebody else were pinned. */
  wrongPin = false;
  /** Why it failed, or was closed by others. @type {Error | undefined} */
  error;
  /** How long the last connect took, in ms. */
  openedIn = 0;
  /** The last session, which stays readable after its end. @type {Session | undefined} */
  last;

  /** @param {string} service */
  constructor(service) {
    super();
    this.service = service;
  }

  /**
   * Opens the session, in place of one that is there. Failures end in the state `failed`, never in a rejection.
   * @returns {Promise<Session | undefined>}
   */
  async connect() {
    const attempt = (this.#attempt += 1);
    const old = this.session;
    this.session = undefined;
    this.security = undefined;
    this.#become("connecting");
    // The attempt that was overtaken by another says nothing.
    const current = () => attempt === this.#attempt;
    try {
      await old?.close({ reason: "the page connects again" });
      const [gateway] = await Promise.all([readGateway(), init()]);
      const pins = await readPins();
      if (!current()) return undefined;
      this.gateway = gateway;
      this.pinned = pins && (this.wrongPin ? [NOBODY] : pinnedFor(pins, gateway.url));
      const client = new StoqClient(clientOptions(gateway, pins, this.wrongPin));
      const start = performance.now();
      const session = await client.connect(`${gateway.url}/stoq/v1/${this.service}`).finally(() => client.free());
      if (!current()) {
        void session.close({ reason: "the page no longer needs it" });
        return undefined;
      }
      this.openedIn = performance.now() - start;
      this.session = session;
      this.security = session.security ?? undefined;
      this.last = session;
      this.#watch(session);
      this.#become("open");
      return session;
    } catch (error) {
      if (current()) this.#become("failed", error instanceof Error ? error : new Error(String(error)));
      return undefined;
    }
  }

  /**
   * Closes the session for good.
   * @param {string} reason for the peer's logs
   */
  close(reason) {
    this.#attempt += 1;
    const { session } = this;
    this.session = undefined;
    this.#become("closed");
    return session?.close({ reason });
  }

  #attempt = 0;

  /** @param {Session} session */
  #watch(session) {
    void session.draining.then(({ name, code, grace }) => {
      const soon = new StoqError(name, code, `the gateway will close this session within ${Math.ceil(grace / 1000)} s`);
      if (this.session === session) this.#become("draining", soon);
    });
    void session.closed.then(({ name, code, reason }) => {
      if (this.session !== session) return;
      this.session = undefined;
      this.#become("closed", new StoqError(name, code, reason || "the session was closed without a reason"));
    });
  }

  /**
   * @param {LinkState} state
   * @param {Error} [error]
   */
  #become(state, error) {
    this.state = state;
    this.error = error;
    this.dispatchEvent(new Event("change"));
  }
}
