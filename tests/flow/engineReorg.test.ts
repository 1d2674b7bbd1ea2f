import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { LIQUID_NETWORKS } from '../../src/core/network.js';
import type { FundedSwap } from '../../src/core/swap.js';
import { parseTransaction, txidOf } from '../../src/core/tx.js';
import { satPerKvb } from '../../src/core/units.js';
import { findPause } from '../../src/store/meta.js';
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

const fundingRaw = (swap: FundedSwap): Buffer => world.versions(swap.id, 'funding')[0]?.raw ?? Buffer.alloc(0);
const broadcast = (raw: Buffer): void => {
  world.sandbox.broadcast(raw.toString('hex'));
};
/** Replaces the last blocks by as many and one more, without their transactions. */
const replace = async (blocks: number): Promise<void> => {
  world.sandbox.reorg(blocks, { dropTransactions: true });
  world.sandbox.mine(blocks + 1);
  await world.look();
};

describe('a funding that was lost on the way', () => {
  it('out of the mempool is sent again as the same bytes', async () => {
    const swap = await world.buy(1);
    world.sandbox.setRelayFloor(satPerKvb(1_500n));
    await world.look();
    expect(world.isInMempool(swap.fundingTxid)).toBe(false);
    world.sandbox.setRelayFloor(satPerKvb(100n));
    await world.until('it is back', () => world.isInMempool(swap.fundingTxid));
    expect([new Set(world.sent), world.versions(swap.id, 'funding').length]).toEqual([new Set([swap.fundingTxid]), 1]);
  });
  it.each([1, 2])(
    'out of its block by a reorganisation of %i is sent again, in every state before it is final',
    async (blocks) => {
      const swap = await world.buy(1);
      await world.mine(blocks);
      expect(world.standing(swap.id)).toBe(blocks === 1 ? 'FUNDING_SIGNED OPEN' : 'FUNDED OPEN');
      await replace(blocks);
      await world.until('it is back', () => world.isInMempool(swap.fundingTxid));
      expect(findPause(world.ctx.store)).toBeUndefined();
      await world.mine(2);
      expect(world.standing(swap.id)).toBe('FUNDED OPEN');
      expect(world.sandbox.transaction(swap.fundingTxid)?.rawHex).toBe(fundingRaw(swap).toString('hex'));
    },
  );
  it('is not settled for while it is not deep enough again', async () => {
    const swap = await world.buy(1);
    await world.mine(2);
    await replace(2);
    world.node.states.set(swap.paymentHash, 'HELD');
    await world.look();
    expect(world.standing(swap.id)).toBe('FUNDED HELD');
    await world.mine(1);
    expect([world.standing(swap.id), world.node.calls]).toEqual(['FUNDED HELD', []]);
    await world.mine(1);
    await world.until('it is settled', () => world.swap(swap.id).payment === 'SETTLED');
  });
});

describe('a spend that a reorganisation takes back', () => {
  it('of the buyer is pending until two blocks have it, gone in between, and final then', async () => {
    const swap = await world.buy(1);
    await world.makePaid(swap);
    const claim = world.claim(swap);
    broadcast(claim);
    await world.until('the claim is seen', () => world.swap(swap.id).state === 'CLAIM_SEEN');
    await world.mine(1);
    expect(world.standing(swap.id)).toBe('CLAIM_SEEN SETTLED');
    await replace(1);
    expect(world.standing(swap.id)).toBe('FUNDED SETTLED');
    broadcast(claim);
    await world.mine(1);
    expect(world.standing(swap.id)).toBe('CLAIM_SEEN SETTLED');
    await world.mine(1);
    expect(world.standing(swap.id)).toBe('CLAIMED SETTLED');
    await replace(1);
    expect(world.standing(swap.id)).toBe('CLAIMED SETTLED');
  });
  it('of ours is pending until two blocks have it, sent again when it is gone, and final then', async () => {
    const swap = await world.buy(1);
    await world.makeRefundable(swap);
    await world.until('the refund is out', () => world.swap(swap.id).state === 'REFUND_SEEN');
    await world.mine(1);
    expect(world.standing(swap.id)).toBe('REFUND_SEEN CANCELED');
    await replace(1);
    await world.until('it is back', () =>
      world.isInMempool(world.versions(swap.id, 'refund')[0]?.txid ?? swap.fundingTxid),
    );
    await world.mine(1);
    expect(world.standing(swap.id)).toBe('REFUND_SEEN CANCELED');
    await world.mine(1);
    expect(world.standing(swap.id)).toBe('REFUNDED CANCELED');
    expect(world.versions(swap.id, 'refund')).toHaveLength(1);
    expect(world.stuckCoins()).toEqual([]);
  });
});

describe('a reorganisation of three blocks', () => {
  it('pauses new business and tells it; one of two does not', async () => {
    await replace(2);
    expect([findPause(world.ctx.store), world.ctx.health.alarms]).toEqual([undefined, []]);
    await replace(3);
    expect(findPause(world.ctx.store)).toContain('undid at least 3 blocks');
    expect(world.ctx.health.alarms).toHaveLength(1);
  });
  it('is noticed although several blocks came at once', async () => {
    world.sandbox.mine(5);
    await world.look();
    await replace(3);
    expect(findPause(world.ctx.store)).toContain('undid at least 3 blocks');
  });
  it('is noticed when it happened while the daemon was down', async () => {
    await world.restart(() => {
      world.sandbox.reorg(3, { dropTransactions: true });
      world.sandbox.mine(10);
    });
    expect(findPause(world.ctx.store)).toContain('undid at least 3 blocks');
  });
  it('is not made of a server that lags', async () => {
    world.sandbox.reorg(3);
    await world.look();
    expect(findPause(world.ctx.store)).toBeUndefined();
  });
});

describe('a deep reorganisation', () => {
  /** Another spend of the funding's L-BTC coin. */
  const doubleSpend = (swap: FundedSwap): Promise<Buffer> => world.spendToSelf(fundingRaw(swap), policyAsset, 3_000n);

  it('that takes a paid funding back is answered with the same bytes until it is final again', async () => {
    const swap = await world.buy(1);
    await world.makePaid(swap);
    await world.mine(3);
    await replace(5);
    await world.until('it is back', () => world.isInMempool(swap.fundingTxid));
    expect(world.standing(swap.id)).toBe('FUNDED SETTLED');
    expect(findPause(world.ctx.store)).toContain('undid at least');
    await world.mine(2);
    broadcast(world.claim(swap));
    await world.mine(2);
    expect(world.standing(swap.id)).toBe('CLAIMED SETTLED');
  });
  it('that excludes a paid funding for good leaves a debt: OWED, paused and told', async () => {
    const swap = await world.buy(1);
    await world.makePaid(swap);
    await world.mine(3);
    const conflict = await doubleSpend(swap);
    world.sandbox.reorg(5, { dropTransactions: true });
    broadcast(conflict);
    world.sandbox.mine(1);
    await world.look();
    expect(world.standing(swap.id)).toBe('FUNDED SETTLED');
    await world.mine(1);
    await world.until('it is owed', () => world.swap(swap.id).state === 'OWED');
    expect(world.isInMempool(txidOf(parseTransaction(conflict)))).toBe(false);
    expect(findPause(world.ctx.store)).toContain('its funding is gone for good');
    expect(world.ctx.health.alarms.some((alarm) => alarm.includes(swap.id))).toBe(true);
    await world.mine(3);
    expect(world.standing(swap.id)).toBe('OWED SETTLED');
  });
  it('that excludes an unpaid funding for good ends as FAILED, and its coins are free', async () => {
    const swap = await world.buy(1);
    await world.mine(4);
    const conflict = await doubleSpend(swap);
    world.sandbox.reorg(4, { dropTransactions: true });
    broadcast(conflict);
    world.sandbox.mine(5);
    await world.until('it failed', () => world.swap(swap.id).state === 'FAILED');
    expect([world.standing(swap.id), world.balance(world.token)]).toEqual(['FAILED CANCELED', 1_000n]);
    expect([world.balance(policyAsset), world.stuckCoins()]).toEqual([97_000n, []]);
  });
  it('does not lose a withdrawal that was final', async () => {
    const id = await world.withdraw(world.token, 100n);
    await world.mine(3);
    const before = world.sent.length;
    await replace(4);
    await world.until('it is sent again', () => world.sent.length > before);
    await world.mine(1);
    expect(world.minedAt(id)).toBe(world.sandbox.tip().height);
  });
});
