/** What strangers and miners may do to an HTLC on a real chain: coins that nobody asked for, spends that no mempool takes. */
import { Transaction } from 'liquidjs-lib';
import { describe, expect, it } from 'vitest';

import { p2wshScriptPubKey } from '../../src/core/htlc.js';
import type { FundedSwap } from '../../src/core/swap.js';
import { parseTransaction, rawOf } from '../../src/core/tx.js';
import { outpointKey, type AssetId } from '../../src/core/units.js';
import { EngineWorld } from '../support/engineWorld.js';

async function openShop(): Promise<EngineWorld> {
  const world = await EngineWorld.open();
  await world.deposit([
    [world.token, 10_000n],
    ['lbtc', 100_000n],
  ]);
  return world;
}

/** Pays the HTLC's script once more: the same amounts as the swap, and one unit. */
function payScript(world: EngineWorld, swap: FundedSwap): void {
  const scriptPubKey = p2wshScriptPubKey(swap.witnessScript);
  const pay = (amount: bigint, assetId?: AssetId): void => {
    world.sandbox.faucet({ scriptPubKey, amount, ...(assetId === undefined ? {} : { assetId }) });
  };
  pay(1n, world.token);
  pay(swap.assetAmount, world.token);
  pay(swap.feeSubsidySat);
}

/** The claim with another selector: consensus takes anything that is not zero, mempools take 01 only. */
function withSelector(claim: Buffer, selector: Buffer): string {
  const tx: Transaction = parseTransaction(claim);
  tx.ins.forEach((input, i) => {
    tx.setWitness(
      i,
      input.witness.map((item, at) => (at === input.witness.length - 2 ? selector : item)),
    );
  });
  return rawOf(tx).toString('hex');
}

describe('coins that a stranger pays to the script of an HTLC', () => {
  it('are not taken for a funding that never left', async () => {
    await using world = await openShop();
    world.gate = () => ({ kind: 'unknown', cause: new Error('no answer') });
    const swap = await world.buy(1);
    payScript(world, swap);
    await world.mine(swap.minFundingConfs + 1);
    expect(world.standing(swap.id)).toBe('FUNDING_SIGNED OPEN');
  });

  it('change no state, keep nobody from claiming, and are left where they are by the refund', async () => {
    await using world = await openShop();
    const [sold, unpaid] = [await world.buy(1), await world.buy(2)];
    for (const swap of [sold, unpaid]) payScript(world, swap);
    await world.makePaid(sold);
    for (const swap of [sold, unpaid]) payScript(world, swap);
    await world.mine();
    expect([sold, unpaid].map(({ id }) => world.standing(id))).toEqual(['FUNDED SETTLED', 'FUNDED OPEN']);
    world.sandbox.broadcast(world.claim(sold).toString('hex'));
    await world.makeRefundable(unpaid);
    await world.mine(2);
    expect([sold, unpaid].map(({ id }) => world.standing(id))).toEqual(['CLAIMED SETTLED', 'REFUNDED CANCELED']);
    const [refund] = world.versions(unpaid.id, 'refund');
    expect(world.inputsOf(refund?.raw ?? Buffer.alloc(0))).toEqual(
      unpaid.outpoints.map(({ outpoint }) => outpointKey(outpoint)),
    );
    expect(world.ctx.health.alarms).toEqual([]);
  });
});

describe('a claim that only a miner takes', () => {
  it.each([
    ['02', Buffer.of(2)],
    ['0100', Buffer.of(1, 0)],
    ['80 bytes', Buffer.alloc(80, 7)],
  ])('with the selector %s is a claim: CLAIMED, and a payment that is held is taken', async (_name, selector) => {
    await using world = await openShop();
    const [paid, held] = [await world.buy(1), await world.buy(2)];
    await world.makePaid(paid);
    for (const swap of [paid, held]) {
      const raw = withSelector(world.claim(swap), selector);
      expect(() => world.sandbox.broadcast(raw)).toThrow('OP_IF/NOTIF argument must be minimal');
      if (swap === held) world.node.states.set(held.paymentHash, 'HELD');
      world.sandbox.mine(1, { including: raw });
      await world.look();
    }
    await world.mine();
    expect([paid, held].map(({ id }) => world.standing(id))).toEqual(['CLAIMED SETTLED', 'CLAIMED SETTLED']);
    expect(world.node.calls).toEqual(['settle', 'settle']);
    expect([paid, held].flatMap(({ id }) => world.versions(id, 'refund'))).toEqual([]);
  });
});

describe('a sale of L-BTC', () => {
  it('has one outpoint, which is claimed or refunded', async () => {
    await using world = await openShop();
    const lbtc = { assetId: world.sandbox.policyAsset };
    const [sold, unpaid] = [await world.buy(1, lbtc), await world.buy(2, lbtc)];
    expect([sold.outpoints.length, unpaid.outpoints.length]).toEqual([1, 1]);
    expect(sold.outpoints[0]?.value).toBe(sold.assetAmount + sold.feeSubsidySat);
    await world.makePaid(sold);
    world.sandbox.broadcast(world.claim(sold).toString('hex'));
    await world.makeRefundable(unpaid);
    await world.mine(2);
    expect([sold, unpaid].map(({ id }) => world.standing(id))).toEqual(['CLAIMED SETTLED', 'REFUNDED CANCELED']);
  });
});
