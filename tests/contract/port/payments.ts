/** Payments that are held, and what may become of them. */
import { describe, expect, it } from 'vitest';

import { msat } from '../../../src/core/units.js';
import type { Backend } from './portWorld.js';
import { AMOUNT_MSAT, payRequest, unavailable, type Scene } from './scene.js';

export function paymentSuite(scene: Scene, { payer, payee }: Backend): void {
  describe('a payment', () => {
    it('is held, then settled, and gives the payer the preimage', async () => {
      const { paymentHash, preimage, payment, held } = await scene.heldInvoice();
      expect(held).toMatchObject({ heldMsat: AMOUNT_MSAT, amountMsat: AMOUNT_MSAT, isHtlcPending: true });
      expect(held.claimDeadlineHeight).toBeGreaterThan((await scene.world.tipHeight()) + 6);
      expect(await scene.payer.lookupPayment(paymentHash)).toEqual({ state: 'IN_FLIGHT' });
      await scene.payee.settleInvoice(preimage);
      expect(await payment).toEqual({ state: 'SUCCEEDED', preimage: Buffer.from(preimage), feeMsat: 0n });
      expect(await scene.inState(paymentHash, 'SETTLED')).toMatchObject({
        heldMsat: AMOUNT_MSAT,
        claimDeadlineHeight: undefined,
        isTimedOutOnChain: false,
      });
      await scene.until('no HTLC left', async () => !(await scene.payee.lookupInvoice(paymentHash))?.isHtlcPending);
      expect(await scene.payer.lookupPayment(paymentHash)).toMatchObject({ state: 'SUCCEEDED' });
    });
    it('is made at most once, however often it is asked for', async () => {
      await scene.noHtlcLeft();
      const capacity = await scene.payer.inboundCapacityMsat();
      const { preimage, invoice, payment } = await scene.heldInvoice();
      const again = scene.payer.pay(payRequest(invoice.bolt11));
      await scene.payee.settleInvoice(preimage);
      expect(await Promise.all([payment, again])).toMatchObject([{ state: 'SUCCEEDED' }, { state: 'SUCCEEDED' }]);
      expect(await scene.payer.pay(payRequest(invoice.bolt11))).toMatchObject({ state: 'SUCCEEDED' });
      await scene.noHtlcLeft();
      expect((await scene.payer.inboundCapacityMsat()) - capacity).toBe(AMOUNT_MSAT);
    });
    it.each(['SUCCEEDED', 'FAILED'] as const)(
      'is still in flight when the call ends first, and is found %s later',
      async (outcome) => {
        const { paymentHash, preimage, payment } = await scene.heldInvoice({ timeoutSecs: 1 });
        expect(await payment).toEqual({ state: 'IN_FLIGHT' });
        expect(await scene.payer.lookupPayment(paymentHash)).toEqual({ state: 'IN_FLIGHT' });
        if (outcome === 'SUCCEEDED') await scene.payee.settleInvoice(preimage);
        else await scene.payee.cancelInvoice(paymentHash);
        const found = await scene.paymentIs(paymentHash, outcome);
        if (found.state === 'FAILED') expect(payer.reasons.afterTimeout).toContain(found.reason);
      },
    );
    it('is refused for an own invoice', async () => {
      const { invoice } = await scene.newInvoice();
      await expect(scene.payee.pay(payRequest(invoice.bolt11))).rejects.toMatchObject(unavailable);
    });
  });

  describe(`another amount than the ${AMOUNT_MSAT} msat that were asked for`, () => {
    it.each([AMOUNT_MSAT + 1n, 2n * AMOUNT_MSAT, 3n * AMOUNT_MSAT])(
      '%i msat are held, told and taken',
      async (heldMsat) => {
        const { paymentHash, preimage, invoice } = await scene.newInvoice();
        const payment = scene.payer.pay(payRequest(await scene.world.node('payee').signAnew(invoice.bolt11, heldMsat)));
        expect(await scene.heldBy(payment, paymentHash)).toMatchObject({ heldMsat, amountMsat: AMOUNT_MSAT });
        await scene.payee.settleInvoice(preimage);
        expect(await payment).toMatchObject({ state: 'SUCCEEDED' });
        expect(await scene.inState(paymentHash, 'SETTLED')).toMatchObject({ heldMsat, amountMsat: AMOUNT_MSAT });
      },
    );
    it('one msat less is never held, and the whole amount can still be paid', async () => {
      const { paymentHash, preimage, invoice } = await scene.newInvoice();
      const less = await scene.world.node('payee').signAnew(invoice.bolt11, AMOUNT_MSAT - 1n);
      const refused = await scene.payer.pay(payRequest(less));
      expect(refused).toEqual({ state: 'FAILED', reason: payer.reasons.rejected });
      expect(await scene.payee.lookupInvoice(paymentHash)).toEqual(invoice);
      await expect(scene.payee.settleInvoice(preimage)).rejects.toMatchObject(unavailable);
      const payment = scene.payer.pay(payRequest(invoice.bolt11));
      expect(await scene.heldBy(payment, paymentHash)).toMatchObject({ heldMsat: AMOUNT_MSAT });
      await scene.payee.settleInvoice(preimage);
      expect(await payment).toMatchObject({ state: 'SUCCEEDED' });
    });
  });

  describe('settle and cancel', () => {
    it('settling twice is one settlement, and a canceling after it is refused', async () => {
      const { paymentHash, preimage, payment } = await scene.heldInvoice();
      await scene.payee.settleInvoice(preimage);
      await scene.payee.settleInvoice(preimage);
      expect(await payment).toMatchObject({ state: 'SUCCEEDED' });
      await scene.payee.settleInvoice(preimage);
      await expect(scene.payee.cancelInvoice(paymentHash)).rejects.toMatchObject(unavailable);
      expect(await scene.inState(paymentHash, 'SETTLED')).toMatchObject({ cancelReason: '' });
    });
    it('canceling a held payment gives it back, for ever', async () => {
      const { paymentHash, preimage, payment, invoice } = await scene.heldInvoice();
      await scene.payee.cancelInvoice(paymentHash);
      await scene.payee.cancelInvoice(paymentHash);
      expect(await payment).toEqual({ state: 'FAILED', reason: payer.reasons.rejected });
      await expect(scene.payee.settleInvoice(preimage)).rejects.toMatchObject(unavailable);
      expect(await scene.payer.pay(payRequest(invoice.bolt11))).toMatchObject({ state: 'FAILED' });
      await scene.until('no HTLC left', async () => !(await scene.payee.lookupInvoice(paymentHash))?.isHtlcPending);
      expect(await scene.payee.lookupInvoice(paymentHash)).toMatchObject({
        state: 'CANCELED',
        cancelReason: payee.cancelReasons.whileHeld,
        claimDeadlineHeight: undefined,
      });
    });
    it('of one payment at once end in one of the two, the same at both ends', async () => {
      const { paymentHash, preimage, payment } = await scene.heldInvoice();
      const calls = [scene.payee.settleInvoice(preimage), scene.payee.cancelInvoice(paymentHash)];
      const answers = await Promise.allSettled(calls);
      expect(answers.filter(({ status }) => status === 'rejected')).toHaveLength(1);
      const isSettled = answers[0]?.status === 'fulfilled';
      expect(await payment).toMatchObject({ state: isSettled ? 'SUCCEEDED' : 'FAILED' });
      await scene.inState(paymentHash, isSettled ? 'SETTLED' : 'CANCELED');
    });
  });

  describe('the expiry of an invoice', () => {
    it('that comes before the payment gives it back, or leaves it to the caller', async () => {
      const { invoice, paymentHash } = await scene.newInvoice({ expirySecs: 3 });
      scene.world.freeze('payee', true);
      const payment = scene.payer.pay(payRequest(invoice.bolt11));
      await scene.until('expiry', () => Promise.resolve(Date.now() / 1000 > invoice.expiresAt));
      scene.world.freeze('payee', false);
      const late = await scene.until('an end of the late payment', async () => {
        const found = await scene.payee.lookupInvoice(paymentHash);
        return found?.state !== 'OPEN' && found;
      });
      expect(payee.lateArrivals).toContain(late.state);
      expect(late.expiresAt).toBe(invoice.expiresAt);
      await scene.payee.cancelInvoice(paymentHash);
      expect(await payment).toMatchObject({ state: 'FAILED' });
      const { cancelReason, heldMsat } = await scene.inState(paymentHash, 'CANCELED');
      expect(heldMsat).toBe(0n);
      expect(cancelReason).toBe(late.state === 'HELD' ? payee.cancelReasons.whileHeld : payee.cancelReasons.expired);
    });
    it('does not touch a payment that is held', async () => {
      const { held, paymentHash, preimage, payment } = await scene.heldInvoice({}, { expirySecs: 6 });
      await scene.until('expiry', () => Promise.resolve(Date.now() / 1000 > held.expiresAt + 1));
      expect(await scene.payee.lookupInvoice(paymentHash)).toMatchObject({ state: 'HELD', expiresAt: held.expiresAt });
      await scene.payee.settleInvoice(preimage);
      expect(await payment).toMatchObject({ state: 'SUCCEEDED' });
    });
  });

  it('an amount to the millisatoshi arrives as it is', async () => {
    const amountMsat = msat(5_234_567n);
    const { paymentHash, preimage, payment, held } = await scene.heldInvoice({}, { amountMsat });
    expect(held).toMatchObject({ heldMsat: amountMsat, amountMsat });
    await scene.payee.settleInvoice(preimage);
    expect(await payment).toMatchObject({ state: 'SUCCEEDED' });
    expect(await scene.inState(paymentHash, 'SETTLED')).toMatchObject({ heldMsat: amountMsat });
  });
}

/** With somebody else who can pay the payee. */
export function rivalSuite(scene: Scene): void {
  describe('a payment of two payers', () => {
    it('stays held when somebody else pays the same invoice too', async () => {
      const { paymentHash, preimage, payment, invoice } = await scene.heldInvoice();
      expect(await scene.other.pay(payRequest(invoice.bolt11))).toMatchObject({ state: 'FAILED' });
      expect(await scene.payee.lookupInvoice(paymentHash)).toMatchObject({ state: 'HELD', heldMsat: AMOUNT_MSAT });
      await scene.payee.settleInvoice(preimage);
      expect(await payment).toMatchObject({ state: 'SUCCEEDED' });
      expect(await scene.other.pay(payRequest(invoice.bolt11))).toMatchObject({ state: 'FAILED' });
    });
  });
}
