/** What a lying Electrum server may bring about around refunds and claims: delay, and nothing else. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { LIQUID_NETWORKS } from '../../src/core/network.js';
import type { FundedSwap } from '../../src/core/swap.js';
import { satPerKvb, txid } from '../../src/core/units.js';
import { startBlindingWorker, type BlindingWorker } from '../../src/liquid/blinding.js';
import { asFakeRefund, htlcScript, showAt, showSpend, stayAt, withhold } from '../support/electrumLies.js';
import { HostileWorld } from '../support/hostileWorld.js';

const { policyAsset } = LIQUID_NETWORKS.regtest;

let worker: BlindingWorker;
beforeAll(() => {
  worker = startBlindingWorker();
});
afterAll(() => {
  worker.close();
});

describe.each(['alone', 'beside an honest server'] as const)('a liar %s', (company) => {
  const isAlone = company === 'alone';
  let world: HostileWorld;
  beforeEach(async () => {
    world = await HostileWorld.open(company, worker);
  });
  afterEach(async () => {
    await world[Symbol.asyncDispose]();
  });
  const tip = (): number => world.engine.sandbox.tip().height;
  const problem = (): string | undefined => world.ctx.health.degradedReason;
  const refunds = (swap: FundedSwap) => world.engine.versions(swap.id, 'refund');

  /** Whatever was believed for a while: the coins are all there, less the fees. */
  const endsRefunded = async (swap: FundedSwap): Promise<void> => {
    await world.repent();
    await world.mineTo(swap.refundHeight);
    await world.mine(3);
    await world.untilStanding(swap, 'REFUNDED CANCELED');
    expect(world.balance(world.engine.token)).toBe(6_000n);
    expect(world.stuckCoins()).toEqual([]);
  };

  describe('at the refund height', () => {
    it('that withholds a claim costs nothing', async () => {
      const swap = await world.buyRefundable();
      const claim = world.engine.claim(swap);
      const id = world.engine.sandbox.broadcast(claim.toString('hex'));
      withhold(world.liar, htlcScript(swap), { id, unspent: swap });
      world.engine.sandbox.mine(swap.refundHeight - tip());
      await world.until('the tip is seen', () => world.ctx.health.tip?.height === tip());
      await world.untilLied(3);
      // One that is alone is believed, and the chain refuses what comes of it.
      if (isAlone) expect([world.standing(swap), refunds(swap).length]).toEqual(['FUNDED CANCELED', 1]);
      else expect([world.standing(swap), refunds(swap)]).toEqual(['CLAIM_SEEN CANCELED', []]);
      expect(world.engine.sandbox.status().mempool).toEqual([]);
      if (!isAlone) {
        expect(problem()).toMatch(
          new RegExp(
            `^script [0-9a-f]{68}: ${world.honestUrl} shows ${id} in block [0-9]+, ${world.liar.url} does not$`,
          ),
        );
      }
      await world.repent();
      await world.mine(2);
      await world.untilStanding(swap, 'CLAIMED CANCELED');
      expect(world.stuckCoins()).toEqual([]);
      expect(world.ctx.health.alarms).toHaveLength(1);
    });
    it('that shows a refund which nobody signed keeps the real one back, no longer', async () => {
      const swap = await world.buyRefundable();
      const raw = asFakeRefund(world.engine.claim(swap), swap);
      showSpend(world.liar, htlcScript(swap), { raw, height: tip() });
      world.engine.sandbox.mine(swap.refundHeight - tip());
      await world.until('the tip is seen', () => world.ctx.health.tip?.height === tip());
      await world.untilLied(3);
      expect([world.standing(swap), refunds(swap)]).toEqual(['FUNDED CANCELED', []]);
      await endsRefunded(swap);
    });
    it('that makes up the height gets a refund that no mempool takes, and one only', async () => {
      const swap = await world.buyRefundable();
      stayAt(world.liar, world.engine.sandbox, tip() + 1_000_000);
      await world.until('a refund is signed', () => refunds(swap).length > 0);
      for (let i = 0; i < 5; i += 1) await world.sweep();
      expect(refunds(swap)).toHaveLength(1);
      expect(world.engine.sandbox.status().mempool).toEqual([]);
      expect(world.standing(swap)).toBe('FUNDED CANCELED');
      await endsRefunded(swap);
    });
    it('that made up the height does not keep a refund from a higher fee for ever', async () => {
      const swap = await world.buyRefundable();
      stayAt(world.liar, world.engine.sandbox, tip() + 1_000_000);
      await world.until('a refund is signed', () => refunds(swap).length > 0);
      await world.repent();
      const [first] = refunds(swap);
      const fees = (first?.feeSat ?? 0n) * 3n;
      world.engine.sandbox.setRelayFloor(satPerKvb(fees));
      await endsRefunded(swap);
      expect(refunds(swap).length).toBeGreaterThan(1);
    });
  });

  describe('about the depth of a spend makes nothing final', () => {
    it('of a claim: by a height without a proof, nor by withholding its block', async () => {
      const swap = await world.buyFunded();
      world.pay(swap);
      await world.untilStanding(swap, 'FUNDED SETTLED');
      const id = world.engine.sandbox.broadcast(world.engine.claim(swap).toString('hex'));
      await world.untilStanding(swap, 'CLAIM_SEEN SETTLED');
      showAt(world.liar, htlcScript(swap), { id, height: tip() - 2 });
      await world.untilLied(3);
      expect(world.standing(swap)).toBe('CLAIM_SEEN SETTLED');
      showAt(world.liar, htlcScript(swap), { id, height: 0 });
      world.engine.sandbox.mine(3);
      await world.until('the tip is seen', () => world.ctx.health.tip?.height === tip());
      await world.untilLied(3);
      expect(world.standing(swap)).toBe('CLAIM_SEEN SETTLED');
      await world.repent();
      await world.untilStanding(swap, 'CLAIMED SETTLED');
    });
    it('of a refund: by a height without a proof, nor by withholding its block', async () => {
      const swap = await world.buyRefundable();
      await world.mineTo(swap.refundHeight);
      await world.untilStanding(swap, 'REFUND_SEEN CANCELED');
      const id = refunds(swap)[0]?.txid ?? txid('00'.repeat(32));
      showAt(world.liar, htlcScript(swap), { id, height: tip() - 2 });
      await world.untilLied(3);
      expect(world.standing(swap)).toBe('REFUND_SEEN CANCELED');
      showAt(world.liar, htlcScript(swap), { id, height: 0 });
      world.engine.sandbox.mine(2);
      await world.until('the tip is seen', () => world.ctx.health.tip?.height === tip());
      await world.untilLied(3);
      expect(world.standing(swap)).toBe('REFUND_SEEN CANCELED');
      await world.repent();
      await world.untilStanding(swap, 'REFUNDED CANCELED');
      expect(world.balance(policyAsset)).toBeGreaterThan(0n);
    });
  });
});
