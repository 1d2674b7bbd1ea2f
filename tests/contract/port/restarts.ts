/** Nodes that end, in order or not, while a payment is held or on its way. */
import { describe, expect, it } from 'vitest';

import type { Backend } from './portWorld.js';
import { AMOUNT_MSAT, payRequest, unavailable, type Scene } from './scene.js';
import { followInvoice } from './watch.js';

const NODES = ['payee', 'payer'] as const;

/** Kills while a payment is held. */
export function killSuite(scene: Scene, { payer }: Backend): void {
  describe('a kill', () => {
    it.each(NODES)('of the %s leaves payments held: they can still be settled and canceled', async (name) => {
      const patient = { timeoutSecs: 120 }; // the reason is another one once the call that paid has ended
      const [one, other] = [await scene.heldInvoice(patient), await scene.heldInvoice(patient)];
      await scene.world.restart(name, 'SIGKILL');
      for (const { paymentHash, held } of [one, other]) {
        expect(await scene.payee.lookupInvoice(paymentHash)).toEqual(held);
        expect(await scene.payer.lookupPayment(paymentHash)).toEqual({ state: 'IN_FLIGHT' });
      }
      await scene.world.allUsable();
      await scene.payee.settleInvoice(one.preimage);
      await scene.payee.cancelInvoice(other.paymentHash);
      await scene.inState(one.paymentHash, 'SETTLED');
      await scene.inState(other.paymentHash, 'CANCELED');
      await scene.paymentIs(one.paymentHash, 'SUCCEEDED');
      const { afterRestart, rejected, afterTimeout } = payer.reasons;
      // A block that the payer had not seen when it began ends its search, too.
      const reasons = name === 'payer' ? [afterRestart] : [rejected, ...afterTimeout];
      const failed = await scene.paymentIs(other.paymentHash, 'FAILED');
      expect(reasons.map((reason) => ({ state: 'FAILED', reason }))).toContainEqual(failed);
    });
    it('at the moment of settling ends settled on both sides, and whoever watches learns of it', async () => {
      const { paymentHash, preimage } = await scene.heldInvoice();
      const abort = new AbortController();
      const { states, lost, isLive, ended } = followInvoice(() => scene.payee, paymentHash, abort.signal);
      await scene.until('a stream that tells', async () => {
        await scene.newInvoice();
        return isLive();
      });
      const settling = scene.payee.settleInvoice(preimage).catch(() => undefined);
      await scene.world.restart('payee', 'SIGKILL');
      await settling;
      await scene.world.allUsable();
      await scene.payee.settleInvoice(preimage);
      await scene.inState(paymentHash, 'SETTLED');
      await scene.paymentIs(paymentHash, 'SUCCEEDED');
      await scene.until('a stream that tells, and SETTLED', async () => {
        await scene.newInvoice().catch(() => undefined);
        return isLive() && states.at(-1) === 'SETTLED';
      });
      abort.abort();
      await ended;
      expect(lost).toContainEqual(expect.objectContaining(unavailable));
    });
  });
}

export function restartSuite(scene: Scene, { payee }: Backend): void {
  const settled = async (): Promise<void> => {
    const after = await scene.heldInvoice();
    await scene.payee.settleInvoice(after.preimage);
    expect(await after.payment).toMatchObject({ state: 'SUCCEEDED' });
  };

  describe('a restart', () => {
    it.each(NODES)('of the %s, ordered, keeps the channel and the payments', async (name) => {
      const before = await scene.heldInvoice();
      await scene.payee.settleInvoice(before.preimage);
      await before.payment;
      await scene.world.restart(name, 'SIGTERM');
      await scene.world.allUsable();
      expect(await scene.payer.lookupPayment(before.paymentHash)).toMatchObject({ state: 'SUCCEEDED' });
      expect(await scene.payee.lookupInvoice(before.paymentHash)).toMatchObject({ state: 'SETTLED' });
      await settled();
    });
    it.each(NODES)('after a kill of the %s while it pays the payment is made once, or not at all', async (name) => {
      await scene.noHtlcLeft();
      const capacity = await scene.payer.inboundCapacityMsat();
      const { paymentHash, preimage, invoice } = await scene.newInvoice();
      const payment = scene.payer.pay(payRequest(invoice.bolt11, { timeoutSecs: 3 })).catch(() => undefined);
      await scene.world.restart(name, 'SIGKILL');
      await payment;
      await scene.world.allUsable();
      const again = scene.payer.pay(payRequest(invoice.bolt11)); // joins it, or makes it
      again.catch(() => undefined);
      expect(await scene.heldBy(again, paymentHash)).toMatchObject({ heldMsat: AMOUNT_MSAT });
      await scene.payee.settleInvoice(preimage);
      await scene.paymentIs(paymentHash, 'SUCCEEDED');
      expect(await again).toMatchObject({ state: 'SUCCEEDED' });
      await scene.noHtlcLeft();
      expect((await scene.payer.inboundCapacityMsat()) - capacity).toBe(AMOUNT_MSAT);
    });
  });

  describe('a payee that was down', () => {
    it('leaves the outcome open, and its payment is made once when it is back', async () => {
      const { invoice, paymentHash } = await scene.newInvoice();
      await scene.world.halt('payee', 'SIGKILL');
      const first = await scene.payer.pay(payRequest(invoice.bolt11, { timeoutSecs: 1 })).catch(() => undefined);
      expect(first?.state).not.toBe('SUCCEEDED');
      await scene.world.resume('payee');
      await scene.world.allUsable();
      const payment = scene.payer.pay(payRequest(invoice.bolt11));
      await scene.heldBy(payment, paymentHash);
      await scene.payee.cancelInvoice(paymentHash);
      expect(await payment).toMatchObject({ state: 'FAILED' });
    });
  });

  describe('settling while the payer is away', () => {
    it('is not told as received before the payer is back: an HTLC is pending until then', async () => {
      const { paymentHash, preimage } = await scene.heldInvoice();
      await scene.world.halt('payer', 'SIGKILL');
      await scene.payee.settleInvoice(preimage);
      const settling = await scene.inState(paymentHash, 'SETTLED');
      expect(settling).toMatchObject({ isHtlcPending: true, isTimedOutOnChain: false, heldMsat: AMOUNT_MSAT });
      await scene.world.restart('payee', 'SIGKILL');
      expect(await scene.payee.lookupInvoice(paymentHash)).toEqual(settling);
      await scene.world.resume('payer');
      await scene.world.allUsable();
      await scene.paymentIs(paymentHash, 'SUCCEEDED');
      await scene.until(
        'received',
        async () => (await scene.payee.lookupInvoice(paymentHash))?.isHtlcPending === false,
      );
    });
  });

  describe('the deadline of a payment whose payer is away', () => {
    it('gives it back for ever, and the channel stays', async () => {
      const { paymentHash, preimage, held } = await scene.heldInvoice();
      await scene.world.halt('payer', 'SIGKILL');
      await scene.world.mine((held.claimDeadlineHeight ?? 0) - 1 - (await scene.world.tipHeight()));
      expect(await scene.payee.lookupInvoice(paymentHash)).toEqual(held);
      await scene.world.mine(1);
      expect(await scene.inState(paymentHash, 'CANCELED')).toMatchObject({
        cancelReason: payee.cancelReasons.deadline,
      });
      await expect(scene.payee.settleInvoice(preimage)).rejects.toMatchObject(unavailable);
      await scene.world.resume('payer');
      await scene.world.caughtUp();
      await scene.world.allUsable();
      await scene.paymentIs(paymentHash, 'FAILED');
    });
  });

  describe('the chain', () => {
    it('is followed through a reorg with a payment in flight', async () => {
      await scene.world.mine(6);
      const { preimage, payment } = await scene.heldInvoice();
      await scene.world.reorg(5);
      await scene.payee.settleInvoice(preimage);
      expect(await payment).toMatchObject({ state: 'SUCCEEDED' });
    });
    it('is followed through a reorg that happened while the node was down', async () => {
      await scene.world.halt('payee', 'SIGKILL');
      await scene.world.reorg(4);
      await scene.world.resume('payee');
      await scene.world.caughtUp();
      await scene.world.allUsable();
      await settled();
    });
  });
}
