/**
 * SIGKILL of the Lightning nodes while a payment is under way: the seller's, the buyer's, both, at the moments where a node
 * knows more than its peer. Whatever died, the payment is taken once and the buyer claims.
 */
import { createHash } from 'node:crypto';

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

import {
  alarmsOf,
  bought,
  calledAgain,
  endClaimed,
  endRefunded,
  GIVEN_BACK,
  killAndStart,
  money,
  openLightningStage,
  payHeld,
  paymentIs,
  releasedPreimage,
  shownPreimage,
  TAKEN,
  type Bought,
  type LightningStage,
} from '../support/lightningStage.js';

/** Liquid blocks after which a held payment is not settled any more. */
const UNTIL_UNSETTLEABLE = 42;

let stage: LightningStage;

beforeAll(async () => {
  stage = await openLightningStage();
});
afterEach(() => {
  stage.lightning.reset();
  expect(stage.watch.leaks).toEqual([]);
});
afterAll(async () => {
  await stage.close();
});

/** A payment that both nodes and the seller's books call held; nothing is decided about it before `stage.lightning.reset`. */
async function heldSwap(): Promise<Bought> {
  const swap = await bought(stage);
  stage.lightning.rules.changeInfo = (info) => ({ ...info, isSynced: false });
  await payHeld(stage, swap);
  await paymentIs(stage, swap, 'HELD');
  return swap;
}

describe('SIGKILL while a payment is held', () => {
  it.each([
    ["the seller's node", ['lnnoded-seller']],
    ["the buyer's node", ['lnnoded-buyer']],
    ['both nodes', ['lnnoded-seller', 'lnnoded-buyer']],
  ] as const)('of %s: it is held still, and then taken', async (_, victims) => {
    const swap = await heldSwap();
    await killAndStart(stage, victims);
    await calledAgain(stage, 'lookupInvoice', swap, 2);
    expect(await money(stage, swap)).toEqual({ payment: 'IN_FLIGHT', outpoint: 'unspent', books: 'FUNDED/HELD' });
    expect(await stage.node.lookupInvoice(swap.hash)).toMatchObject({ state: 'HELD', isHtlcPending: true });
    stage.lightning.reset();
    expect(await endClaimed(stage, [swap])).toEqual([TAKEN]);
  });

  it('of both nodes: it is given back if the time runs out meanwhile', async () => {
    const swap = await heldSwap();
    await killAndStart(stage, ['lnnoded-seller', 'lnnoded-buyer']);
    await stage.world.mine(UNTIL_UNSETTLEABLE);
    await paymentIs(stage, swap, 'CANCELED');
    stage.lightning.reset();
    expect(await endRefunded(stage, swap)).toEqual(GIVEN_BACK);
  });
});

describe("SIGKILL of the seller's node between its answer to SettleInvoice and the arrival of S at the payer", () => {
  it('costs nothing: S stays in until the payer has paid, and then the swap ends as if nothing had been', async () => {
    const swap = await heldSwap();
    await stage.world.ask({ command: 'kill', name: 'lnnoded-buyer' });
    stage.lightning.reset();
    await paymentIs(stage, swap, 'SETTLED');
    await calledAgain(stage, 'lookupInvoice', swap, 1);
    expect(await shownPreimage(stage, swap)).toBe('');

    await killAndStart(stage, ['lnnoded-seller']);
    const restarted = await stage.node.lookupInvoice(swap.hash);
    expect(restarted).toMatchObject({ state: 'SETTLED', isHtlcPending: true, isTimedOutOnChain: false });
    await calledAgain(stage, 'lookupInvoice', swap, 2);
    expect(await shownPreimage(stage, swap)).toBe('');

    await stage.world.ask({ command: 'start', name: 'lnnoded-buyer' });
    const shown = await releasedPreimage(stage, swap);
    expect(createHash('sha256').update(shown, 'hex').digest('hex')).toBe(swap.hash);
    expect(await endClaimed(stage, [swap])).toEqual([TAKEN]);
    expect((await alarmsOf(stage)).text).not.toContain(swap.id);
  });
});
