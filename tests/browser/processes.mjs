// The native service and the gateway as an operator runs them: processes, started for one test and ended with it.

import { execFileSync, spawn } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** What must not outlive this process, however it ends: one handler for all, because each part of each test leaves again. @type {Set<() => void>} */
const leftovers = new Set();
process.once('exit', () => leftovers.forEach((clear) => clear()));

/** @typedef {{ process: import('node:child_process').ChildProcess, line: string, kill: (signal?: NodeJS.Signals) => Promise<void> }} Part */

/**
 * Starts a program and waits for the line of its output that `ready` accepts.
 * @param {string} program
 * @param {string[]} args
 * @param {(line: string) => boolean} ready
 * @returns {Promise<Part>}
 */
export async function start(program, args, ready) {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const stop = () => child.kill('SIGKILL');
  leftovers.add(stop);
  const ended = new Promise((resolve) => child.once('exit', resolve));
  void ended.then(() => leftovers.delete(stop));
  const line = await new Promise((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', (text) => ready(text) && resolve(text));
    child.once('error', reject);
    ended.then((code) => reject(new Error(`${program} ended with ${code} before it was ready`)));
  });
  const kill = async (signal = 'SIGKILL') => {
    child.kill(signal);
    await ended;
  };
  return { process: child, line, kill };
}

/** A service with a store and a gateway that believe each other's FALCON-1024 identity and nobody else's, a page that pins the gateway, and a folder that goes with them. */
export class World {
  /** @type {Part} */ service;
  /** @type {Part} */ gateway;
  /** Where the page is served. */
  page = '';
  /** Where the gateway takes sessions. */
  url = '';
  /** Who the gateway is. */
  falconId = '';
  /** Who the service is, and signs its files. */
  serviceId = '';
  /** What stands between the gateway and the service. @type {Part[]} */
  relays = [];
  /** Who they are, the gateway's neighbour first. @type {string[]} */
  relayIds = [];
  /** The service that wants a token, and the relay that leads to it. @type {{ id: string, relayId: string, parts: Part[] } | undefined} */
  guarded;
  /** Everything of this test on disk. */
  folder = mkdtempSync(join(tmpdir(), 'stoq-browser-'));

  get store() {
    return join(this.folder, 'store');
  }

  get serviceKey() {
    return join(this.folder, 'service.falcon.pem');
  }

  /** A copy of what the gateway serves, because the pins beside the page are this gateway's. */
  get site() {
    return join(this.folder, 'site');
  }

  /**
   * @param {string} programs the folder with `stoq` and `stoq-gateway`
   * @param {string} site what the gateway serves over HTTP
   * @param {{ relay?: boolean, hostile?: string[], guarded?: boolean }} [between] what stands between the two: a relay, and behind
   *   it one that does wrong (its program, and what it does); and whether a relay leads to another service, which wants a token
   */
  static async start(programs, site, { relay = false, hostile: [hostile, ...tricks] = [], guarded = false } = {}) {
    const world = new World();
    leftovers.add(world.#clear);
    const key = join(world.folder, 'gateway.falcon.pem');
    const keygen = (file) => execFileSync(join(programs, 'stoq'), ['keygen', file], { encoding: 'utf8' }).trim();
    world.falconId = keygen(key);
    world.serviceId = keygen(world.serviceKey);
    const [relayKey, hostileKey] = ['relay', 'hostile'].map((name) => join(world.folder, `${name}.falcon.pem`));
    const relayId = relay && keygen(relayKey);
    const hostileId = hostile && keygen(hostileKey);
    await world.startService(programs, hostileId || relayId || undefined);
    let [address, nextId] = [addressOf(world.service), world.serviceId];
    const between = async (id, program, words) => {
      const part = await start(program, words, (line) => line.startsWith('listening on '));
      world.relays.unshift(part);
      world.relayIds.unshift(id);
      [address, nextId] = [addressOf(part), id];
    };
    if (hostileId) await between(hostileId, hostile, ['--target', `stoq://${address}/`, '--target-id', nextId, '--key', hostileKey, ...tricks]);
    if (relayId) {
      const services = ['files', 'echo'].flatMap((service) => ['--service', `${service}=${nextId}@${address}`]);
      const words = ['relay', '--listen', '127.0.0.1:0', '--falcon-key', relayKey, '--client', world.falconId, '--metadata', 'place=here', ...services];
      await between(relayId, join(programs, 'stoq'), words);
    }
    cpSync(site, world.site, { recursive: true });
    if (guarded) await world.#startGuarded(programs, keygen);
    const hops = guarded ? `[hops]\n[[hops.next]]\nid = "${world.guarded.relayId}"\naddress = "${addressOf(world.guarded.parts[1])}"\n` : relayId ? `[hops]\n[[hops.next]]\nid = "${relayId}"\naddress = "${address}"\n` : '';
    const route = (service) => `[[route]]\nservice = "${service}"\nupstream = "stoq://${address}"\nfalcon = ["${nextId}"]\n`;
    const settings = join(world.folder, 'gateway.toml');
    writeFileSync(settings, `listen = "127.0.0.1:0"
      [certificate]\nnames = ["localhost", "127.0.0.1"]
      [identity]\nfalcon_key = ${JSON.stringify(key)}
      [http]\nlisten = "127.0.0.1:0"\nroot = ${JSON.stringify(world.site)}
      ${hops}\n${route('files')}\n${route('echo')}`);
    world.gateway = await start(join(programs, 'stoq-gateway'), ['--config', settings], (line) => line.startsWith('http://'));
    world.page = world.gateway.line;
    world.url = (await (await fetch(new URL('stoq.json', world.page))).json()).url;
    writeFileSync(join(world.site, 'origins.json'), JSON.stringify({ files: [world.serviceId] }));
    world.pin({ [new URL(world.url).host]: [world.falconId] });
    return world;
  }

  /**
   * Puts pins beside the page, or takes them away.
   * @param {Record<string, string[]> | undefined} pins
   */
  pin(pins) {
    const file = join(this.site, 'pins.json');
    if (pins) writeFileSync(file, JSON.stringify(pins));
    else rmSync(file, { force: true });
  }

  /**
   * @param {string} programs
   * @param {string} [client] who may come; else the gateway
   */
  async startService(programs, client = this.falconId) {
    this.service = await start(
      join(programs, 'stoq'),
      ['serve', '--listen', '127.0.0.1:0', '--dir', this.store, '--falcon-key', this.serviceKey, '--client', client],
      (line) => line.startsWith('listening on '),
    );
  }

  async stop() {
    await this.gateway.kill('SIGKILL');
    for (const relay of [...this.relays, ...this.guarded?.parts ?? []]) await relay.kill('SIGKILL');
    await this.service.kill('SIGKILL');
    this.#clear();
    leftovers.delete(this.#clear);
  }

  /** A service that takes tokens of an issuer, and the relay before it. */
  async #startGuarded(programs, keygen) {
    const stoq = join(programs, 'stoq');
    const [issuer, service, relay] = ['issuer', 'guarded', 'relay'].map((name) => join(this.folder, `${name}.falcon.pem`));
    keygen(issuer);
    const [id, relayId] = [keygen(service), keygen(relay)];
    const issuerPublic = join(this.folder, 'issuer.pub.pem');
    writeFileSync(issuerPublic, execFileSync(stoq, ['id', '--public', issuer]));
    const ready = (line) => line.startsWith('listening on ');
    const serve = ['serve', '--listen', '127.0.0.1:0', '--dir', join(this.folder, 'guarded'), '--falcon-key', service, '--client', relayId];
    const one = await start(stoq, [...serve, '--access', 'files=read', '--issuer', issuerPublic], ready);
    const lead = ['relay', '--listen', '127.0.0.1:0', '--falcon-key', relay, '--client', this.falconId];
    const other = await start(stoq, [...lead, '--service', `files=${id}@${addressOf(one)}`], ready);
    this.guarded = { id, relayId, parts: [one, other] };
    const issue = `stoq token issue --key ${issuer} --subject demo --audience ${id} --service files --permission read`;
    writeFileSync(join(this.site, 'guarded.json'), JSON.stringify({ service: 'files', route: [relayId], issue }));
    this.#issue = (holder, { service: name = 'files', life = '1h', audience = id } = {}) => execFileSync(
      stoq,
      ['token', 'issue', '--key', issuer, '--subject', 'test', '--audience', audience, '--service', name, '--permission', 'read', '--life', life, '--holder', holder],
      { encoding: 'utf8' },
    ).trim();
  }

  /** @type {(holder: string, other?: { service?: string, life?: string, audience?: string }) => string} */
  #issue = () => { throw new Error('nobody issues tokens here'); };

  /** A token of the guarded service's issuer. @param {string} holder @param {{ service?: string, life?: string, audience?: string }} [other] */
  issue(holder, other) {
    return this.#issue(holder, other);
  }

  #clear = () => rmSync(this.folder, { recursive: true, force: true });
}

/** Where a program listens, by what it says. @param {Part} part */
function addressOf(part) {
  return /^listening on (\S+) /.exec(part.line)?.[1] ?? '';
}
