// Compiled by `tsc --noEmit`, never run: the declared types against the written code, and against how they are used.

import init, {
  Session,
  Sha256,
  StoqClient,
  StoqError,
  generateHolderKey,
  holderPublicKey,
  type BidirectionalStream,
  type ClientOptions,
  type CloseInfo,
  type Datagrams,
  type ErrorCode,
  type GatewayIdentity,
  type ReceiveStream,
  type SendStream,
  type SerialStore,
  type SessionStats,
  type VerifiedBidirectionalStream,
  type VerifiedDatagramItem,
  type VerifiedDatagrams,
  type VerifiedItem,
  type VerifiedReceiveStream,
  verifyEndpointRecord,
} from 'stoq';
import type * as written from '../js/classes.js';

/** What is declared is there: an object of the written class serves where the declared one is asked for. */
export function declaredIsWritten(
  client: written.StoqClient,
  session: written.Session,
  stream: written.BidirectionalStream,
  send: written.SendStream,
  receive: written.ReceiveStream,
  datagrams: written.Datagrams,
  hash: written.Sha256,
  error: written.StoqError,
  verified: written.VerifiedBidirectionalStream,
  verifiedReceive: written.VerifiedReceiveStream,
  verifiedDatagrams: written.VerifiedDatagrams,
): [StoqClient, Session, BidirectionalStream, SendStream, ReceiveStream, Datagrams, Sha256, StoqError, VerifiedBidirectionalStream, VerifiedReceiveStream, VerifiedDatagrams] {
  return [client, session, stream, send, receive, datagrams, hash, error, verified, verifiedReceive, verifiedDatagrams];
}

/** The other way round: what is written, beyond what wasm-bindgen gives every class, is declared. */
type Undeclared<Written, Declared> = Exclude<keyof Written, keyof Declared | 'free' | typeof Symbol.dispose>;
type None<T extends never> = T;
export type NothingIsHidden = [
  None<Undeclared<written.StoqClient, StoqClient>>,
  None<Undeclared<written.Session, Session>>,
  None<Undeclared<written.BidirectionalStream, BidirectionalStream>>,
  None<Undeclared<written.SendStream, SendStream>>,
  None<Undeclared<written.ReceiveStream, ReceiveStream>>,
  None<Undeclared<written.Datagrams, Datagrams>>,
  None<Undeclared<written.Sha256, Sha256>>,
  None<Undeclared<written.StoqError, StoqError>>,
  None<Undeclared<written.VerifiedBidirectionalStream, VerifiedBidirectionalStream>>,
  None<Undeclared<written.VerifiedReceiveStream, VerifiedReceiveStream>>,
  None<Undeclared<written.VerifiedDatagrams, VerifiedDatagrams>>,
];

export async function use(file: Blob): Promise<CloseInfo> {
  await init();
  await init(new URL('https://example.org/stoq_wasm_bg.wasm'));
  const options: ClientOptions = { certificateHashes: ['00'.repeat(32), new Uint8Array(32)], congestionControl: 'low-latency' };
  const session = await new StoqClient(options).connect('https://localhost:4433/stoq/v1/files');
  const stream: BidirectionalStream = await session.openBidirectionalStream();
  await file.stream().pipeTo(stream.writable);
  const hash = new Sha256();
  for await (const chunk of stream.readable) hash.update(chunk);
  const bytes: Uint8Array | undefined = await stream.receive.read();
  await session.datagrams.send(bytes ?? hash.digest());
  const stats: SessionStats = session.stats();
  const rtt: number | undefined = stats.path?.rtt ?? stats.pingRtt;
  try {
    await stream.send.reset(rtt);
  } catch (error) {
    if (error instanceof StoqError && error.code === 'session-closed') console.log(error.number);
  }
  const info = await session.close({ code: 0, reason: 'done' });
  const name: ErrorCode = info.name;
  console.log(name);
  return session.closed;
}

/** Stores that people have at hand. */
export const stores: SerialStore[] = [
  new Map<string, string>(),
  { get: (key) => localStorage.getItem(key), set: (key, serial) => localStorage.setItem(key, serial) },
  { get: async () => null, set: async () => {} },
];

export async function pinned(record: Uint8Array): Promise<bigint> {
  const pins = { 'gateway.example:4433': 'stoq1…', localhost: ['stoq1…', 'stoq1…'] } as const;
  const identity: GatewayIdentity = verifyEndpointRecord(record, { authority: 'gateway.example', pins: pins.localhost, now: new Date(), lastSerial: '7' });
  for (const endpointRecord of [record, record.slice().buffer, new URL('https://gateway.example/record'), './record']) {
    const options: ClientOptions = { pins, endpointRecord, serials: new Map<string, string>() };
    const { security } = await new StoqClient(options).connect('https://gateway.example:4433/stoq/v1/files');
    console.log(security?.certificateHashes[0]?.length, security?.expiry.toISOString());
  }
  return BigInt(identity.serial);
}

export async function verified(session: Session, origin: string): Promise<[Uint8Array[], string | undefined]> {
  const stream = await session.openVerifiedBidirectionalStream({ origins: [origin], delivery: 'pending', algorithm: 'sha-256' });
  await stream.send.write(new Uint8Array(1));
  const pending: Uint8Array[] = [];
  let signer: string | undefined;
  try {
    for await (const item of stream.readable) {
      if (item.data) pending.push(item.data);
      else signer = item.signer;
    }
  } catch (error) {
    if (error instanceof StoqError && error.sequence !== undefined) pending.length = error.sequence;
  }
  const other: VerifiedReceiveStream = await session.acceptVerifiedUnidirectionalStream({ origins: origin });
  const item: VerifiedItem | undefined = await other.read();
  console.log(item?.state, session.stats().refused['bad-token'], stream.channel);
  const send: SendStream = await session.openVerifiedUnidirectionalStream({ algorithm: 'blake3' });
  await send.finish();
  return [pending, signer];
}

export async function datagrams(session: Session, origin: string): Promise<number | undefined> {
  const verified: VerifiedDatagrams = session.verifiedDatagrams({ origins: origin, delivery: 'pending' });
  await verified.send(new Uint8Array(verified.maxSize));
  for await (const item of verified.readable) {
    const any: VerifiedDatagramItem = item;
    if (item.data) console.log(item.sequence, item.data.length);
    else if (item.state === 'verified') console.log(item.signer.length);
    else if (item.state === 'forged') return item.sequence;
    else console.log(any.state);
  }
  return undefined;
}

export async function routed(client: StoqClient, relays: string[]): Promise<Date | undefined> {
  const session = await client.connect('https://gateway.example/stoq/v1/files', { route: relays });
  return session.hops[0]?.timestamp;
}

export async function permitted(client: StoqClient, token: string): Promise<string> {
  const pair: CryptoKeyPair = await generateHolderKey();
  await client.connect('https://gateway.example/stoq/v1/files', { accessTokens: [token, new Uint8Array()], holderKeys: [pair] });
  await client.connect('https://gateway.example/stoq/v1/files', { accessTokens: token, holderKeys: pair });
  return holderPublicKey(pair);
}

export function misuse(session: Session, error: StoqError): void {
  // @ts-expect-error Sessions come from a client.
  new Session();
  // @ts-expect-error There is no such code.
  if (error.code === 'no-such-code') return;
  // @ts-expect-error Text is encoded by the caller.
  void session.datagrams.send('text');
  // @ts-expect-error What a session says of itself cannot be changed.
  session.url = '';
  // @ts-expect-error Serials are text: numbers do not hold them.
  new StoqClient({ pins: {}, serials: new Map<string, number>() });
  // @ts-expect-error Nothing is verified of nobody in particular.
  verifyEndpointRecord(new Uint8Array(), { authority: 'gateway.example' });
  // @ts-expect-error There is no such way to hash.
  void session.openVerifiedBidirectionalStream({ algorithm: 'md5' });
  // @ts-expect-error Datagrams answer nothing.
  session.verifiedDatagrams({ partialAnswers: true });
  // @ts-expect-error There is no such option.
  new StoqClient({ certificateHash: '' });
}
