import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { LIQUID_NETWORKS } from '../../src/core/network.js';
import type { FundedSwap } from '../../src/core/swap.js';
import { outpointKey, satPerKvb } from '../../src/core/units.js';
import { spendableCoins } from '../../src/engine/inventory.js';
import { findPause } from '../../src/store/meta.js';
import { pendingTxs, type OwnTx } from '../../src/store/txs.js';
import { EngineWorld } from '../support/engineWorld.js';

const { policyAsset } = LIQUID_NETWORKS.regtest;

let world: EngineWorld;
beforeEach(async () => {
  world = await EngineWorld.open({ feerateCeiling: satPerKvb(40_000n) });
  await world.deposit([
    [world.token, 1_000n],
    ['lbtc', 6_000n],
  ]);
});
afterEach(async () => {
  await world[Symbol.asyncDispose]();
});

const refunds = (swap: FundedSwap): readonly (OwnTx & { readonly isConflicted: boolean })[] =>
  world.versions(swap.id, 'refund');
const version = (swap: FundedSwap, n: number): OwnTx => {
  const own = refunds(swap).find((each) => each.version === n);
  if (own === undefined) throw new Error(`no refund ${n}`);
  return own;
};
const htlcKeys = (swap: FundedSwap): string[] => swap.outpoints.map((each) => outpointKey(each.outpoint));
const hexOf = (own: OwnTx): string => own.raw.toString('hex');
const fundingFee = (swap: FundedSwap): bigint => world.versions(swap.id, 'funding')[0]?.feeSat ?? 0n;

/** A swap at T, and its refund held back from every mempool. */
async function heldBack(): Promise<FundedSwap> {
  const swap = await world.buy(1);
  await world.mine(2);
  world.gate = () => ({ kind: 'unknown', cause: new Error('timeout') });
  await world.makeRefundable(swap);
  await world.until('the refund is signed', () => refunds(swap).length === 1);
  return swap;
}

describe('a refund that does not confirm', () => {
  it('is replaced in the mempool by a dearer one over the same outpoints, three blocks after it was signed', async () => {
    const swap = await heldBack();
    await world.mine(2);
    expect(refunds(swap)).toHaveLength(1);
    world.gate = () => undefined;
    world.sandbox.mine(1);
    world.sandbox.broadcast(hexOf(version(swap, 1)));
    await world.until('a second one is signed', () => refunds(swap).length === 2);
    await world.until('it took the place of the first', () => world.isInMempool(version(swap, 2).txid));
    expect(world.isInMempool(version(swap, 1).txid)).toBe(false);
    expect(world.inputsOf(version(swap, 2).raw)).toEqual(htlcKeys(swap));
    expect(version(swap, 2).feeSat * 2n).toBeGreaterThanOrEqual(version(swap, 1).feeSat * 3n - 1n);
    await world.mine(2);
    expect(world.standing(swap.id)).toBe('REFUNDED CANCELED');
    expect(refunds(swap).map((own) => own.isConflicted)).toEqual([false, true]);
    expect(world.balance(world.token)).toBe(1_000n);
    expect(world.balance(policyAsset)).toBe(6_000n - fundingFee(swap) - version(swap, 2).feeSat);
  });
  it('ends the swap whichever version a block takes', async () => {
    const swap = await heldBack();
    await world.mine(3);
    expect(refunds(swap)).toHaveLength(2);
    world.sandbox.broadcast(hexOf(version(swap, 2)));
    world.sandbox.mine(1, { including: hexOf(version(swap, 1)) });
    await world.mine(1);
    expect(world.swap(swap.id)).toMatchObject({ state: 'REFUNDED', refundTxid: version(swap, 1).txid });
    expect(refunds(swap).map((own) => own.isConflicted)).toEqual([true, false]);
    expect(world.balance(policyAsset)).toBe(6_000n - fundingFee(swap) - version(swap, 1).feeSat);
    expect([world.stuckCoins(), pendingTxs(world.ctx.store)]).toEqual([[], []]);
  });
  it('because the floor rose after it was signed pays the new floor', async () => {
    const swap = await world.buy(1);
    await world.makeRefundable(swap);
    await world.until('it is out', () => world.isInMempool(version(swap, 1).txid));
    world.sandbox.setRelayFloor(satPerKvb(1_000n));
    await world.mine(3);
    await world.until('a dearer one is out', () => world.isInMempool(version(swap, 2).txid));
    await world.mine(2);
    expect(world.standing(swap.id)).toBe('REFUNDED CANCELED');
  });
});

describe('a refund that costs more than the subsidy', () => {
  /** The floor is so high that the subsidy does not pay for the refund; three coins of the wallet could. */
  async function tooDear(): Promise<{ swap: FundedSwap; coins: Record<'small' | 'middle' | 'large', string> }> {
    const swap = await heldBack();
    await world.deposit([
      ['lbtc', 2_000n],
      ['lbtc', 40_000n],
      ['lbtc', 90_000n],
    ]);
    const keyOfValue = (value: bigint): string => {
      const coin = world.ctx.wallet.coins().find((each) => each.value === value);
      return coin === undefined ? '' : outpointKey(coin.outpoint);
    };
    const coins = { small: keyOfValue(2_000n), middle: keyOfValue(40_000n), large: keyOfValue(90_000n) };
    const before = refunds(swap).length;
    world.sandbox.setRelayFloor(satPerKvb(10_000n));
    await world.mine(3);
    await world.until('a dearer one is signed', () => refunds(swap).length > before);
    return { swap, coins };
  }
  const free = (): ReadonlySet<string> =>
    new Set(spendableCoins(world.ctx, world.sandbox.tip().height).map((coin) => outpointKey(coin.outpoint)));

  it('takes the smallest coin that suffices, which nothing else may spend from then on', async () => {
    const { swap, coins } = await tooDear();
    const [newest] = refunds(swap);
    expect(world.inputsOf(newest?.raw ?? Buffer.alloc(0))).toEqual([...htlcKeys(swap), coins.middle]);
    expect([free().has(coins.middle), free().has(coins.small), free().has(coins.large)]).toEqual([false, true, true]);
    world.gate = () => undefined;
    await world.until('it is out', () => world.isInMempool(newest?.txid ?? swap.fundingTxid));
    await world.mine(2);
    expect(world.standing(swap.id)).toBe('REFUNDED CANCELED');
    expect(world.balance(world.token)).toBe(1_000n);
    expect(world.balance(policyAsset)).toBe(138_000n - fundingFee(swap) - (newest?.feeSat ?? 0n));
    expect([world.stuckCoins(), pendingTxs(world.ctx.store).filter((own) => own.swapId === swap.id)]).toEqual([[], []]);
  });
  it('frees the coin of a version that lost only when another one is final', async () => {
    const { swap, coins } = await tooDear();
    const second = refunds(swap)[0];
    world.sandbox.setRelayFloor(satPerKvb(30_000n));
    await world.mine(3);
    await world.until('another one is signed', () => refunds(swap)[0]?.version !== second?.version);
    const third = refunds(swap)[0];
    expect(world.inputsOf(third?.raw ?? Buffer.alloc(0))).toEqual([...htlcKeys(swap), coins.large]);
    expect([free().has(coins.middle), free().has(coins.large)]).toEqual([false, false]);
    world.gate = () => undefined;
    await world.until('it is out', () => world.isInMempool(third?.txid ?? swap.fundingTxid));
    await world.mine(1);
    expect(free().has(coins.middle)).toBe(false);
    await world.mine(1);
    expect([world.standing(swap.id), free().has(coins.middle)]).toEqual(['REFUNDED CANCELED', true]);
  });
  it('frees its coin when the first version, which took none, wins', async () => {
    const { swap, coins } = await tooDear();
    world.sandbox.mine(1, { including: hexOf(version(swap, 1)) });
    await world.look();
    expect(free().has(coins.middle)).toBe(false);
    await world.mine(1);
    expect([world.standing(swap.id), free().has(coins.middle)]).toEqual(['REFUNDED CANCELED', true]);
  });
});

describe('a claim', () => {
  it('that wins against a pending refund of an unpaid swap ends CLAIMED, paused and told', async () => {
    const swap = await heldBack();
    world.sandbox.broadcast(hexOf(version(swap, 1)));
    await world.until('the refund is seen', () => world.swap(swap.id).state === 'REFUND_SEEN');
    world.sandbox.mine(1, { including: world.claim(swap).toString('hex') });
    await world.look();
    expect(world.standing(swap.id)).toBe('CLAIM_SEEN CANCELED');
    expect(findPause(world.ctx.store)).toContain('claimed while the payment was CANCELED');
    await world.mine(1);
    expect(world.standing(swap.id)).toBe('CLAIMED CANCELED');
    expect(refunds(swap).map((own) => own.isConflicted)).toEqual([true]);
    expect(world.ctx.health.alarms).toHaveLength(1);
  });
  it('that left the subsidy lets it be refunded from T on, not one block earlier', async () => {
    const swap = await world.buy(1);
    await world.makePaid(swap);
    world.sandbox.broadcast(world.claim(swap, { isSubsidyLeft: true }).toString('hex'));
    await world.mine(2);
    expect(world.swap(swap.id)).toMatchObject({ state: 'CLAIMED', isSubsidyOpen: true });
    await world.mineTo(swap.refundHeight - 1);
    expect(refunds(swap)).toEqual([]);
    await world.mine(1);
    await world.until('it is out', () => world.isInMempool(version(swap, 1).txid));
    expect(world.inputsOf(version(swap, 1).raw)).toEqual(htlcKeys(swap).slice(1));
    await world.mine(1);
    expect(world.swap(swap.id).isSubsidyOpen).toBe(true);
    await world.mine(1);
    expect(world.swap(swap.id)).toMatchObject({ state: 'CLAIMED', isSubsidyOpen: false });
    expect(world.balance(policyAsset)).toBe(6_000n - fundingFee(swap) - version(swap, 1).feeSat);
    expect([world.stuckCoins(), pendingTxs(world.ctx.store)]).toEqual([[], []]);
  });
});
