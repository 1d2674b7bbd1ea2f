/** The on-chain half of the node: closing channels, and where their coins are at every moment. */
import { Transaction } from 'bitcoinjs-lib';
import { Status } from 'nice-grpc';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { displayHex, hex, txid } from '../../src/core/units.js';
import { ChannelState, type Channel } from '../../src/gen/lnnode/v1/lnnode.js';
import { BitcoinRpcError, RPC_CODES } from '../../src/sandbox/bitcoin/rpcError.js';
import { eventually } from '../support/eventually.js';
import { startLightningWorld, type LightningWorld, type Peer } from '../support/lightningWorld.js';

const CAPACITY = 1_000_000n;
const PUSHED = 300_000n;
/** Generous: what a closing and a sweep cost together here. */
const MOST_FEES = 5_000n;

let world: LightningWorld;
let opener: Peer;
let acceptor: Peer;

beforeAll(async () => {
  world = await startLightningWorld(['opener', 'acceptor']);
  opener = world.peer('opener');
  acceptor = world.peer('acceptor');
});

afterAll(async () => {
  await world.close();
});

const channelsOf = async ({ client }: Peer): Promise<Channel[]> => (await client.listChannels({})).channels;
const balanceOf = ({ client }: Peer) => client.walletBalance({});
const stateIs = (peer: Peer, state: ChannelState): Promise<Channel> =>
  eventually(`a channel in state ${state}`, async () =>
    (await channelsOf(peer)).find((channel) => channel.state === state),
  );
const isGone = (peer: Peer): Promise<unknown> =>
  eventually('channel is gone', async () => (await channelsOf(peer)).length === 0);
const mempoolHas = (count: number): Promise<unknown> =>
  eventually(`${count} in the mempool`, () => world.chain.mempoolTxids().length >= count);

async function newChannel(): Promise<Channel> {
  await world.openChannel({ from: 'opener', to: 'acceptor', capacitySats: CAPACITY, pushMsat: PUSHED * 1000n });
  return stateIs(opener, ChannelState.READY);
}

describe('a channel', () => {
  it('that nobody knows cannot be closed', async () => {
    const call = opener.client.closeChannel({ channelId: Buffer.alloc(32, 7) });
    await expect(call).rejects.toMatchObject({ code: Status.NOT_FOUND });
  });
  it('closed together comes back to both sides, and repeating the call is safe', async () => {
    const channel = await newChannel();
    expect(channel).toMatchObject({ hasAnchors: false, isAnnounced: false, isOutbound: true, closeReason: '' });
    const before = await Promise.all([opener, acceptor].map(balanceOf));
    const { channelId } = channel;
    await opener.client.closeChannel({ channelId });
    await opener.client.closeChannel({ channelId });
    for (const peer of [opener, acceptor]) {
      const closed = await stateIs(peer, ChannelState.SWEEPING);
      expect(closed).toMatchObject({ channelId, isUsable: false, capacityMsat: CAPACITY * 1000n });
      expect(closed.closeReason).toContain('CooperativeClosure');
    }
    await mempoolHas(1);
    for (const [peer, share] of [
      [opener, CAPACITY - PUSHED],
      [acceptor, PUSHED],
    ] as const) {
      const { sweepingSats } = await balanceOf(peer);
      expect(share - sweepingSats).toBeGreaterThanOrEqual(0n);
      expect(share - sweepingSats).toBeLessThan(MOST_FEES);
    }
    await world.restart('opener', 'SIGKILL');
    await stateIs(opener, ChannelState.SWEEPING);
    await world.mine(6);
    await mempoolHas(2);
    await world.mine(1);
    for (const peer of [opener, acceptor]) await isGone(peer);
    const after = await Promise.all([opener, acceptor].map(balanceOf));
    const gained = after.map(({ confirmedSats }, index) => confirmedSats - (before[index]?.confirmedSats ?? 0n));
    expect(gained[0]).toBeGreaterThan(CAPACITY - PUSHED - MOST_FEES);
    expect(gained[1]).toBeGreaterThan(PUSHED - MOST_FEES);
    expect(after.map(({ sweepingSats }) => sweepingSats)).toEqual([0n, 0n]);
    await opener.client.closeChannel({ channelId });
  });
  it('is closed by force when the peer is away, and comes back after the delay', async () => {
    const { channelId } = await newChannel();
    await world.halt('acceptor', 'SIGKILL');
    await eventually('the peer to be missed', async () => !(await channelsOf(opener)).some(({ isUsable }) => isUsable));
    const together = opener.client.closeChannel({ channelId });
    await expect(together).rejects.toMatchObject({ code: Status.FAILED_PRECONDITION });
    expect((await stateIs(opener, ChannelState.READY)).channelId).toEqual(channelId);
    const before = await balanceOf(opener);
    await opener.client.closeChannel({ channelId, isForced: true });
    await opener.client.closeChannel({ channelId, isForced: true });
    expect((await stateIs(opener, ChannelState.SWEEPING)).closeReason).toContain('HolderForceClosed');
    await mempoolHas(1);
    await world.mine(20);
    expect((await balanceOf(opener)).sweepingSats).toBeGreaterThan(CAPACITY - PUSHED - MOST_FEES);
    await world.mine(124);
    await mempoolHas(1);
    const onItsWay = await balanceOf(opener);
    expect(onItsWay.sweepingSats).toBe(0n);
    expect(onItsWay.unconfirmedSats).toBeGreaterThan(CAPACITY - PUSHED - MOST_FEES);
    expect(onItsWay.confirmedSats).toBe(before.confirmedSats);
    await stateIs(opener, ChannelState.SWEEPING);
    await world.mine(1);
    await isGone(opener);
    const after = await balanceOf(opener);
    expect(after.confirmedSats - before.confirmedSats).toBeGreaterThan(CAPACITY - PUSHED - MOST_FEES);
    await world.resume('acceptor');
    await world.caughtUp();
    await mempoolHas(1);
    await world.mine(1);
    await isGone(acceptor);
  });
  it('is still gone after a reorg in which its sweep confirms again', async () => {
    const { channelId } = await newChannel();
    await opener.client.closeChannel({ channelId });
    await mempoolHas(1);
    await world.mine(6);
    await mempoolHas(2);
    await world.mine(1);
    for (const peer of [opener, acceptor]) await isGone(peer);
    world.chain.reorg(1);
    await world.caughtUp();
    for (const peer of [opener, acceptor]) await isGone(peer);
    const after = await balanceOf(opener);
    expect(after.sweepingSats).toBe(0n);
    expect(after.unconfirmedSats).toBe(0n);
  });
});

describe('a sweep that pays too little', () => {
  const HIGH_RATE = 20_000n;

  it('is replaced by a better paid one once the estimate has risen', { timeout: 120_000 }, async () => {
    const { channelId } = await newChannel();
    const before = await balanceOf(opener);
    await opener.client.closeChannel({ channelId });
    await mempoolHas(1);
    await world.mine(5);
    // a full mempool, as far as sweeps know
    const submit = world.chain.submit.bind(world.chain);
    const refused: Buffer[] = [];
    world.chain.submit = (raw) => {
      refused.push(Buffer.from(raw));
      throw new BitcoinRpcError(RPC_CODES.rejected, 'mempool min fee not met');
    };
    await world.mine(1);
    await eventually('both sweeps', () => refused.length >= 2);
    await world.mine(7);
    world.chain.submit = submit;
    process.env['LNNODED_FEES__FLOOR_SAT_PER_KVB'] = String(HIGH_RATE);
    await world.restart('opener', 'SIGKILL');
    delete process.env['LNNODED_FEES__FLOOR_SAT_PER_KVB'];
    await world.mine(1);
    const isReplacement = (tx: Transaction | undefined): boolean =>
      feeOf(tx) * 1000n > (BigInt(tx?.virtualSize() ?? 0) * HIGH_RATE * 98n) / 100n;
    const found = await eventually('the replacement', () =>
      world.chain
        .mempoolTxids()
        .map((id) => world.chain.transaction(id))
        .find(isReplacement),
    );
    const old = refused.map((raw) => Transaction.fromBuffer(raw)).find((tx) => inputOf(tx) === inputOf(found));
    expect(found.outs.map(({ script }) => hex(script))).toEqual(old?.outs.map(({ script }) => hex(script)));
    expect(feeOf(found)).toBeGreaterThan(feeOf(old) + BigInt(found.virtualSize()));
    const onItsWay = await balanceOf(opener);
    expect(onItsWay.unconfirmedSats).toBe(found.outs[0]?.value);
    await world.mine(1);
    await isGone(opener);
    const after = await balanceOf(opener);
    expect(after).toMatchObject({ unconfirmedSats: 0n, sweepingSats: 0n });
    expect(after.confirmedSats).toBe(before.confirmedSats + onItsWay.unconfirmedSats);
    await world.restart('opener', 'SIGTERM');
    await world.restart('acceptor', 'SIGTERM');
    await world.mine(1);
  });

  const inputOf = (tx: Transaction | undefined): string =>
    hex(tx?.ins[0]?.hash ?? Buffer.alloc(0)) + String(tx?.ins[0]?.index);
  const feeOf = (tx: Transaction | undefined): bigint => {
    const brought = (tx?.ins ?? []).map(
      ({ hash, index }) => world.chain.transaction(txid(displayHex(hash)))?.outs[index]?.value ?? 0n,
    );
    return (tx?.outs ?? []).reduce(
      (sum, { value }) => sum - value,
      brought.reduce((sum, value) => sum + value, 0n),
    );
  };
});

describe('a payment to an address', () => {
  const AMOUNT = 40_000n;
  /** Of the regtest network; nobody here has their keys. */
  const ADDRESSES = {
    p2wpkh: 'bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080',
    p2tr: 'bcrt1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqc8gma6',
    p2sh: '2N3oefVeg6stiTb5Kh3ozCSkaqmx91FDbsm',
    p2pkh: 'mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn',
  };
  const address = ADDRESSES.p2wpkh;
  const send = (idempotencyKey: string, change: object = {}) =>
    opener.client.sendToAddress({ address, amountSats: AMOUNT, idempotencyKey, ...change });
  const transaction = (id: Uint8Array): Transaction | undefined => world.chain.transaction(txid(displayHex(id)));
  const refused = (code: Status, reason: string) => ({ code, details: expect.stringContaining(reason) as string });

  beforeAll(async () => {
    const { address: own } = await opener.client.newAddress({});
    for (const amount of [300_000n, 200_000n, 200_000n, 200_000n, 200_000n, 200_000n]) world.chain.faucet(own, amount);
    await world.mine(1);
  });

  it.each(Object.entries(ADDRESSES))('of the kind %s reaches it, and is replaceable', async (kind, target) => {
    const { txid: id, feeSats } = await send(`kind-${kind}`, { address: target });
    const tx = transaction(id);
    expect(tx?.outs[0]?.value).toBe(AMOUNT);
    expect(tx?.ins[0]?.sequence).toBeLessThan(0xffff_fffe);
    expect(feeSats).toBeGreaterThanOrEqual(BigInt(tx?.virtualSize() ?? Infinity));
    await world.mine(1);
  });
  it('is made once per key, also after a kill, and never with other fields', async () => {
    const first = await send('once');
    expect(await send('once')).toEqual(first);
    await world.restart('opener', 'SIGKILL');
    expect(await send('once')).toEqual(first);
    await expect(send('once', { amountSats: AMOUNT + 1n })).rejects.toMatchObject({ code: Status.ALREADY_EXISTS });
    await expect(send('once', { address: ADDRESSES.p2tr })).rejects.toMatchObject({ code: Status.ALREADY_EXISTS });
    expect(world.chain.mempoolTxids()).toHaveLength(1);
    await world.mine(1);
    expect(await send('once')).toEqual(first);
    expect(world.chain.mempoolTxids()).toHaveLength(0);
  });
  it('of many calls at once with one key is made once', async () => {
    const answers = await Promise.all(Array.from({ length: 8 }, () => send('crowd')));
    expect(new Set(answers.map(({ txid: id }) => displayHex(id))).size).toBe(1);
    expect(world.chain.mempoolTxids()).toHaveLength(1);
    await world.mine(1);
  });
  it('is replaced by a better paid one, and the key then names the replacement', async () => {
    const slow = await send('slow', { feeRateSatPerKvb: 2000n });
    const fast = await opener.client.bumpTransaction({ txid: slow.txid, feeRateSatPerKvb: 9000n });
    expect(world.chain.mempoolTxids()).toEqual([displayHex(fast.txid)]);
    expect(fast.feeSats).toBeGreaterThan(4n * slow.feeSats);
    expect(transaction(fast.txid)?.outs[0]?.value).toBe(AMOUNT);
    expect(await opener.client.bumpTransaction({ txid: slow.txid, feeRateSatPerKvb: 9000n })).toEqual(fast);
    expect(await send('slow', { feeRateSatPerKvb: 2000n })).toEqual(fast);
    const again = opener.client.bumpTransaction({ txid: fast.txid, feeRateSatPerKvb: 9500n });
    await expect(again).rejects.toMatchObject(refused(Status.FAILED_PRECONDITION, 'at least 10000'));
    const before = await balanceOf(opener);
    await world.mine(1);
    const late = opener.client.bumpTransaction({ txid: fast.txid, feeRateSatPerKvb: 50_000n });
    await expect(late).rejects.toMatchObject(refused(Status.FAILED_PRECONDITION, 'is in a block'));
    const after = await balanceOf(opener);
    expect(after.confirmedSats).toBe(before.confirmedSats + before.unconfirmedSats);
    expect(after.unconfirmedSats).toBe(0n);
  });
  it('that is too much, too small, or to a wrong place is refused, and nothing leaves', async () => {
    const { confirmedSats } = await balanceOf(opener);
    const tooMuch = send('bad', { amountSats: confirmedSats });
    await expect(tooMuch).rejects.toMatchObject(refused(Status.FAILED_PRECONDITION, 'and a fee'));
    const bad = [
      { amountSats: 545n },
      { isAll: true },
      { feeRateSatPerKvb: 999n },
      { feeRateSatPerKvb: 1_000_001n },
      { address: 'bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4' },
      { address: 'bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt081' },
      { address: 'nonsense' },
      { idempotencyKey: '' },
    ];
    for (const change of bad)
      await expect(send('bad', change)).rejects.toMatchObject({ code: Status.INVALID_ARGUMENT });
    const unknown = opener.client.bumpTransaction({ txid: Buffer.alloc(32, 1), feeRateSatPerKvb: 5000n });
    await expect(unknown).rejects.toMatchObject({ code: Status.NOT_FOUND });
    expect(world.chain.mempoolTxids()).toEqual([]);
    expect(await balanceOf(opener)).toMatchObject({ confirmedSats, unconfirmedSats: 0n });
  });
  it('of everything leaves nothing, also when it is replaced', async () => {
    const { confirmedSats } = await balanceOf(opener);
    const all = await send('all', { amountSats: 0n, isAll: true });
    expect(transaction(all.txid)?.outs.map(({ value }) => value)).toEqual([confirmedSats - all.feeSats]);
    const more = await opener.client.bumpTransaction({ txid: all.txid, feeRateSatPerKvb: 20_000n });
    expect(transaction(more.txid)?.outs.map(({ value }) => value)).toEqual([confirmedSats - more.feeSats]);
    await world.mine(1);
    expect(await balanceOf(opener)).toMatchObject({ confirmedSats: 0n, unconfirmedSats: 0n, sweepingSats: 0n });
  });
});
