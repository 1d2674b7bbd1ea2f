/** Whole swaps on a real Elements node and electrs: bought by the real program, refunded, and through every restart. */
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';

import { expect, it } from 'vitest';
import { z } from 'zod';

import { isEnded } from '../crash/sellerDatabase.js';
import { buy, mineUntil, swapOf, swapWhen } from '../crash/stage.js';
import {
  bought,
  endClaimed,
  endRefunded,
  GIVEN_BACK,
  mineToUnpayable,
  NEVER_PAID,
  pay,
  payHeld,
  paymentIs,
  restartSeller,
  TAKEN,
  verified,
} from '../support/lightningStage.js';
import { regtestSuite, type RegtestStage } from '../support/regtest/suite.js';
import { startSwap, type SwapEnd } from '../support/swapProgram.js';
import { eventually } from '../support/testWorld.js';

const balanceSchema = z.object({ balances: z.array(z.object({ ticker: z.string(), confirmed: z.string() })) });
const BUY_MS = 180_000;
/** Between two blocks while the program works. */
const BLOCK_MS = 1_000;

/** Runs `swap` in the world to its end while blocks come. */
async function runSwap(stage: RegtestStage, ...args: string[]): Promise<SwapEnd> {
  const run = startSwap([...args, '--world', stage.regtest.worldFile, '--json']);
  const miner = setInterval(() => {
    stage.world.mine(1).catch(() => undefined);
  }, BLOCK_MS);
  const timer = setTimeout(() => run.child.kill('SIGKILL'), BUY_MS);
  const end = await run.ended;
  clearInterval(miner);
  clearTimeout(timer);
  return end;
}

/** How many blocks deep the node has a transaction. */
async function depthAtNode({ regtest }: RegtestStage, txid: string | null): Promise<number> {
  const { height } = await regtest.node.tip();
  for (let depth = 1; depth < height; depth += 1) {
    if ((await regtest.node.blockTxids(height - depth + 1)).includes(txid ?? '')) return depth;
  }
  return 0;
}

regtestSuite('a swap on a real Liquid node', (stage) => {
  it.each([
    ['USDT', '25', '2500000000'],
    ['L-BTC', '0.0005', '50000'],
  ])('of %s that a person buys with the program ends in the wallet of the buyer', async (asset, amount, units) => {
    const dataDir = mkdtempSync(join(stage().world.dir, 'buyer-'));
    const where = ['--data-dir', dataDir];
    expect(await runSwap(stage(), 'init', ...where)).toMatchObject({ code: 0 });
    const end = await runSwap(stage(), 'buy', '--asset', asset, '--amount', amount, ...where);
    expect(end).toMatchObject({ code: 0 });
    expect(JSON.parse(end.stdout)).toMatchObject({ step: 'claimed', asset_amount: units });
    const balance = await runSwap(stage(), 'balance', ...where);
    const { balances } = balanceSchema.parse(JSON.parse(balance.stdout));
    const found = balances.find(({ ticker }) => ticker === asset);
    expect(Number(found?.confirmed)).toBeGreaterThanOrEqual(Number(units)); // of L-BTC the rest of the subsidy is more
    const { swaps } = await stage().admin.listSwaps({ limit: 100 });
    const ids = swaps.flatMap(({ swap }) => (swap === undefined ? [] : [swap.swapId.toString('hex')]));
    await mineUntil(stage(), ids, (rows) => rows.every(isEnded));
    const row = await swapWhen(stage(), ids.at(0) ?? '', 'claimed', ({ state }) => state === 'CLAIMED');
    expect(await depthAtNode(stage(), row.claim_txid)).toBeGreaterThan(1);
  });

  it('that nobody pays is refunded by a transaction that the node takes at the refund height', async () => {
    const swap = await bought(stage());
    await mineToUnpayable(stage());
    expect(await endRefunded(stage(), swap)).toEqual(NEVER_PAID);
    const row = await swapWhen(stage(), swap.id, 'refunded', ({ state }) => state === 'REFUNDED');
    expect(await depthAtNode(stage(), row.refund_txid)).toBeGreaterThan(1);
  });

  it('whose payment comes too late is refunded, and the payment fails', async () => {
    const swap = await bought(stage());
    await mineToUnpayable(stage());
    await paymentIs(stage(), swap, 'CANCELED');
    expect(await pay(stage(), swap)).toBe('FAILED');
    expect(await endRefunded(stage(), swap)).toEqual(GIVEN_BACK);
  });

  it('goes on where it was when the seller is killed with the payment held', async () => {
    const swap = await bought(stage());
    stage().lightning.rules.changeInfo = (info) => ({ ...info, isSynced: false });
    await payHeld(stage(), swap);
    await paymentIs(stage(), swap, 'HELD');
    await stage().seller.down();
    stage().lightning.reset();
    await restartSeller(stage());
    expect(await endClaimed(stage(), [swap])).toEqual([TAKEN]);
  });

  it('is funded once when the node is restarted and forgets the funding that waited for a block', async () => {
    const created = await buy(stage());
    const id = swapOf(created);
    const { funding_txid: txid } = await swapWhen(stage(), id, 'funding', (row) => row.funding_txid !== null);
    const { node, electrs } = stage().regtest;
    await eventually('the funding at the node', async () => (await node.mempool()).includes(txid ?? '') || undefined);
    await node.restart({ isForgettingMempool: true });
    expect(await node.mempool()).toEqual([]);
    await electrs.caughtUp();
    await stage().world.mine(1);
    const swap = await verified(stage(), created);
    await pay(stage(), swap);
    expect(await endClaimed(stage(), [swap])).toEqual([TAKEN]);
    const row = await swapWhen(stage(), id, 'claimed', () => true);
    expect(row.funding_txid).toBe(txid);
    expect(await depthAtNode(stage(), txid)).toBeGreaterThan(1);
  });

  it('waits while electrs is killed, and ends when it is back', async () => {
    const swap = await bought(stage());
    const { electrs } = stage().regtest;
    await electrs.stop('SIGKILL');
    await pay(stage(), swap);
    await eventually('a seller that says so', async () => {
      const { modes } = await stage().admin.getStatus({});
      return modes.includes('DEGRADED') || undefined;
    });
    await electrs.restart();
    expect(await endClaimed(stage(), [swap])).toEqual([TAKEN]);
  });
});
