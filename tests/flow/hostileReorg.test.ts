/** Reorganisations and connections that never last, seen through one server and through two. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { isFunded, type FundedSwap } from '../../src/core/swap.js';
import { startBlindingWorker, type BlindingWorker } from '../../src/liquid/blinding.js';
import { HostileWorld } from '../support/hostileWorld.js';

/** The pause between two drops grows by this as long as nothing changes: a slow machine needs more time in between. */
const DROP_GROWTH = 1.1;

let worker: BlindingWorker;
beforeAll(() => {
  worker = startBlindingWorker();
});
afterAll(() => {
  worker.close();
});

describe.each(['alone', 'beside an honest server'] as const)('a server %s', (company) => {
  let world: HostileWorld;
  beforeEach(async () => {
    world = await HostileWorld.open(company, worker);
  });
  afterEach(async () => {
    await world[Symbol.asyncDispose]();
  });

  /** Takes so many blocks back with what is in them, and makes as many and one more. */
  const reorg = async (blocks: number): Promise<void> => {
    world.engine.sandbox.reorg(blocks, { dropTransactions: true });
    world.engine.sandbox.mine(blocks + 1);
    await world.look();
  };
  const isDeep = (blocks: number): boolean => blocks > 2;
  const expectAlarms = (blocks: number): void => {
    expect(world.ctx.health.alarms).toHaveLength(isDeep(blocks) ? 1 : 0);
    if (isDeep(blocks))
      expect(world.ctx.health.alarms[0]).toMatch(/^a reorganisation of Liquid undid at least 3 blocks/);
  };
  /** Blocks above the transaction until a reorganisation of that depth takes its block. */
  const bury = async (blocks: number): Promise<void> => {
    if (blocks > 1) await world.mine(blocks - 1);
  };
  const funding = (swap: FundedSwap): Promise<void> =>
    world.until('the funding is out again', () => world.engine.isInMempool(swap.fundingTxid));

  describe.each([1, 2, 3])('that takes %i blocks back', (blocks) => {
    it('in FUNDED: the same funding goes out again, and the sale goes on', async () => {
      const swap = await world.buy({ minFundingConfs: 1 });
      await world.mine(1);
      await world.untilStanding(swap, 'FUNDED OPEN');
      await bury(blocks);
      await reorg(blocks);
      expectAlarms(blocks);
      await funding(swap);
      world.pay(swap);
      await world.untilStanding(swap, 'FUNDED HELD');
      await world.sweep();
      expect([world.standing(swap), world.nodeCalls()]).toEqual(['FUNDED HELD', []]);
      await world.mine(1);
      await world.untilStanding(swap, 'FUNDED SETTLED');
      expect(world.engine.versions(swap.id, 'funding')).toHaveLength(1);
    });
    it('in HELD: nothing is settled before the funding has its depth again', async () => {
      const swap = await world.buy({ minFundingConfs: 3 });
      await world.mine(3);
      await world.untilStanding(swap, 'FUNDED OPEN');
      world.engine.sandbox.reorg(3, { dropTransactions: true });
      world.engine.sandbox.mine(blocks);
      await world.look();
      await funding(swap);
      world.pay(swap);
      await world.untilStanding(swap, 'FUNDED HELD');
      await world.mine(2);
      expect([world.standing(swap), world.nodeCalls()]).toEqual(['FUNDED HELD', []]);
      await world.mine(1);
      await world.untilStanding(swap, 'FUNDED SETTLED');
    });
    it('in CLAIM_SEEN: the claim is gone, and final when two blocks have it again', async () => {
      const swap = await world.buyFunded();
      world.pay(swap);
      await world.untilStanding(swap, 'FUNDED SETTLED');
      await world.mine(1);
      const claim = world.engine.claim(swap).toString('hex');
      world.engine.sandbox.broadcast(claim);
      world.engine.sandbox.mine(1);
      await world.look();
      await world.untilStanding(swap, 'CLAIM_SEEN SETTLED');
      await reorg(1);
      await world.untilStanding(swap, 'FUNDED SETTLED');
      if (blocks > 1) await reorg(blocks);
      expectAlarms(blocks);
      await world.until('the funding is in a block', () => {
        if (world.engine.minedAt(swap.fundingTxid) === undefined) world.engine.sandbox.mine(1);
        return world.engine.minedAt(swap.fundingTxid) !== undefined;
      });
      world.engine.sandbox.broadcast(claim);
      await world.mine(2);
      await world.untilStanding(swap, 'CLAIMED SETTLED');
    });
    it('in REFUND_SEEN: the refund is sent again, and final when two blocks have it', async () => {
      const swap = await world.buyRefundable();
      await world.mineTo(swap.refundHeight + 3);
      await world.untilStanding(swap, 'REFUND_SEEN CANCELED');
      await world.mine(1);
      const [refund] = world.engine.versions(swap.id, 'refund');
      await reorg(blocks);
      expectAlarms(blocks);
      await world.until('the refund is out again', () =>
        world.engine.versions(swap.id, 'refund').some(({ txid }) => world.engine.isInMempool(txid)),
      );
      await world.mine(2);
      await world.untilStanding(swap, 'REFUNDED CANCELED');
      expect(world.engine.versions(swap.id, 'refund').at(-1)?.txid).toBe(refund?.txid);
      expect(world.stuckCoins()).toEqual([]);
      expect(world.balance(world.engine.token)).toBe(6_000n);
    });
  });

  // Money moves only while both are there, for as long as the wallet takes to ask both anew: that is more than 100 ms.
  const dropMs = company === 'alone' ? 100 : 500;
  it(`that drops its connections after ${dropMs} ms, again and again, does not keep a swap from ending, nor is it flooded with requests`, async () => {
    const before = world.liar.requests();
    const ordered = world.order();
    let drops = 0;
    let pauseMs = dropMs;
    let seen = '';
    const drop = (): void => {
      drops += 1;
      world.liar.drop();
      const standing = world.standing(ordered);
      if (standing === seen) pauseMs *= DROP_GROWTH;
      seen = standing;
      timer = setTimeout(drop, pauseMs);
    };
    let timer = setTimeout(drop, pauseMs);
    try {
      await world.until('it is funded', () => isFunded(world.engine.swap(ordered.id)));
      const swap = world.engine.funded(ordered.id);
      world.engine.sandbox.mine(swap.minFundingConfs);
      await world.untilStanding(swap, 'FUNDED OPEN');
      world.pay(swap);
      await world.untilStanding(swap, 'FUNDED SETTLED');
      world.engine.sandbox.broadcast(world.engine.claim(swap).toString('hex'));
      await world.untilStanding(swap, 'CLAIM_SEEN SETTLED');
      world.engine.sandbox.mine(2);
      await world.untilStanding(swap, 'CLAIMED SETTLED');
      expect(new Set(world.liar.broadcasts).size).toBeLessThanOrEqual(1);
    } finally {
      clearTimeout(timer);
    }
    await world.repent();
    // A connection that is new asks for every script twice at most: its status, and its history.
    const scripts = 2 * 20 + 2 * 12;
    const perConnection = 2 * scripts + 40;
    const requests = world.liar.requests() - before;
    expect(requests).toBeLessThan((drops + 2) * perConnection);
  });
});
