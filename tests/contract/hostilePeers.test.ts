/** Peers that want to harm: whatever they say, the node serves its owner and keeps its channels. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';

import { Status } from 'nice-grpc-common';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

import { PaymentState } from '../../src/gen/lnnode/v1/lnnode.js';
import { eventually } from '../support/eventually.js';
import { startLightningWorld, type LightningWorld, type Peer } from '../support/lightningWorld.js';
import { isClosed, message, RawPeer, rawSocket } from '../support/rawPeer.js';

const KNOWN_TYPE = 40_000;
const UNKNOWN_EVEN = 40_002;
const UNKNOWN_ODD = 40_003;
const ERROR = 17;
const PING = 18;
const OPEN_CHANNEL = 32;
const ACCEPT_CHANNEL = 33;
const FUNDING_CREATED = 34;
/** The machine may be busy. */
const LONG_MS = 120_000;
const CLOSE_MS = 30_000;
const STAYS_MS = 500;
const MIB = 1024 * 1024;
const EMPTY = Buffer.alloc(0);

let world: LightningWorld;
let victim: Peer;
let friend: Peer;
const sockets: Socket[] = [];

beforeAll(async () => {
  world = await startLightningWorld(['victim', 'friend'], { more: () => `[messages]\ntypes = [${KNOWN_TYPE}]` });
  victim = world.peer('victim');
  friend = world.peer('friend');
  await world.openChannel({ from: 'friend', to: 'victim', capacitySats: 1_000_000n });
}, LONG_MS);

afterAll(async () => {
  await world.close();
});

const idOf = (peer: Peer): Buffer => Buffer.from(peer.process.ready.node_id, 'hex');
const address = (): string => victim.process.ready.p2p;

async function stranger(): Promise<RawPeer> {
  const peer = await RawPeer.connect(address(), idOf(victim));
  sockets.push(peer.socket);
  return peer;
}

async function greeted(): Promise<RawPeer> {
  const peer = await stranger();
  peer.greet();
  return peer;
}

async function bare(): Promise<Socket> {
  const socket = await rawSocket(address());
  sockets.push(socket);
  return socket;
}

/** A payment of the friend, who never lost the connection. */
async function paid(): Promise<void> {
  const { bolt11 } = await victim.client.createInvoice({ amountMsat: 1_000_000n, expirySecs: 600, description: 'x' });
  const { payment } = await friend.client.payInvoice({ bolt11, maxTotalCltvDelta: 200, timeoutSecs: 60 });
  expect(payment?.state).toBe(PaymentState.SUCCEEDED);
}

const rss = (): number =>
  Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${victim.process.pid}/status`, 'utf8'))?.[1]) * 1024;

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  expect((await victim.client.getNodeInfo({})).isSynced).toBe(true);
  const { channels } = await friend.client.listChannels({});
  expect(channels.map(({ isUsable }) => isUsable)).toEqual([true]);
});

describe('before the handshake is complete', () => {
  const badPoint = Buffer.concat([Buffer.alloc(1), Buffer.alloc(33, 0xff), Buffer.alloc(16)]);
  it.each([
    ['a megabyte of noise', randomBytes(MIB)],
    ['an HTTP request', Buffer.from(`GET / HTTP/1.1\r\nHost: ${'x'.repeat(100)}\r\n\r\n`)],
    ['a point that is none', badPoint],
    ['an unknown version', Buffer.alloc(50, 1)],
  ])('%s is answered by closing', async (_, bytes) => {
    const socket = await bare();
    socket.write(bytes);
    expect(await isClosed(socket, CLOSE_MS)).toBe(true);
  });
  it(
    'half a message and then nothing is given up after a while',
    async () => {
      const socket = await bare();
      socket.write(Buffer.alloc(49));
      expect(await isClosed(socket, CLOSE_MS)).toBe(true);
    },
    LONG_MS,
  );
  it(
    'hundreds of connections neither keep others out nor push out a peer with a channel',
    async () => {
      const idle = await Promise.all(Array.from({ length: 400 }, bare));
      const open = await eventually(
        'most of them to be closed',
        () => {
          const left = idle.filter(({ destroyed, readableEnded }) => !destroyed && !readableEnded).length;
          for (const socket of idle) socket.resume();
          return left <= 100 ? left : undefined;
        },
        LONG_MS,
      );
      expect(open).toBeGreaterThan(0);
      const peer = await greeted();
      peer.send(message(KNOWN_TYPE, Buffer.from('here')));
      await paid();
      expect(await isClosed(peer.socket, STAYS_MS)).toBe(false);
    },
    LONG_MS,
  );
  it(
    'connections that come and go by the thousand leave nothing behind',
    async () => {
      const before = rss();
      for (let round = 0; round < 40; round += 1) {
        const some = await Promise.all(Array.from({ length: 50 }, bare));
        for (const socket of some) socket.destroy();
      }
      await paid();
      expect(rss() - before).toBeLessThan(100 * MIB);
    },
    LONG_MS,
  );
});

describe('after the handshake', () => {
  const oversized = Buffer.concat([Buffer.from([0xff, 0xff]), Buffer.alloc(40)]);
  it.each<[string, (peer: RawPeer) => void]>([
    ['bytes that are not encrypted', ({ socket }) => socket.write(randomBytes(1000))],
    ['a length that is not authentic', ({ socket }) => socket.write(oversized)],
    ['a message before init', (peer) => { peer.send(message(KNOWN_TYPE, EMPTY)); }], // prettier-ignore
    ['an init that is cut off', (peer) => { peer.send(message(16, Buffer.from([0, 9, 1]))); }], // prettier-ignore
    ['an init with an unknown even feature', (peer) => { peer.send(message(16, Buffer.concat([Buffer.from([0, 0, 0, 50, 0x40]), Buffer.alloc(49)]))); }], // prettier-ignore
    ['an empty message', (peer) => { peer.send(EMPTY); }], // prettier-ignore
    ['half a type', (peer) => { peer.send(Buffer.from([0])); }], // prettier-ignore
    ['an init in two copies', (peer) => { peer.greet(); peer.greet(); }], // prettier-ignore
    ['an unknown even type', (peer) => { peer.greet(); peer.send(message(UNKNOWN_EVEN, EMPTY)); }], // prettier-ignore
    ['an unknown even type of the protocol', (peer) => { peer.greet(); peer.send(message(30_000, EMPTY)); }], // prettier-ignore
  ])('%s is answered by closing', async (_, attack) => {
    const peer = await stranger();
    attack(peer);
    expect(await isClosed(peer.socket, CLOSE_MS)).toBe(true);
  });
  it.each<[string, Buffer]>([
    ['an unknown odd type', message(UNKNOWN_ODD, randomBytes(1000))],
    ['a message of the greatest size', message(KNOWN_TYPE, randomBytes(65_533))],
    ['an unknown odd type of the greatest size', message(UNKNOWN_ODD, randomBytes(65_533))],
    ['a pong that nobody asked for', message(19, Buffer.from([0, 0]))],
    ['a warning', message(1, Buffer.concat([Buffer.alloc(32), Buffer.from([0, 2, 0x68, 0x69])]))],
  ])('%s does no harm', async (_, bytes) => {
    const peer = await greeted();
    peer.send(bytes);
    expect(await isClosed(peer.socket, STAYS_MS)).toBe(false);
  });
  it(
    'noise in every message of the protocol does no harm',
    async () => {
      const types = [
        1, 2, 17, 18, 19, 32, 33, 34, 35, 36, 38, 39, 41, 57, 64, 65, 66, 67, 68, 69, 71, 72, 73, 74, 80, 81,
      ];
      types.push(77, 128, 130, 131, 132, 133, 134, 135, 136, 256, 257, 258, 259, 261, 262, 263, 264, 265, 513);
      for (const type of types) {
        const peer = await greeted();
        peer.send(message(type, randomBytes(400)));
        peer.send(message(type, EMPTY));
      }
      await paid();
    },
    LONG_MS,
  );
  it(
    'pings that ask for great answers, never read, do not fill the memory',
    async () => {
      const ping = message(PING, Buffer.from([0xff, 0xfb, 0, 0])); // 6 bytes ask for 65,531
      const before = rss();
      for (let i = 0; i < 30; i += 1) {
        const peer = await greeted();
        peer.socket.pause();
        peer.socket.write(Buffer.concat(Array.from({ length: 5000 }, () => peer.seal(ping))));
      }
      await paid();
      await eventually('an answer', async () => (await victim.client.getNodeInfo({})).isSynced);
      expect(rss() - before).toBeLessThan(250 * MIB);
    },
    LONG_MS,
  );
  it(
    'a hundred and fifty peers at once push out each other, not the one with a channel',
    async () => {
      for (let i = 0; i < 150; i += 1) await greeted();
      await paid();
      const { peers } = await victim.client.listPeers({});
      expect(peers.length).toBeLessThanOrEqual(100);
      expect(peers.some(({ nodeId, isConnected }) => isConnected && nodeId.equals(idOf(friend)))).toBe(true);
    },
    LONG_MS,
  );
  it(
    'a flood of messages reaches a subscriber that reads, whole',
    async () => {
      const stopping = new AbortController();
      const numbers: bigint[] = [];
      const stream = victim.client.subscribeCustomMessages({ types: [] }, { signal: stopping.signal });
      const reading = (async () => {
        for await (const { sequence } of stream) numbers.push(sequence);
      })().catch((error: unknown) => error);
      await eventually('the word that the subscription stands', () => numbers.length === 1);
      const flood = async (count: number, size: number): Promise<void> => {
        const peer = await greeted();
        const payload = randomBytes(size);
        for (let i = 0; i < count; i += 1) {
          peer.send(message(KNOWN_TYPE, payload));
          if (i % 20 === 0) await turn(); // the subscriber of this process reads meanwhile
        }
      };
      await Promise.all([flood(20_000, 20), flood(1000, 65_000)]);
      await eventually('all of them', () => numbers.length === 21_001, LONG_MS);
      const [, first = 0n] = numbers;
      expect(numbers.slice(1).every((number, i) => number === first + BigInt(i))).toBe(true);
      stopping.abort();
      await reading;
      await paid();
    },
    LONG_MS,
  );
});

describe('a peer to whom a channel is opened', () => {
  const CAPACITY_SATS = 200_000n;

  beforeAll(async () => {
    const { address: ours } = await victim.client.newAddress({});
    world.chain.faucet(ours, 300_000n);
    await world.mine(1);
    await eventually('coins', freeAgain);
  });

  const freeAgain = async (): Promise<boolean> => (await victim.client.walletBalance({})).confirmedSats > CAPACITY_SATS;

  /** Lets the victim open a channel to it. @returns what became of the call, and a friendly answer to it */
  async function opening(peer: RawPeer): Promise<{ outcome: Promise<unknown>; open: Buffer; accept: Buffer }> {
    const connected = async () => (await victim.client.listPeers({})).peers.some((p) => p.nodeId.equals(peer.nodeId));
    await eventually('the peer', connected);
    const request = { nodeId: peer.nodeId, capacitySats: CAPACITY_SATS };
    const outcome = victim.client.openChannel(request).catch((error: unknown) => error);
    const open = await peer.next(OPEN_CHANNEL);
    return { outcome, open, accept: message(ACCEPT_CHANNEL, acceptance(open)) };
  }

  it('may accept and take it back in one breath', async () => {
    const peer = await greeted();
    const { outcome, open, accept } = await opening(peer);
    const gone = message(ERROR, Buffer.concat([open.subarray(32, 64), Buffer.from([0, 2, 0x68, 0x69])]));
    peer.socket.write(Buffer.concat([peer.seal(accept), peer.seal(gone)]));
    expect(await outcome).toMatchObject({ code: Status.FAILED_PRECONDITION });
    await eventually('coins that are free again', freeAgain);
  });
  it('may refuse with many words, of which few are kept', async () => {
    const peer = await greeted();
    const { outcome, open } = await opening(peer);
    const length = Buffer.from([0xea, 0x60]); // 60,000
    peer.send(message(ERROR, Buffer.concat([open.subarray(32, 64), length, Buffer.alloc(60_000, 'a')])));
    const error = await outcome;
    expect(error).toMatchObject({ code: Status.FAILED_PRECONDITION });
    expect(String(error).length).toBeLessThan(500);
  });
  it(
    'and accepts but never signs is left after a while: the call failed for good, and the coins are free',
    async () => {
      const peer = await greeted();
      const { outcome, accept } = await opening(peer);
      peer.send(accept);
      await peer.next(FUNDING_CREATED);
      const alive = setInterval(() => {
        peer.send(message(UNKNOWN_ODD, EMPTY));
      }, 1000);
      expect(await outcome).toMatchObject({ code: Status.FAILED_PRECONDITION });
      clearInterval(alive);
      const { channels } = await victim.client.listChannels({});
      expect(channels.some(({ nodeId }) => nodeId.equals(peer.nodeId))).toBe(false);
      expect(await freeAgain()).toBe(true);
    },
    LONG_MS,
  );
});

/** What pleases the opener of a channel: its own limits, any keys, the features that it named. */
function acceptance(open: Buffer): Buffer {
  const numbers = Buffer.alloc(8 * 4 + 4 + 2 + 2);
  numbers.writeBigUInt64BE(354n, 0); // dust limit
  numbers.writeBigUInt64BE(100_000_000n, 8); // in flight, msat
  numbers.writeBigUInt64BE(2_000n, 16); // reserve
  numbers.writeBigUInt64BE(1n, 24); // least HTLC
  numbers.writeUInt32BE(3, 32); // depth
  numbers.writeUInt16BE(144, 36); // delay
  numbers.writeUInt16BE(50, 38); // HTLCs
  const keysAt = 32 + 32 + 8 * 6 + 4 + 2 + 2;
  const keys = open.subarray(keysAt, keysAt + 6 * 33);
  return Buffer.concat([open.subarray(32, 64), numbers, keys, open.subarray(keysAt + 6 * 33 + 1)]);
}
