/** A payer that is gone: its payment is taken on the chain. */
import { describe, expect, it } from 'vitest';

import { eventually } from '../../support/eventually.js';
import { AMOUNT_MSAT, type Scene } from './scene.js';

/** From the deadline of the payment to the end of what is said about it on the chain. */
const MOST_BLOCKS = 40;
/** A node that has nothing to say after a block waits for the next one. */
const SILENCE_MS = 2000;

/** Mines one block, with what the nodes have to say after the last one. */
async function mineAnswer({ world }: Scene): Promise<void> {
  await eventually('a transaction', async () => (await world.mempoolSize()) > 0, SILENCE_MS).catch(() => undefined);
  await world.mine(1);
}

/** Leaves the channel closed, so it comes last. */
export function vanishedPayerSuite(scene: Scene): void {
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
      for (let blocks = 0; (await isPending()) !== false; blocks += 1) {
        expect(blocks).toBeLessThan(MOST_BLOCKS);
        await mineAnswer(scene);
      }
      const taken = { state: 'SETTLED', heldMsat: AMOUNT_MSAT, isTimedOutOnChain: false };
      expect(await scene.payee.lookupInvoice(paymentHash)).toMatchObject(taken);

      await scene.world.resume('payer');
      await scene.world.mine(6);
      await scene.paymentIs(paymentHash, 'SUCCEEDED');
    });
  });
}
