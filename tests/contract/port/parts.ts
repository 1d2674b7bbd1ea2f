/** Payments that arrive in parts. */
import { describe, expect, it } from 'vitest';

import { msat } from '../../../src/core/units.js';
import { payRequest, unavailable, type Scene } from './scene.js';

/** More than any one channel of the payer can send. */
const LARGE_MSAT = msat(1_800_000_000n);

/** Over two channels of the payer. */
export function setSuite(scene: Scene): void {
  describe('a payment in two parts', () => {
    it('goes back whole when it is canceled', async () => {
      await scene.noHtlcLeft();
      const before = await scene.payer.inboundCapacityMsat();
      const limits = { maxTotalCltvDelta: 400 };
      const { paymentHash, payment, held } = await scene.heldInvoice(limits, { amountMsat: LARGE_MSAT });
      expect(held).toMatchObject({ heldMsat: LARGE_MSAT });
      await scene.payee.cancelInvoice(paymentHash);
      expect(await payment).toMatchObject({ state: 'FAILED' });
      await scene.noHtlcLeft();
      expect(await scene.payer.inboundCapacityMsat()).toBe(before);
    });
  });
}

/** With `other` between the payer and the payee. Leaves the payer without coins in its channel, so it comes last. */
export function partsSuite(scene: Scene): void {
  setSuite(scene);
  describe('a payment of which a part has arrived', () => {
    it('is not HELD before the last part, and is then one payment', async () => {
      const { paymentHash, preimage, invoice } = await scene.newInvoice({ amountMsat: LARGE_MSAT });
      scene.world.freeze('other', true); // between the payer and the payee, for one of the parts
      const payment = scene.payer.pay(payRequest(invoice.bolt11, { maxTotalCltvDelta: 400, timeoutSecs: 60 }));
      payment.catch(() => undefined);
      const alone = await scene
        .until('a part', async () => {
          const found = await scene.payee.lookupInvoice(paymentHash);
          return found?.isHtlcPending === true && found;
        })
        .catch((error: unknown) => {
          scene.world.freeze('other', false);
          throw error;
        });
      const early = await scene.payee.settleInvoice(preimage).then(
        () => undefined,
        (error: unknown) => error,
      );
      scene.world.freeze('other', false);
      expect(alone).toMatchObject({ state: 'OPEN', heldMsat: 0n, claimDeadlineHeight: undefined });
      expect(early).toMatchObject(unavailable);

      const held = await scene.heldBy(payment, paymentHash);
      expect(held).toMatchObject({ heldMsat: LARGE_MSAT, amountMsat: LARGE_MSAT, isHtlcPending: true });
      await scene.payee.settleInvoice(preimage);
      expect(await payment).toMatchObject({ state: 'SUCCEEDED' });
      expect(await scene.inState(paymentHash, 'SETTLED')).toMatchObject({ heldMsat: LARGE_MSAT });
    });
  });
}
