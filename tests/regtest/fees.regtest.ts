/** A real node's least relay fee: what pays less is refused, what the seller and the buyer make pays enough. */
import { expect, it } from 'vitest';

import type { BroadcastFate } from '../crash/electrumProxy.js';
import { readRows, readSwap } from '../crash/sellerDatabase.js';
import { buy, mineToRefundHeight, swapOf, swapWhen } from '../crash/stage.js';
import {
  bought,
  endClaimed,
  endRefunded,
  mineToUnpayable,
  NEVER_PAID,
  pay,
  paymentIs,
  TAKEN,
  verified,
} from '../support/lightningStage.js';
import { regtestSuite } from '../support/regtest/suite.js';
import { eventually } from '../support/testWorld.js';

const LOW = 100;
const RAISED = 2_000;

regtestSuite('the least relay fee of a real node', (stage) => {
  const setFloor = (rate: number): Promise<unknown> => stage().world.ask({ command: 'floor', sat_per_kvb: rate });

  it('that rises between signing and broadcast refuses the funding, which goes out when it falls', async () => {
    let isRaised: Promise<unknown> | undefined;
    stage().proxy.onBroadcast = async (): Promise<BroadcastFate> => {
      await (isRaised ??= setFloor(RAISED));
      return 'forward';
    };
    const created = await buy(stage());
    const id = swapOf(created);
    await eventually('a funding that was sent', () => Promise.resolve(isRaised));
    const row = await swapWhen(stage(), id, 'signed', ({ funding_txid: txid }) => txid !== null);
    const { raw } = readRows(stage().database).txs.find(({ txid }) => txid === row.funding_txid) ?? {};
    const { node } = stage().regtest;
    expect(await node.refusal(raw?.toString('hex') ?? '')).toContain('min relay fee not met');
    expect(await node.mempool()).toEqual([]);
    stage().proxy.onBroadcast = undefined;
    await setFloor(LOW);
    await stage().world.mine(1); // it is sent again with each block
    expect(await node.refusal(raw?.toString('hex') ?? '')).toBeOneOf([undefined, 'txn-already-in-mempool']);
    const swap = await verified(stage(), created);
    await pay(stage(), swap);
    expect(await endClaimed(stage(), [swap])).toEqual([TAKEN]);
    expect((await swapWhen(stage(), id, 'claimed', () => true)).funding_txid).toBe(row.funding_txid);
  });

  it('that is high from the start is paid by the funding and the claim', async () => {
    await setFloor(RAISED);
    await stage().regtest.electrs.restart(); // it asks its node only once
    try {
      const swap = await bought(stage());
      await pay(stage(), swap);
      expect(await endClaimed(stage(), [swap])).toEqual([TAKEN]);
    } finally {
      await setFloor(LOW);
      await stage().regtest.electrs.restart();
    }
  });

  it('that electrs does not tell, since it remembers a lower one, is found by a claim that pays more', async () => {
    const swap = await bought(stage());
    await pay(stage(), swap);
    await paymentIs(stage(), swap, 'SETTLED');
    await setFloor(RAISED);
    try {
      expect(await stage().regtest.electrs.ask('blockchain.relayfee')).toBeLessThan(RAISED / 100_000_000);
      expect(await endClaimed(stage(), [swap])).toEqual([TAKEN]);
    } finally {
      await setFloor(LOW);
    }
  });

  it('that electrs does not tell is found by a refund that pays more', async () => {
    const swap = await bought(stage());
    await mineToUnpayable(stage());
    const row = await paymentIs(stage(), swap, 'CANCELED');
    await setFloor(RAISED);
    try {
      await mineToRefundHeight(stage(), row);
      await eventually(
        'a refund that the node takes',
        async () => {
          await stage().world.mine(1); // each raises it sooner or later
          return readSwap(stage().database, swap.id)?.state !== 'FUNDED' || undefined;
        },
        120_000,
      );
      expect(await endRefunded(stage(), swap)).toEqual(NEVER_PAID);
    } finally {
      await setFloor(LOW);
    }
  });
});
