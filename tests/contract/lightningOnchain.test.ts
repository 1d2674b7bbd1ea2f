/** The on-chain half of the node: closing channels, and where their coins are at every moment. */
import { Status } from 'nice-grpc';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { ChannelState, type Channel } from '../../src/gen/lnnode/v1/lnnode.js';
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
