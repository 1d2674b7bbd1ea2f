/** Fees, lengths of time in blocks, and the deadline of a held payment. */
import { describe, expect, it } from 'vitest';

import { msat } from '../../../src/core/units.js';
import type { Backend } from './portWorld.js';
import { AMOUNT_MSAT, FINAL_CLTV, payRequest, unavailable, type Scene } from './scene.js';

export function limitSuite(scene: Scene, { payer, payee }: Backend): void {
  describe('the CLTV cap of a payment', () => {
    it.each([FINAL_CLTV, 144])('may be so much above a final CLTV of %i, and not one block less', async (finalCltv) => {
      const { invoice, paymentHash } = await scene.newInvoice({ minFinalCltvDelta: finalCltv });
      const maxTotalCltvDelta = payer.leastCap(finalCltv, 0);
      const pay = (cap: number) => scene.payer.pay(payRequest(invoice.bolt11, { maxTotalCltvDelta: cap }));
      expect(await pay(maxTotalCltvDelta - 1)).toEqual({ state: 'FAILED', reason: payer.reasons.noRoute });
      expect(await scene.payee.lookupInvoice(paymentHash)).toEqual(invoice);
      const tip = await scene.world.tipHeight();
      const payment = pay(maxTotalCltvDelta);
      const { claimDeadlineHeight } = await scene.heldBy(payment, paymentHash);
      expect(claimDeadlineHeight).toBe(tip + finalCltv + payer.blocksAdded - payee.givesBackBlocksEarly);
      await scene.payee.cancelInvoice(paymentHash);
      expect(await payment).toEqual({ state: 'FAILED', reason: payer.reasons.rejected });
    });
    it('bounds the timeout of the HTLC, whatever the payer adds of its own', async () => {
      const maxTotalCltvDelta = FINAL_CLTV + 18;
      const tip = await scene.world.tipHeight();
      const { paymentHash, held } = await scene.heldInvoice({ maxTotalCltvDelta });
      const timeout = (held.claimDeadlineHeight ?? 0) + payee.givesBackBlocksEarly;
      expect(timeout).toBeGreaterThanOrEqual(tip + FINAL_CLTV);
      expect(timeout).toBeLessThanOrEqual(tip + maxTotalCltvDelta + payer.blocksOverCap);
      await scene.payee.cancelInvoice(paymentHash);
    });
    it.each([0, -1])('of %i, which some nodes take for none, is refused', async (maxTotalCltvDelta) => {
      const { invoice, paymentHash } = await scene.newInvoice();
      const payment = scene.payer.pay(payRequest(invoice.bolt11, { maxTotalCltvDelta }));
      await expect(payment).rejects.toMatchObject(unavailable);
      expect(await scene.payer.lookupPayment(paymentHash)).toBeUndefined();
      expect(await scene.payee.lookupInvoice(paymentHash)).toEqual(invoice);
    });
  });

  describe('the deadline of a held payment', () => {
    it('is told early enough: a block before it the payment is taken, at it it goes back for ever', async () => {
      const limits = { maxTotalCltvDelta: payer.leastCap(FINAL_CLTV, 0), timeoutSecs: 60 };
      const taken = await scene.heldInvoice(limits);
      const left = await scene.heldInvoice(limits);
      const deadline = left.held.claimDeadlineHeight ?? 0;
      expect(taken.held.claimDeadlineHeight).toBe(deadline);
      await scene.world.mine(deadline - 1 - (await scene.world.tipHeight()));
      expect(await scene.payee.lookupInvoice(left.paymentHash)).toEqual(left.held);
      await scene.payee.settleInvoice(taken.preimage);
      expect(await taken.payment).toMatchObject({ state: 'SUCCEEDED' });

      await scene.world.mine(1);
      expect(await scene.inState(left.paymentHash, 'CANCELED')).toMatchObject({
        cancelReason: payee.cancelReasons.deadline,
        claimDeadlineHeight: undefined,
      });
      expect(await left.payment).toMatchObject({ state: 'FAILED' });
      await expect(scene.payee.settleInvoice(left.preimage)).rejects.toMatchObject(unavailable);
      await scene.world.allUsable(); // nobody closed a channel over it
      expect(await scene.payee.lookupInvoice(taken.paymentHash)).toMatchObject({ state: 'SETTLED' });
    });
  });
}

/** Over a node in between: `other` pays `payer`, by way of the payee. */
export function hopSuite(scene: Scene, { payee }: Backend): void {
  describe('the CLTV cap of a payment over a hop', () => {
    it('counts the hops in between', async () => {
      const { invoice, preimage, paymentHash } = await scene.newInvoice({}, scene.world.node('payer'));
      const least = payee.leastCap(FINAL_CLTV, payee.hop.cltvDelta);
      const pay = (cap: number) => scene.other.pay(payRequest(invoice.bolt11, { maxTotalCltvDelta: cap }));
      expect(await pay(least - 1)).toEqual({ state: 'FAILED', reason: payee.reasons.noRoute });
      const payment = pay(least);
      await scene.heldBy(payment, paymentHash, scene.world.node('payer'));
      await scene.payer.settleInvoice(preimage);
      expect(await payment).toMatchObject({ state: 'SUCCEEDED' });
    });
  });

  describe('the fee limit of a payment', () => {
    const payLimited = (bolt11: string, maxFeeMsat: bigint, timeoutSecs = 20) =>
      scene.other.pay(payRequest(bolt11, { maxFeeMsat: msat(maxFeeMsat), timeoutSecs }));

    it('is respected to the millisatoshi', async () => {
      const { invoice, preimage, paymentHash } = await scene.newInvoice({}, scene.world.node('payer'));
      const noRoute = { state: 'FAILED', reason: payee.reasons.noRoute };
      expect(await payLimited(invoice.bolt11, 0n)).toEqual(noRoute);
      expect(await payLimited(invoice.bolt11, payee.hop.baseFeeMsat - 1n)).toEqual(noRoute);
      const fee = payee.hop.feeMsat(AMOUNT_MSAT);
      const payment = payLimited(invoice.bolt11, fee);
      await scene.heldBy(payment, paymentHash, scene.world.node('payer'));
      await scene.payer.settleInvoice(preimage);
      expect(await payment).toMatchObject({ state: 'SUCCEEDED', feeMsat: fee });
    });
    it('pays nothing when it is one millisatoshi short', async () => {
      const { invoice, paymentHash } = await scene.newInvoice({}, scene.world.node('payer'));
      const short = await payLimited(invoice.bolt11, payee.hop.feeMsat(AMOUNT_MSAT) - 1n, 2);
      expect(payee.belowFee).toContain(short.state);
      expect(await scene.payer.lookupInvoice(paymentHash)).toMatchObject({ state: 'OPEN', heldMsat: 0n });
      await scene.payer.cancelInvoice(paymentHash); // and with it a part that is out
      await scene.until('FAILED', async () => (await scene.other.lookupPayment(paymentHash))?.state === 'FAILED');
    });
  });
}
