/** A payment that was settled and went back to the payer all the same, on the chain, while the payee was down. */
import { describe, expect, it } from 'vitest';

import { msat } from '../../../src/core/units.js';
import type { HoldInvoice } from '../../../src/lightning/node.js';
import type { Backend } from './portWorld.js';
import { AMOUNT_MSAT, type Scene } from './scene.js';

/** For a node to say what it has to say about a block. */
const BLOCK_MS = 300;

/** Leaves the channel closed. */
export function timedOutSuite(scene: Scene, { payee }: Backend): void {
  /** Mines block by block, with time for the nodes in between, until the condition holds. */
  const mineUntil = (what: string, probe: () => Promise<boolean>): Promise<unknown> =>
    scene.until(what, async () => {
      if (await probe()) return true;
      await scene.world.mine(1);
      await new Promise((done) => setTimeout(done, BLOCK_MS));
      return false;
    });

  describe('a settled payment that its payer took back on the chain', () => {
    it('is told as such, for good, and never as received; another one is not', async () => {
      const { world } = scene;
      // Of another amount: lnd does not tell which HTLC of a closed channel was whose.
      const fine = await scene.heldInvoice({}, { amountMsat: msat(AMOUNT_MSAT + 1_000_000n) });
      await scene.payee.settleInvoice(fine.preimage);
      await fine.payment;
      const { paymentHash, preimage, held } = await scene.heldInvoice({ maxTotalCltvDelta: 60 });
      const look = async (hash = paymentHash): Promise<HoldInvoice | undefined> => {
        const invoice = await scene.payee.lookupInvoice(hash);
        if (hash === paymentHash) {
          expect(invoice?.state).toBe('SETTLED');
          expect(invoice?.isHtlcPending === false && !invoice.isTimedOutOnChain).toBe(false);
        }
        return invoice;
      };
      await world.halt('payer', 'SIGKILL');
      await scene.payee.settleInvoice(preimage);
      await scene.inState(paymentHash, 'SETTLED');
      expect(await look()).toMatchObject({ isHtlcPending: true, isTimedOutOnChain: false });
      await world.halt('payee', 'SIGKILL');

      await world.resume('payer');
      await world.mine((held.claimDeadlineHeight ?? 0) + payee.givesBackBlocksEarly - (await world.tipHeight()));
      const payment = async () => (await scene.payer.lookupPayment(paymentHash))?.state;
      await mineUntil('the payer has its money back', async () => (await payment()) === 'FAILED');

      await world.resume('payee');
      await world.caughtUp();
      await mineUntil('the payee knows', async () => (await look())?.isTimedOutOnChain === true);
      await mineUntil('nothing is pending', async () => (await look())?.isHtlcPending === false);
      await world.restart('payee', 'SIGKILL');
      expect(await look()).toMatchObject({ isHtlcPending: false, isTimedOutOnChain: true });
      expect(await look(fine.paymentHash)).toMatchObject({ state: 'SETTLED', isTimedOutOnChain: false });
    });
  });
}
