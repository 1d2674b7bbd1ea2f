import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { LIQUID_NETWORKS } from '../../src/core/network.js';
import { EngineWorld } from '../support/engineWorld.js';

const { policyAsset } = LIQUID_NETWORKS.regtest;

let world: EngineWorld;
beforeEach(async () => {
  world = await EngineWorld.open();
  await world.deposit([
    [world.token, 1_000n],
    ['lbtc', 100_000n],
  ]);
});
afterEach(async () => {
  await world[Symbol.asyncDispose]();
});

describe('a disk that stores nothing any more', () => {
  it('does not keep a signed funding from being broadcast', async () => {
    world.gate = () => ({ kind: 'unknown', cause: new Error('timeout') });
    const swap = await world.buy(1);
    world.fillDisk();
    world.gate = () => undefined;
    await world.until('it is out', () => world.isInMempool(swap.fundingTxid));
  });
  it('does not keep the coins of a canceled swap back: its refund goes out without a commit, and is known again later', async () => {
    const swap = await world.buy(1);
    await world.mine(2);
    world.now += 601;
    await world.until('the invoice is dead', () => world.swap(swap.id).payment === 'CANCELED');
    world.fillDisk();
    await world.mineTo(swap.refundHeight - 1);
    const before = world.sent.length;
    await world.mineTo(swap.refundHeight);
    await world.until('the refund is out', () => world.sandbox.status().mempool.length === 1);
    const [refund] = world.sandbox.status().mempool;
    expect(world.sent.slice(before)).toEqual([refund]);
    expect([world.standing(swap.id), world.versions(swap.id, 'refund')]).toEqual(['FUNDED CANCELED', []]);
    await world.restart();
    expect(world.swap(swap.id)).toMatchObject({ state: 'REFUND_SEEN', refundTxid: refund });
    await world.mine(2);
    expect(world.standing(swap.id)).toBe('REFUNDED CANCELED');
    expect([world.balance(world.token), world.stuckCoins()]).toEqual([1_000n, []]);
    expect(world.sent.slice(before)).toEqual([refund]);
  });
  it.each(['OPEN', 'CANCELING'])('never lets a refund out while the stored payment is %s', async (payment) => {
    const swap = await world.buy(1);
    await world.mine(2);
    world.now += 601;
    if (payment === 'CANCELING') {
      world.node.isDeaf = true;
      await world.until('it is being canceled', () => world.swap(swap.id).payment === 'CANCELING');
    }
    world.fillDisk();
    world.node.isDeaf = false;
    const before = world.sent.length;
    await world.mineTo(swap.refundHeight);
    await world.until('the node canceled it', () => world.node.states.get(swap.paymentHash) === 'CANCELED');
    await world.look();
    expect(world.standing(swap.id)).toBe(`FUNDED ${payment}`);
    expect(world.sent.slice(before)).toEqual([]);
    await world.restart();
    await world.until('it is refunded', () => world.swap(swap.id).state === 'REFUND_SEEN');
  });
  it('does not keep an expired invoice from being canceled', async () => {
    const swap = await world.buy(1);
    await world.mine(2);
    world.fillDisk();
    world.now += 601;
    await world.until('it is canceled', () => world.node.calls.length > 0);
    expect([world.node.calls[0], world.standing(swap.id)]).toEqual(['cancel', 'FUNDED OPEN']);
  });
  it('does not let a held payment be taken', async () => {
    const swap = await world.buy(1);
    await world.mine(2);
    world.fillDisk();
    world.node.states.set(swap.paymentHash, 'HELD');
    await world.look();
    await world.look();
    expect([world.node.calls, world.standing(swap.id)]).toEqual([[], 'FUNDED OPEN']);
  });
  it('does not keep a committed settling from being repeated until the node obeys', async () => {
    const swap = await world.buy(1);
    await world.mine(2);
    world.node.isDeaf = true;
    world.node.states.set(swap.paymentHash, 'HELD');
    await world.until('settling is committed', () => world.swap(swap.id).payment === 'SETTLING');
    world.fillDisk();
    const before = world.node.calls.length;
    world.node.isDeaf = false;
    await world.look();
    expect(new Set(world.node.calls)).toEqual(new Set(['settle']));
    expect(world.node.calls.length).toBeGreaterThan(before);
    expect([world.node.states.get(swap.paymentHash), world.standing(swap.id)]).toEqual(['SETTLED', 'FUNDED SETTLING']);
    await world.restart();
    expect(world.standing(swap.id)).toBe('FUNDED SETTLED');
  });
  it('does not hide an alarm', async () => {
    const swap = await world.buy(1);
    await world.mine(2);
    world.node.isDeaf = true;
    world.node.states.set(swap.paymentHash, 'HELD');
    await world.until('settling is committed', () => world.swap(swap.id).payment === 'SETTLING');
    world.fillDisk();
    world.node.states.delete(swap.paymentHash);
    await world.look();
    expect(world.ctx.health.alarms).toHaveLength(1);
    expect(world.balance(policyAsset)).toBeGreaterThan(0n);
  });
});
