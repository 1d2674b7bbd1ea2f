/** What a lying Electrum server may bring about around a payment: delay, and nothing else. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import type { FundedSwap } from '../../src/core/swap.js';
import { startBlindingWorker, type BlindingWorker } from '../../src/liquid/blinding.js';
import {
  asClaimWithoutS,
  asFakeRefund,
  htlcScript,
  showAt,
  showBytes,
  showSpend,
  stayAt,
  stripped,
  withhold,
} from '../support/electrumLies.js';
import { ServerFault } from '../support/hostileElectrum.js';
import { HostileWorld } from '../support/hostileWorld.js';

const MERKLE = 'blockchain.transaction.get_merkle';

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

  /** It behaves from now on: the swap is sold as if nothing had been. */
  const sell = async (swap: FundedSwap): Promise<void> => {
    await world.repent();
    if (world.engine.swap(swap.id).state === 'FUNDING_SIGNED') {
      expect(world.standing(swap)).toBe('FUNDING_SIGNED OPEN');
      await world.mine(swap.minFundingConfs);
      await world.untilStanding(swap, 'FUNDED OPEN');
    }
    world.pay(swap);
    await world.untilStanding(swap, 'FUNDED SETTLED');
    const claim = world.engine.claim(swap);
    world.engine.sandbox.broadcast(claim.toString('hex'));
    await world.mine(2);
    await world.untilStanding(swap, 'CLAIMED SETTLED');
    expect(world.engine.versions(swap.id, 'refund')).toEqual([]);
  };

  describe('about the depth of a funding shows no invoice', () => {
    it.each([
      ['-1', () => -1],
      ['0', () => 0],
      ['one above the tip', () => tip() + 1],
      ['a million above the tip', () => tip() + 1_000_000],
    ])('with the height %s', async (_name, heightOf) => {
      const swap = await world.buy();
      showAt(world.liar, htlcScript(swap), { id: swap.fundingTxid, height: heightOf() });
      await world.untilLied(3);
      expect(world.standing(swap)).toBe('FUNDING_SIGNED OPEN');
      await sell(swap);
    });
    it.each([
      ['refuses to prove', undefined],
      ['proves with nothing', []],
      ['proves with made-up hashes', ['aa'.repeat(32), 'bb'.repeat(32)]],
    ])('with a block that it %s', async (_name, merkle) => {
      const swap = await world.buy();
      const height = tip() - 1;
      world.liar.lies.set(MERKLE, () => {
        if (merkle === undefined) throw new ServerFault('tx not found or is unconfirmed');
        return { block_height: height, merkle, pos: 0 };
      });
      showAt(world.liar, htlcScript(swap), { id: swap.fundingTxid, height });
      await world.untilLied(3);
      expect(world.standing(swap)).toBe('FUNDING_SIGNED OPEN');
      if (!isAlone) {
        expect(problem()).toBe(
          `script ${htlcScript(swap).toString('hex')}: ${world.liar.url} shows ${swap.fundingTxid} in block ${height}, ${world.honestUrl} does not`,
        );
      }
      await sell(swap);
    });
  });

  describe('while a payment is held decides nothing about it', () => {
    const nothingDecided = async (swap: FundedSwap): Promise<void> => {
      world.pay(swap);
      await world.untilStanding(swap, 'FUNDED HELD');
      await world.untilLied(3);
      expect([world.standing(swap), world.nodeCalls()]).toEqual(['FUNDED HELD', []]);
    };
    it('by withholding the funding', async () => {
      const swap = await world.buyFunded();
      withhold(world.liar, htlcScript(swap), { id: swap.fundingTxid });
      await nothingDecided(swap);
      expect(world.sent()).toEqual(new Set([swap.fundingTxid]));
      await sell(swap);
    });
    it('by a refund that nobody signed', async () => {
      const swap = await world.buyFunded();
      const raw = asFakeRefund(world.engine.claim(swap), swap);
      showSpend(world.liar, htlcScript(swap), { raw, height: 0 });
      await nothingDecided(swap);
      await sell(swap);
    });
    it('by a claim that does not know S', async () => {
      const swap = await world.buyFunded();
      const raw = asClaimWithoutS(world.engine.claim(swap), swap);
      showSpend(world.liar, htlcScript(swap), { raw, height: tip() - 3 });
      await nothingDecided(swap);
      await sell(swap);
    });
    it('by a spend for which it shows another transaction', async () => {
      const swap = await world.buyFunded();
      showSpend(world.liar, htlcScript(swap), { raw: world.engine.claim(swap), height: 0 });
      const [funding] = world.engine.versions(swap.id, 'funding');
      world.liar.lies.set('blockchain.transaction.get', () => funding?.raw.toString('hex'));
      await nothingDecided(swap);
      await sell(swap);
    });
    it('by an outpoint that is neither unspent nor spent', async () => {
      const swap = await world.buyFunded();
      world.liar.lies.set('blockchain.scripthash.listunspent', () => []);
      await nothingDecided(swap);
      await sell(swap);
    });
    it('by a claim without its witness: once it is seen whole the payment is taken', async () => {
      const swap = await world.buyFunded();
      const claim = world.engine.claim(swap);
      world.engine.sandbox.broadcast(claim.toString('hex'));
      showBytes(world.liar, stripped(claim));
      world.pay(swap);
      if (isAlone) await nothingDecided(swap);
      await world.repent();
      await world.untilStanding(swap, 'CLAIM_SEEN SETTLED');
      await world.mine(2);
      await world.untilStanding(swap, 'CLAIMED SETTLED');
    });
    it('by a tip that is far behind', async () => {
      const swap = await world.buyFunded();
      const height = tip() - 5;
      stayAt(world.liar, world.engine.sandbox, height);
      world.pay(swap);
      await world.untilStanding(swap, 'FUNDED HELD');
      await world.sweep();
      expect([world.standing(swap), world.nodeCalls()]).toEqual(['FUNDED HELD', []]);
      if (!isAlone) expect(problem()).toBe(`servers are 5 blocks apart (${height} and ${tip()})`);
      await sell(swap);
    });
    it.runIf(company === 'beside an honest server')('by a tip that is a million blocks ahead', async () => {
      const swap = await world.buyFunded();
      stayAt(world.liar, world.engine.sandbox, tip() + 1_000_000);
      await world.until('it is degraded', () => problem() !== undefined);
      expect(problem()).toBe(`servers are 1000000 blocks apart (${tip()} and ${tip() + 1_000_000})`);
      world.pay(swap);
      await world.untilStanding(swap, 'FUNDED HELD');
      await world.sweep();
      expect([world.standing(swap), world.nodeCalls()]).toEqual(['FUNDED HELD', []]);
      await sell(swap);
    });
  });
});
