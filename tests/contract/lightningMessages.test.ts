/** Peers and custom messages between two real nodes. */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

import { Status } from 'nice-grpc';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { PeerEvent, type SubscribeCustomMessagesResponse } from '../../src/gen/lnnode/v1/lnnode.js';
import { eventually } from '../support/eventually.js';
import { startLightningWorld, type LightningWorld, type Peer } from '../support/lightningWorld.js';

/** Known from the configuration; all others only while someone asks for them. */
const CONFIGURED = [32_768, 40_001, 65_535];
const EVEN = 50_002;
const ODD = 50_001;
/** The machine may be busy. */
const LONG_MS = 90_000;

let world: LightningWorld;
let alice: Peer;
let bob: Peer;

beforeAll(async () => {
  world = await startLightningWorld(['alice', 'bob'], { more: () => `[messages]\ntypes = [${CONFIGURED.join(', ')}]` });
  alice = world.peer('alice');
  bob = world.peer('bob');
  await connect();
}, LONG_MS);

afterAll(async () => {
  await world.close();
});

const idOf = (peer: Peer): Buffer => Buffer.from(peer.process.ready.node_id, 'hex');
const connect = () => alice.client.connectPeer({ nodeId: idOf(bob), address: bob.process.ready.p2p });
const send = (type: number, payload: Buffer = Buffer.from('hello'), from = alice, to = bob) =>
  from.client.sendCustomMessage({ nodeId: idOf(to), type, payload });
const peersOf = async ({ client }: Peer) => (await client.listPeers({})).peers;
const isConnected = async (peer: Peer, other: Peer): Promise<boolean> =>
  (await peersOf(peer)).some(({ nodeId, isConnected: isUp }) => isUp && nodeId.equals(idOf(other)));

/** What a stream gave so far, and its end. */
function collect<T>(start: (signal: AbortSignal) => AsyncIterable<T>) {
  const stopping = new AbortController();
  const seen: T[] = [];
  const stream = start(stopping.signal);
  const ended = (async () => {
    for await (const item of stream) seen.push(item);
  })().catch((error: unknown) => error);
  return {
    seen,
    ended,
    stop: async () => {
      stopping.abort();
      await ended;
    },
  };
}

/** A subscription that stands. */
async function listen(types: number[], peer = bob) {
  const { seen, ...rest } = collect((signal) => peer.client.subscribeCustomMessages({ types }, { signal }));
  const messages = (): SubscribeCustomMessagesResponse[] => seen.slice(1);
  await eventually('the word that the subscription stands', () => seen.length > 0);
  expect(seen[0]).toMatchObject({ sequence: 0n, type: 0 });
  const got = (count: number) => eventually(`${count} messages`, () => messages().length >= count, LONG_MS);
  return { ...rest, messages, got };
}

describe('a custom message', () => {
  it.each(CONFIGURED)('of the configured type %i arrives as it was sent, also back', async (type) => {
    const [atBob, atAlice] = [await listen([], bob), await listen([], alice)];
    const payload = randomBytes(100);
    await send(type, payload);
    await atBob.got(1);
    await send(type, payload, bob, alice);
    await atAlice.got(1);
    expect(atBob.messages()).toMatchObject([{ nodeId: idOf(alice), type, payload }]);
    expect(atAlice.messages()).toMatchObject([{ nodeId: idOf(bob), type, payload }]);
    await Promise.all([atBob.stop(), atAlice.stop()]);
  });
  it.each([0, 1, 65_533])('may have %i bytes', async (length) => {
    const inbox = await listen([]);
    const payload = randomBytes(length);
    await send(65_535, payload);
    await inbox.got(1);
    expect(inbox.messages()[0]?.payload.equals(payload)).toBe(true);
    await inbox.stop();
  });
  it.each([
    ['payload', 65_535, 65_534],
    ['type', 32_767, 1],
    ['type', 65_536, 1],
    ['type', 17, 1],
  ])('with a wrong %s (type %i, %i bytes) is refused', async (field, type, length) => {
    const call = send(type, Buffer.alloc(length));
    await expect(call).rejects.toMatchObject({
      code: Status.INVALID_ARGUMENT,
      details: expect.stringContaining(field) as string,
    });
  });
  it('to nobody is refused', async () => {
    const call = alice.client.sendCustomMessage({ nodeId: idOf(alice), type: ODD });
    await expect(call).rejects.toMatchObject({ code: Status.FAILED_PRECONDITION });
    const noPoint = alice.client.sendCustomMessage({ nodeId: Buffer.alloc(33, 5), type: ODD });
    await expect(noPoint).rejects.toMatchObject({ code: Status.INVALID_ARGUMENT });
  });
  it(
    'follows the one before it: thousands arrive in the order of the calls, without a gap in the numbers',
    async () => {
      const inbox = await listen([]);
      const count = 3000;
      for (let first = 0; first < count; first += 100) {
        const calls = Array.from({ length: 100 }, (_, i) => send(40_001, Buffer.from(String(first + i))));
        await Promise.all(calls);
      }
      await inbox.got(count);
      const messages = inbox.messages();
      expect(messages.map(({ payload }) => Number(payload.toString()))).toEqual([...Array(count).keys()]);
      const start = messages[0]?.sequence ?? 0n;
      expect(start).toBeGreaterThan(0n);
      expect(messages.every(({ sequence }, i) => sequence === start + BigInt(i))).toBe(true);
      await inbox.stop();
    },
    LONG_MS,
  );
  it(
    'of the greatest size arrives many times over, however full the sockets are',
    async () => {
      const inbox = await listen([]);
      const payload = randomBytes(65_533);
      let sent = 0;
      while (sent < 150) {
        const isQueued = await send(40_001, payload).then(
          () => true,
          (error: unknown) => {
            expect(error).toMatchObject({ code: Status.RESOURCE_EXHAUSTED });
            return false;
          },
        );
        if (isQueued) sent += 1;
        else await sleep(5);
      }
      await inbox.got(150);
      expect(inbox.messages().every((message) => message.payload.equals(payload))).toBe(true);
      await inbox.stop();
    },
    LONG_MS,
  );
});

describe('a type', () => {
  it('that is odd and unknown is ignored', async () => {
    await send(ODD);
    const inbox = await listen([]);
    await send(32_768);
    await inbox.got(1);
    expect(inbox.messages()).toHaveLength(1);
    expect(await isConnected(bob, alice)).toBe(true);
    await inbox.stop();
  });
  it(
    'that is even and unknown disconnects its sender, who comes back',
    async () => {
      const events = collect((signal) => bob.client.subscribePeerEvents({}, { signal }));
      await eventually('the first event', () => events.seen.length === 1);
      await send(EVEN);
      await eventually('the peer to be back', () => events.seen.length >= 3, LONG_MS);
      expect(events.seen.map(({ event }) => event)).toEqual([PeerEvent.ONLINE, PeerEvent.OFFLINE, PeerEvent.ONLINE]);
      expect(events.seen.every(({ nodeId }) => nodeId.equals(idOf(alice)))).toBe(true);
      await events.stop();
      await eventually('alice to know it', () => isConnected(alice, bob));
    },
    LONG_MS,
  );
  it(
    'is known while someone asks for it, and only then',
    async () => {
      const first = await listen([EVEN, EVEN]);
      const second = await listen([EVEN, ODD]);
      await send(EVEN);
      await Promise.all([first.got(1), second.got(1)]);
      await first.stop();
      await send(EVEN);
      await send(ODD);
      await second.got(3);
      expect(second.messages().map(({ type }) => type)).toEqual([EVEN, EVEN, ODD]);
      expect(await isConnected(bob, alice)).toBe(true);
      await second.stop();
      const events = collect((signal) => bob.client.subscribePeerEvents({}, { signal }));
      await eventually('alice', () => events.seen.length === 1);
      await send(EVEN);
      await eventually('the sender to be gone and back', () => events.seen.length >= 3, LONG_MS);
      await events.stop();
      await eventually('alice to know it', () => isConnected(alice, bob));
    },
    LONG_MS,
  );
  it('that nobody asked for does not reach a subscriber', async () => {
    const [narrow, wide] = [await listen([65_535]), await listen([])];
    await send(32_768);
    await send(65_535);
    await Promise.all([narrow.got(1), wide.got(2)]);
    expect(narrow.messages().map(({ type }) => type)).toEqual([65_535]);
    expect(narrow.messages()[0]?.sequence).toBe(wide.messages()[1]?.sequence);
    await Promise.all([narrow.stop(), wide.stop()]);
  });
  it.each([[[1]], [[32_767]], [[65_536]], [Array.from({ length: 101 }, () => 40_000)]])(
    'outside the range, or too many of them, are refused (%#)',
    async (types) => {
      const stream = bob.client.subscribeCustomMessages({ types });
      await expect(stream[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: Status.INVALID_ARGUMENT });
    },
  );
});

describe('a subscriber', () => {
  it(
    'that does not read loses its place with a word, not messages in silence; others get everything',
    async () => {
      const reader = await listen([]);
      const stuck = bob.client.subscribeCustomMessages({ types: [40_001, EVEN] })[Symbol.asyncIterator]();
      await stuck.next();
      const payload = Buffer.alloc(60_000);
      const count = 700; // 42 MB
      for (let sent = 0; sent < count; sent += 1) {
        await eventually(
          'room in the queue',
          () =>
            send(40_001, payload).then(
              () => true,
              () => false,
            ),
          LONG_MS,
        );
      }
      await reader.got(count);
      const numbers: bigint[] = [];
      const end = await (async () => {
        for (;;) {
          const { value, done } = (await stuck.next()) as IteratorResult<SubscribeCustomMessagesResponse, undefined>;
          if (done === true) return undefined;
          numbers.push(value.sequence);
        }
      })().catch((error: unknown) => error);
      expect(end).toMatchObject({ code: Status.RESOURCE_EXHAUSTED });
      expect(numbers.length).toBeLessThan(count);
      expect(numbers.every((number, i) => i === 0 || number === (numbers[i - 1] ?? 0n) + 1n)).toBe(true);
      expect(reader.messages()).toHaveLength(count);
      await reader.stop();
    },
    LONG_MS,
  );
});

describe('a peer', () => {
  it(
    'that does not read fills its own queue and nothing else',
    async () => {
      bob.process.freeze(true);
      const payload = Buffer.alloc(65_000);
      let error: unknown;
      for (let i = 0; i < 2000 && error === undefined; i += 1) {
        error = await send(65_535, payload).then(
          () => undefined,
          (refusal: unknown) => refusal,
        );
      }
      bob.process.freeze(false);
      expect(error).toMatchObject({ code: Status.RESOURCE_EXHAUSTED });
      expect((await alice.client.getNodeInfo({})).isSynced).toBe(true);
      await eventually('the connection', () => isConnected(alice, bob), LONG_MS);
      await eventually(
        'room again',
        () =>
          send(65_535, Buffer.from('again')).then(
            () => true,
            () => false,
          ),
        LONG_MS,
      );
    },
    LONG_MS,
  );
  it(
    'is listed with its address, and found again after both have restarted',
    async () => {
      const entry = { nodeId: idOf(bob), address: bob.process.ready.p2p, isConnected: true };
      expect(await peersOf(alice)).toEqual([entry]);
      expect(await peersOf(bob)).toEqual([{ nodeId: idOf(alice), address: '', isConnected: true }]);
      const events = collect((signal) => alice.client.subscribePeerEvents({}, { signal }));
      await eventually('the first event', () => events.seen.length === 1);
      await world.halt('bob', 'SIGKILL');
      await eventually('the peer to be missed', () => events.seen.length === 2, LONG_MS);
      expect(await peersOf(alice)).toEqual([{ ...entry, isConnected: false }]);
      await expect(send(65_535)).rejects.toMatchObject({ code: Status.FAILED_PRECONDITION });
      await world.resume('bob');
      await eventually('the peer to be back', () => events.seen.length === 3, LONG_MS);
      expect(events.seen.map(({ event }) => event)).toEqual([PeerEvent.ONLINE, PeerEvent.OFFLINE, PeerEvent.ONLINE]);
      await world.restart('alice', 'SIGKILL');
      await eventually('the connection', () => isConnected(alice, bob), LONG_MS);
      expect(await peersOf(alice)).toEqual([entry]);
      expect(await events.ended).toBeDefined();
    },
    LONG_MS,
  );
  it(
    'that is left is forgotten, also over a restart',
    async () => {
      await alice.client.disconnectPeer({ nodeId: idOf(bob) });
      expect(await peersOf(alice)).toEqual([]);
      await eventually('the other side to notice', async () => (await peersOf(bob)).length === 0);
      const again = alice.client.disconnectPeer({ nodeId: idOf(bob) });
      await expect(again).rejects.toMatchObject({ code: Status.NOT_FOUND });
      await world.restart('alice', 'SIGTERM');
      await sleep(1000); // longer than the first pause before a reconnect
      expect(await peersOf(alice)).toEqual([]);
      await connect();
      expect(await isConnected(alice, bob)).toBe(true);
    },
    LONG_MS,
  );
  it(
    'that only dialled us can be left too',
    async () => {
      await bob.client.disconnectPeer({ nodeId: idOf(alice) });
      await eventually('it to come back by itself', () => isConnected(bob, alice), LONG_MS);
      await eventually('both to know it', () => isConnected(alice, bob), LONG_MS);
    },
    LONG_MS,
  );
  it(
    'that is away can be left: nothing dials it any more',
    async () => {
      await world.halt('bob', 'SIGTERM');
      await eventually('it to be missed', async () => !(await isConnected(alice, bob)));
      await alice.client.disconnectPeer({ nodeId: idOf(bob) });
      await world.resume('bob');
      await sleep(1000); // longer than the pause between two attempts
      expect(await peersOf(bob)).toEqual([]);
      await connect();
    },
    LONG_MS,
  );
  it(
    'with channels is left only by force',
    async () => {
      await world.openChannel({ from: 'alice', to: 'bob', capacitySats: 100_000n });
      const asked = alice.client.disconnectPeer({ nodeId: idOf(bob) });
      await expect(asked).rejects.toMatchObject({ code: Status.FAILED_PRECONDITION });
      expect(await isConnected(alice, bob)).toBe(true);
      await alice.client.disconnectPeer({ nodeId: idOf(bob), isForced: true });
      expect(await peersOf(alice)).toEqual([]);
      await connect();
      await world.allUsable();
    },
    LONG_MS,
  );
  it.each(['', 'nohost', ':9735', 'host:0', 'host:65536', 'host:x', 'x'.repeat(301)])(
    'at "%s" cannot be dialled, and is not remembered',
    async (address) => {
      const call = bob.client.connectPeer({
        nodeId: Buffer.from('0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798', 'hex'),
        address,
      });
      await expect(call).rejects.toMatchObject({ code: Status.INVALID_ARGUMENT });
      expect(await peersOf(bob)).toHaveLength(1);
    },
  );
});
