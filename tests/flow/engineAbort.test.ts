import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { LIQUID_NETWORKS } from '../../src/core/network.js';
import { satPerKvb, unixSecs } from '../../src/core/units.js';
import { pendingTxs } from '../../src/store/txs.js';
import { EngineWorld } from '../support/engineWorld.js';

const { policyAsset } = LIQUID_NETWORKS.regtest;

let world: EngineWorld;
beforeEach(async () => {
  world = await EngineWorld.open();
});
afterEach(async () => {
  await world[Symbol.asyncDispose]();
});

const reopen = async (over: Parameters<typeof EngineWorld.open>[0]): Promise<void> => {
  await world[Symbol.asyncDispose]();
  world = await EngineWorld.open(over);
};
const stock = async (): Promise<void> => {
  await world.deposit([
    [world.token, 1_000n],
    ['lbtc', 100_000n],
  ]);
};

/** Less than 300 s of the invoice are left. */
const TOO_OLD_SECS = 301;

describe('a funding that no block takes', () => {
  it('is replaced by a self-spend, with another funding that spends its change, and every coin is free again', async () => {
    await stock();
    const first = await world.buy(1);
    world.now += 200;
    const second = await world.buy(2);
    const [{ raw, feeSat } = { raw: Buffer.alloc(0), feeSat: 0n }] = world.versions(second.id, 'funding');
    expect(world.inputsOf(raw).every((key) => key.startsWith(first.fundingTxid))).toBe(true);
    world.now += TOO_OLD_SECS - 200;
    await world.until('it is given up', () => world.versions(first.id, 'abort').length === 1);
    const [abort] = world.versions(first.id, 'abort');
    const [funding] = world.versions(first.id, 'funding');
    expect(abort?.feeSat).toBeGreaterThan((funding?.feeSat ?? 0n) + feeSat);
    expect(world.standing(first.id)).toBe('ABORTING CANCELED');
    expect(world.sandbox.status().mempool).toEqual([abort?.txid]);
    await world.mine(1);
    expect([world.standing(first.id), world.standing(second.id)]).toEqual(['ABORTING CANCELED', 'FUNDING_SIGNED OPEN']);
    await world.mine(1);
    await world.until('both failed', () => world.swap(second.id).state === 'FAILED');
    expect([world.standing(first.id), world.standing(second.id)]).toEqual(['FAILED CANCELED', 'FAILED CANCELED']);
    expect(world.balance(world.token)).toBe(1_000n);
    expect(world.balance(policyAsset)).toBe(100_000n - (abort?.feeSat ?? 0n));
    expect(world.stuckCoins()).toEqual([]);
    const third = await world.buy(3, { fundBy: unixSecs(world.now + 100) });
    expect(world.isInMempool(third.fundingTxid)).toBe(true);
  });

  it('is given up although its payment is held, and the payment goes back', async () => {
    await stock();
    const swap = await world.buy(1);
    await world.mine(1);
    world.sandbox.reorg(1, { dropTransactions: true });
    world.node.states.set(swap.paymentHash, 'HELD');
    world.gate = () => ({ kind: 'unknown', cause: new Error('timeout') });
    await world.look();
    expect(world.standing(swap.id)).toBe('FUNDING_SIGNED HELD');
    world.now += TOO_OLD_SECS;
    await world.until('it is given up', () => world.versions(swap.id, 'abort').length === 1);
    expect([world.standing(swap.id), world.node.calls]).toEqual(['ABORTING CANCELED', ['cancel']]);
  });
  it('that a raised floor keeps out is replaced above that floor, and again when the floor rises once more', async () => {
    await reopen({ feerateCeiling: satPerKvb(20_000n) });
    await stock();
    const swap = await world.buy(1);
    world.sandbox.setRelayFloor(satPerKvb(1_000n));
    await world.look();
    expect(world.isInMempool(swap.fundingTxid)).toBe(false);
    world.now += TOO_OLD_SECS;
    await world.until('it is given up', () => world.versions(swap.id, 'abort').length === 1);
    const [first] = world.versions(swap.id, 'abort');
    await world.until('the self-spend is out', () => world.isInMempool(first?.txid ?? swap.fundingTxid));
    world.sandbox.setRelayFloor(satPerKvb(10_000n));
    await world.mine(2);
    expect(world.versions(swap.id, 'abort')).toHaveLength(1);
    await world.mine(1);
    const [second] = world.versions(swap.id, 'abort');
    expect(second?.version).toBe(2);
    expect(world.inputsOf(second?.raw ?? Buffer.alloc(0))).toEqual(world.inputsOf(first?.raw ?? Buffer.alloc(0)));
    await world.until('the dearer one is out', () => world.isInMempool(second?.txid ?? swap.fundingTxid));
    await world.mine(2);
    await world.until('it failed', () => world.swap(swap.id).state === 'FAILED');
    expect(world.versions(swap.id, 'abort').map((own) => own.isConflicted)).toEqual([false, true]);
    expect(world.balance(policyAsset)).toBe(100_000n - (second?.feeSat ?? 0n));
    expect(world.stuckCoins()).toEqual([]);
  });
  it('is not paid for without end: no self-spend costs more than the ceiling allows', async () => {
    await stock();
    const swap = await world.buy(1);
    world.now += TOO_OLD_SECS;
    world.gate = () => ({ kind: 'rejected', reason: 'other', text: 'no' });
    await world.until('it is given up', () => world.versions(swap.id, 'abort').length === 1);
    world.sandbox.setRelayFloor(satPerKvb(1_999n));
    await world.mine(30);
    const fees = world.versions(swap.id, 'abort').map((own) => own.feeSat);
    expect(fees.length).toBeGreaterThan(1);
    expect(fees.every((fee) => fee <= 3_000n)).toBe(true);
  });
  it('takes another coin along if its own cannot pay, and frees that one when the funding wins after all', async () => {
    world.gate = () => ({ kind: 'rejected', reason: 'other', text: 'no' });
    await world.deposit([
      [world.token, 1_000n],
      ['lbtc', 1_500n],
    ]);
    const swap = await world.buy(1);
    await world.deposit([['lbtc', 50_000n]]);
    expect(world.stuckCoins()).toHaveLength(2);
    world.now += TOO_OLD_SECS;
    await world.until('it is given up', () => world.versions(swap.id, 'abort').length === 1);
    expect(world.stuckCoins()).toHaveLength(3);
    expect(world.inputsOf(world.versions(swap.id, 'abort')[0]?.raw ?? Buffer.alloc(0))).toHaveLength(2);
    const [funding] = world.versions(swap.id, 'funding');
    world.sandbox.mine(1, { including: (funding?.raw ?? Buffer.alloc(0)).toString('hex') });
    await world.look();
    expect(world.stuckCoins()).toHaveLength(1);
    await world.mine(1);
    await world.until('the self-spend is out of the race', () => world.stuckCoins().length === 0);
    expect(world.balance(policyAsset)).toBe(50_000n);
  });
  it('in a block is left alone until it falls out of it', async () => {
    await stock();
    const swap = await world.buy(1);
    await world.mine(1);
    world.now += TOO_OLD_SECS;
    await world.until('it is given up', () => world.swap(swap.id).state === 'ABORTING');
    await world.look();
    expect(world.versions(swap.id, 'abort')).toEqual([]);
    world.sandbox.reorg(1, { dropTransactions: true });
    world.sandbox.mine(1);
    await world.until('it is replaced', () => world.versions(swap.id, 'abort').length === 1);
    await world.until('and out', () =>
      world.isInMempool(world.versions(swap.id, 'abort')[0]?.txid ?? swap.fundingTxid),
    );
    expect(world.isInMempool(swap.fundingTxid)).toBe(false);
  });
});

describe('a race between a funding and its self-spend', () => {
  it('won by the funding ends in a refund: the payment stays canceled, and nothing is stuck', async () => {
    await stock();
    const swap = await world.buy(1);
    const [funding] = world.versions(swap.id, 'funding');
    world.now += TOO_OLD_SECS;
    await world.until('it is given up', () => world.versions(swap.id, 'abort').length === 1);
    world.sandbox.mine(1, { including: (funding?.raw ?? Buffer.alloc(0)).toString('hex') });
    await world.look();
    expect(world.standing(swap.id)).toBe('ABORTING CANCELED');
    await world.mine(1);
    expect(world.standing(swap.id)).toBe('FUNDED CANCELED');
    await world.mine(1);
    expect(world.versions(swap.id, 'abort').map((own) => own.isConflicted)).toEqual([true]);
    await world.mineTo(swap.refundHeight - 1);
    expect(world.versions(swap.id, 'refund')).toEqual([]);
    await world.mine(3);
    await world.until('it is refunded', () => world.swap(swap.id).state === 'REFUNDED');
    const [refund] = world.versions(swap.id, 'refund');
    expect(world.balance(world.token)).toBe(1_000n);
    expect(world.balance(policyAsset)).toBe(100_000n - (funding?.feeSat ?? 0n) - (refund?.feeSat ?? 0n));
    expect([world.stuckCoins(), pendingTxs(world.ctx.store)]).toEqual([[], []]);
  });
});

describe('a server that says it rejected the funding', () => {
  const rejects = () => ({ kind: 'rejected', reason: 'missing_inputs', text: 'no' }) as const;
  it('proves nothing: released in time the funding is sold', async () => {
    world.gate = rejects;
    await stock();
    const swap = await world.buy(1);
    await world.mine(1);
    expect([world.standing(swap.id), world.stuckCoins()]).toEqual([
      'FUNDING_SIGNED OPEN',
      world.inputsOf(world.versions(swap.id, 'funding')[0]?.raw ?? Buffer.alloc(0)).toSorted(),
    ]);
    world.sandbox.mine(1, {
      including: (world.versions(swap.id, 'funding')[0]?.raw ?? Buffer.alloc(0)).toString('hex'),
    });
    await world.mine(1);
    expect(world.standing(swap.id)).toBe('FUNDED OPEN');
    expect(new Set(world.sent)).toEqual(new Set([swap.fundingTxid]));
  });
  it('proves nothing: released after it was given up it is refunded, and its coins were never free', async () => {
    world.gate = rejects;
    await stock();
    const swap = await world.buy(1);
    world.now += TOO_OLD_SECS;
    await world.until('it is given up', () => world.versions(swap.id, 'abort').length === 1);
    await world.mine(8);
    expect(world.standing(swap.id)).toBe('ABORTING CANCELED');
    expect(world.stuckCoins()).toHaveLength(2);
    world.sandbox.mine(1, {
      including: (world.versions(swap.id, 'funding')[0]?.raw ?? Buffer.alloc(0)).toString('hex'),
    });
    await world.mine(1);
    expect(world.standing(swap.id)).toBe('FUNDED CANCELED');
    world.gate = () => undefined;
    await world.mineTo(swap.refundHeight);
    await world.mine(2);
    await world.until('it is refunded', () => world.swap(swap.id).state === 'REFUNDED');
    expect(world.balance(world.token)).toBe(1_000n);
    expect(world.stuckCoins()).toEqual([]);
  });
});
