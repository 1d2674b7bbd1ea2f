/** A payer that is gone: its payment is taken on the chain. */
import { describe, expect, it } from 'vitest';

import { eventually } from '../../support/eventually.js';
import type { Backend } from './portWorld.js';
import { AMOUNT_MSAT, type Scene } from './scene.js';

/** A node that has nothing to say for a while waits for blocks; so many come then. */
const SILENT_BLOCKS = 5;
/** All its silences last no longer than this, for as many blocks as it may need. */
const SILENCES_MS = 60_000;

/** Leaves the channel closed. */
export function vanishedPayerSuite(scene: Scene, { payee }: Backend): void {
  const silenceMs = (SILENCES_MS * SILENT_BLOCKS) / payee.resolvedAfterBlocks.most;

  describe('a payer that vanished', () => {
    it('has paid all the same: the settled payment is taken on the chain, and the payer finds it there', async () => {
      const { world } = scene;
      const { paymentHash, preimage, held } = await scene.heldInvoice({ maxTotalCltvDelta: 60 });
      const isPending = async (): Promise<boolean | undefined> =>
        (await scene.payee.lookupInvoice(paymentHash))?.isHtlcPending;
      await world.halt('payer', 'SIGKILL');
      await scene.payee.settleInvoice(preimage);
      expect(await scene.inState(paymentHash, 'SETTLED')).toMatchObject({ isHtlcPending: true });

      const timeout = (held.claimDeadlineHeight ?? 0) + payee.givesBackBlocksEarly;
      const closesAt = timeout - payee.closesBlocksEarly;
      await world.mine(closesAt - 1 - (await world.tipHeight()));
      expect(await isPending()).toBe(true);
      expect(await world.mempoolSize()).toBe(0);
      await world.mine(1);
      await scene.until('the channel closed', async () => (await world.mempoolSize()) > 0);
      expect(await isPending()).toBe(true); // nothing of it is in a block
      // What the node has to say goes into a block, and more come if that is nothing.
      const isAnswered = async (): Promise<boolean> => (await world.mempoolSize()) > 0 || (await isPending()) === false;
      let blocks = 0;
      while ((await isPending()) !== false) {
        expect(blocks).toBeLessThan(payee.resolvedAfterBlocks.most);
        const answer = eventually('an answer', isAnswered, silenceMs);
        await world.mine(await answer.then(() => 1).catch(() => SILENT_BLOCKS));
        blocks = (await world.tipHeight()) - closesAt;
      }
      expect(blocks).toBeGreaterThanOrEqual(payee.resolvedAfterBlocks.least);
      const taken = { state: 'SETTLED', heldMsat: AMOUNT_MSAT, isTimedOutOnChain: false };
      expect(await scene.payee.lookupInvoice(paymentHash)).toMatchObject(taken);

      await world.resume('payer');
      await world.mine(6);
      await scene.paymentIs(paymentHash, 'SUCCEEDED');
    });
  });
}
