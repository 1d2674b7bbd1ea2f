/** A payer that is gone: its payment is taken on the chain. */
import { describe, expect, it } from 'vitest';

import { eventually } from '../../support/eventually.js';
import type { Backend } from './portWorld.js';
import { AMOUNT_MSAT, type Scene } from './scene.js';

/** From the deadline of a settled payment to the closing of its channel. */
const MOST_BLOCKS = 21;
/** A node that has nothing to say after a block waits for the next one. */
const SILENCE_MS = 1000;
/** Blocks that are mined one by one after the closing, and how many at once later: what waits for long, waits for a CSV. */
const SINGLE_BLOCKS = 6;
const STEP = 24;

/** Mines, with what the nodes have to say after the last block. */
async function mineAnswer({ world }: Scene, blocks = 1): Promise<void> {
  await eventually('a transaction', async () => (await world.mempoolSize()) > 0, SILENCE_MS).catch(() => undefined);
  await world.mine(blocks);
}

/** Leaves the channel closed, so it comes last. */
export function vanishedPayerSuite(scene: Scene, { payee }: Backend): void {
  describe('a payer that vanished', () => {
    it('has paid all the same: the settled payment is taken on the chain, and the payer finds it there', async () => {
      const { paymentHash, preimage, held } = await scene.heldInvoice({ maxTotalCltvDelta: 60 });
      const isPending = async (): Promise<boolean | undefined> =>
        (await scene.payee.lookupInvoice(paymentHash))?.isHtlcPending;
      await scene.world.halt('payer', 'SIGKILL');
      await scene.payee.settleInvoice(preimage);
      expect(await scene.inState(paymentHash, 'SETTLED')).toMatchObject({ isHtlcPending: true });

      await scene.world.mine((held.claimDeadlineHeight ?? 0) - (await scene.world.tipHeight()));
      for (let blocks = 0; (await scene.world.mempoolSize()) === 0; blocks += 1) {
        expect(blocks).toBeLessThan(MOST_BLOCKS);
        expect(await isPending()).toBe(true);
        await mineAnswer(scene);
      }
      expect(await isPending()).toBe(true); // the channel is being closed, and nothing is in a block
      const closedAt = await scene.world.tipHeight();
      for (let blocks = 0; (await isPending()) !== false;) {
        expect(blocks).toBeLessThan(payee.resolvedWithinBlocks);
        await mineAnswer(scene, blocks < SINGLE_BLOCKS ? 1 : STEP);
        blocks = (await scene.world.tipHeight()) - closedAt;
      }
      const taken = { state: 'SETTLED', heldMsat: AMOUNT_MSAT, isTimedOutOnChain: false };
      expect(await scene.payee.lookupInvoice(paymentHash)).toMatchObject(taken);

      await scene.world.resume('payer');
      await scene.world.mine(6);
      await scene.paymentIs(paymentHash, 'SUCCEEDED');
    });
  });
}
