/** Reorganisations of a real node's chain, by invalidateblock: what a block took back is mined again, or said aloud. */
import { expect, it } from 'vitest';

import { buy, drive, swapOf, swapWhen } from '../crash/stage.js';
import { bought, endClaimed, pay, payHeld, paymentIs, TAKEN, verified } from '../support/lightningStage.js';
import { regtestSuite } from '../support/regtest/suite.js';
import { eventually } from '../support/testWorld.js';

regtestSuite('a reorganisation of a real chain', (stage) => {
  const reorg = (blocks: number): Promise<unknown> =>
    stage().world.ask({ command: 'reorg', chain: 'liquid', blocks, drop: true });
  const heightAtSeller = (height: number): Promise<true> =>
    eventually('the seller at the new tip', async () => {
      return (await stage().admin.getStatus({})).liquidHeight === height || undefined;
    });

  it('that takes the funding out of its block lets nobody take the payment before it is in one again', async () => {
    const swap = await bought(stage());
    const { node } = stage().regtest;
    const { funding_txid: txid } = await swapWhen(stage(), swap.id, 'funded', ({ state }) => state === 'FUNDED');
    await reorg(1);
    expect(await node.mempool()).toContain(txid);
    await heightAtSeller((await node.tip()).height);
    await payHeld(stage(), swap);
    await paymentIs(stage(), swap, 'SETTLED');
    expect(await node.mempool()).not.toContain(txid);
    expect(await endClaimed(stage(), [swap])).toEqual([TAKEN]);
  });

  it('that takes the claim out of its block ends with the claim in another one', async () => {
    const swap = await bought(stage());
    await pay(stage(), swap);
    await paymentIs(stage(), swap, 'SETTLED');
    const claimed = drive(stage(), swap.record, 'claimed');
    claimed.catch(() => undefined); // awaited with the end
    const seen = await swapWhen(stage(), swap.id, 'claim seen', ({ state }) => state === 'CLAIM_SEEN');
    const { node } = stage().regtest;
    await stage().world.mine(1);
    await reorg(1);
    expect(await node.mempool()).toContain(seen.claim_txid);
    expect(await endClaimed(stage(), [swap])).toEqual([TAKEN]);
    const row = await swapWhen(stage(), swap.id, 'claimed', ({ state }) => state === 'CLAIMED');
    expect(row.claim_txid).toBe(seen.claim_txid);
  });

  it('that is three blocks deep pauses new business and is told, and the swap that was under way ends', async () => {
    const created = await buy(stage());
    const swap = await verified(stage(), created);
    await stage().world.mine(3);
    const { height } = await stage().regtest.node.tip();
    await heightAtSeller(height);
    await reorg(3);
    await heightAtSeller(height + 1);
    const { modes, alarms } = await eventually('a paused seller', async () => {
      const status = await stage().admin.getStatus({});
      return status.modes.includes('PAUSED') ? status : undefined;
    });
    expect(modes).toContain('PAUSED');
    expect(alarms.join('\n')).toContain('reorg');
    expect(swapOf(created)).toBe(swap.id);
    await stage().admin.resume({});
    await pay(stage(), swap);
    expect(await endClaimed(stage(), [swap])).toEqual([TAKEN]);
  });
});
