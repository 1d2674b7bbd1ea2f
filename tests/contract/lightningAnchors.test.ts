/** Channels with anchors: their fees come from the wallet at the time of closing, so coins are kept for them. */
import { Transaction } from 'bitcoinjs-lib';
import { Status } from 'nice-grpc';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { displayHex, hex, msat, reversedBytes, txid } from '../../src/core/units.js';
import { ChannelState, type Channel } from '../../src/gen/lnnode/v1/lnnode.js';
import { eventually } from '../support/eventually.js';
import {
  invoiceRequest,
  newSecret,
  startLightningWorld,
  type LightningWorld,
  type Peer,
} from '../support/lightningWorld.js';

const CAPACITY = 1_000_000n;
const PUSHED = 300_000n;
const RESERVE = 25_000n;
/** Kept by an address whose key nobody here has. */
const ELSEWHERE = 'bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080';
const HIGH_RATE = 20_000n;
/** Nodes restart several times, on a busy machine. */
const SLOW = { timeout: 120_000 };

let world: LightningWorld;
let opener: Peer;
let acceptor: Peer;

beforeAll(async () => {
  process.env['LNNODED_POLICY__ANCHOR_CHANNELS'] = 'true';
  world = await startLightningWorld(['opener', 'acceptor']);
  opener = world.peer('opener');
  acceptor = world.peer('acceptor');
});

afterAll(async () => {
  await world.close();
});

const channelsOf = async ({ client }: Peer): Promise<Channel[]> => (await client.listChannels({})).channels;
const balanceOf = ({ client }: Peer) => client.walletBalance({});
const openChannel = () =>
  world.openChannel({ from: 'opener', to: 'acceptor', capacitySats: CAPACITY, pushMsat: PUSHED * 1000n });
const closeAll = async (): Promise<void> => {
  for (const { channelId } of await channelsOf(opener)) await opener.client.closeChannel({ channelId });
  await eventually('closing', () => world.chain.mempoolTxids().length > 0);
  await world.mine(6);
  await eventually('sweeps', () => world.chain.mempoolTxids().length > 1);
  await world.mine(1);
};
const isGone = (peer: Peer): Promise<unknown> =>
  eventually('channel is gone', async () => (await channelsOf(peer)).length === 0, 20_000);

/** The transactions that wait, and what they pay together, satoshi per 1000 virtual bytes. */
function waiting(): { readonly transactions: Transaction[]; readonly rate: bigint } {
  const transactions = world.chain.mempoolTxids().flatMap((id) => world.chain.transaction(id) ?? []);
  const spent = (tx: Transaction): bigint =>
    tx.ins.reduce((sum, { hash, index }) => {
      return sum + (world.chain.transaction(txid(displayHex(hash)))?.outs[index]?.value ?? 0n);
    }, 0n);
  const paid = (tx: Transaction): bigint => spent(tx) - tx.outs.reduce((sum, { value }) => sum + value, 0n);
  const fee = transactions.reduce((sum, tx) => sum + paid(tx), 0n);
  const vsize = transactions.reduce((sum, tx) => sum + tx.virtualSize(), 0);
  return { transactions, rate: (fee * 1000n) / BigInt(Math.max(vsize, 1)) };
}

/** Starts a node again in a world where fees are high. */
async function restartWithFees(name: string, rate: bigint | undefined): Promise<void> {
  if (rate === undefined) delete process.env['LNNODED_FEES__FLOOR_SAT_PER_KVB'];
  else process.env['LNNODED_FEES__FLOOR_SAT_PER_KVB'] = String(rate);
  await world.restart(name, 'SIGKILL');
}

describe('a channel with anchors', () => {
  it('is not accepted by a node that has no coins to close it; the channel is one without', async () => {
    await openChannel();
    for (const peer of [opener, acceptor]) {
      expect(await channelsOf(peer)).toMatchObject([{ hasAnchors: false, isUsable: true }]);
      expect(await balanceOf(peer)).toMatchObject({ anchorReserveSats: 0n });
    }
    await closeAll();
    for (const peer of [opener, acceptor]) await isGone(peer);
  });
  it('has a reserve in both wallets, which no payment touches', async () => {
    await openChannel();
    for (const peer of [opener, acceptor]) {
      expect(await channelsOf(peer)).toMatchObject([{ hasAnchors: true, isUsable: true }]);
      expect(await balanceOf(peer)).toMatchObject({ anchorReserveSats: RESERVE });
    }
    const { confirmedSats } = await balanceOf(acceptor);
    const send = (change: object) =>
      acceptor.client.sendToAddress({ address: ELSEWHERE, idempotencyKey: 'reserve', ...change });
    await expect(send({ amountSats: confirmedSats - RESERVE })).rejects.toMatchObject({
      code: Status.FAILED_PRECONDITION,
      details: expect.stringContaining('kept back') as string,
    });
    await send({ isAll: true });
    await world.mine(1);
    expect(await balanceOf(acceptor)).toMatchObject({ confirmedSats: RESERVE, anchorReserveSats: RESERVE });
  });
  it('closed by force while fees are high is paid for from the wallet, parent and child together', SLOW, async () => {
    await world.halt('acceptor', 'SIGKILL');
    await restartWithFees('opener', HIGH_RATE);
    const before = await balanceOf(opener);
    const [channel] = await channelsOf(opener);
    if (channel === undefined) throw new Error('no channel');
    await opener.client.closeChannel({ channelId: channel.channelId, isForced: true });
    await eventually('parent and child', () => world.chain.mempoolTxids().length === 2);
    const { transactions, rate } = waiting();
    const [parent, child] = transactions;
    expect(hex(parent?.ins[0]?.hash ?? Buffer.alloc(0))).toBe(hex(channel.fundingTxid));
    expect(child?.ins.some(({ hash }) => hex(hash) === hex(reversedBytes(parent?.getId() ?? '')))).toBe(true);
    expect(rate).toBeGreaterThanOrEqual((HIGH_RATE * 98n) / 100n);
    expect(rate).toBeLessThan(HIGH_RATE * 2n);
    await world.restart('opener', 'SIGKILL');
    await world.mine(1);
    const after = await balanceOf(opener);
    expect(before.confirmedSats - after.confirmedSats).toBeLessThan(RESERVE);
    expect(after).toMatchObject({ unconfirmedSats: 0n, anchorReserveSats: RESERVE });
    await world.mine(144);
    await eventually('sweep', () => world.chain.mempoolTxids().length > 0);
    await world.mine(1);
    await isGone(opener);
    const end = await balanceOf(opener);
    expect(end.confirmedSats - before.confirmedSats).toBeGreaterThan(CAPACITY - PUSHED - 2n * RESERVE);
    expect(end.anchorReserveSats).toBe(0n);
    await restartWithFees('opener', undefined);
    await world.resume('acceptor');
    await world.caughtUp();
    await eventually('sweep of the peer', () => world.chain.mempoolTxids().length > 0);
    await world.mine(1);
    await isGone(acceptor);
  });
  it('takes a settled payment on the chain when the payer vanished while fees are high', SLOW, async () => {
    await openChannel();
    expect(await channelsOf(acceptor)).toMatchObject([{ hasAnchors: true, state: ChannelState.READY }]);
    const { paymentHash, preimage } = newSecret();
    const { bolt11 } = await acceptor.port.createHoldInvoice(invoiceRequest(paymentHash));
    const limits = { maxFeeMsat: msat(0n), maxTotalCltvDelta: 60, timeoutSecs: 20 };
    const call = opener.port.pay({ bolt11, ...limits }).catch(() => undefined);
    const invoice = await eventually('HELD', async () => {
      const found = await acceptor.port.lookupInvoice(paymentHash);
      return found?.state === 'HELD' ? found : undefined;
    });
    await world.halt('opener', 'SIGKILL');
    await call;
    await restartWithFees('acceptor', HIGH_RATE);
    const before = await balanceOf(acceptor);
    await acceptor.port.settleInvoice(preimage);
    await world.mine((invoice.claimDeadlineHeight ?? 0) + 3 - world.chain.tip.height);
    await eventually('parent and child', () => world.chain.mempoolTxids().length === 2);
    expect((await channelsOf(acceptor))[0]).toMatchObject({ state: ChannelState.SWEEPING });
    await world.mine(1);
    await eventually('the claim', () => world.chain.mempoolTxids().length === 1);
    expect(waiting().rate).toBeGreaterThanOrEqual((HIGH_RATE * 98n) / 100n);
    expect(waiting().transactions[0]?.ins.length).toBeGreaterThan(1);
    await world.restart('acceptor', 'SIGKILL');
    await world.mine(160);
    await eventually('sweeps', () => world.chain.mempoolTxids().length > 0);
    await world.mine(1);
    await isGone(acceptor);
    const after = await balanceOf(acceptor);
    expect(after.confirmedSats - before.confirmedSats).toBeGreaterThan(PUSHED + 25_000n - 2n * RESERVE);
    expect(after).toMatchObject({ unconfirmedSats: 0n, sweepingSats: 0n, anchorReserveSats: 0n });
  });
});
