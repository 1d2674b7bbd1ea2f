/** Invoices that nobody pays. */
import { describe, expect, it } from 'vitest';

import { decodeInvoice } from '../../../src/core/invoice.js';
import { msat } from '../../../src/core/units.js';
import type { HoldInvoiceRequest } from '../../../src/lightning/node.js';
import { invoiceRequest, newSecret } from '../../support/lightningWorld.js';
import type { Backend } from './portWorld.js';
import { payRequest, unavailable, type Scene } from './scene.js';

export function invoiceSuite(scene: Scene, { payee }: Backend): void {
  describe('node', () => {
    it('tells who it is and that it is synced', async () => {
      const info = await scene.payee.getInfo();
      expect(info.nodeId).toBe(scene.world.node('payee').nodeId);
      expect(info).toMatchObject({ network: 'regtest', isSynced: true, blockHeight: await scene.world.tipHeight() });
    });
    it('tells what it could receive', async () => {
      const capacity = await scene.payee.inboundCapacityMsat();
      expect(capacity).toBeGreaterThan(2_000_000_000n);
      expect(capacity).toBeLessThan(2_500_000_000n);
    });
  });

  describe('a new hold invoice', () => {
    it.each(payee.finalCltv.taken)('carries what was asked for, with a final CLTV of %i', async (minFinalCltvDelta) => {
      const before = Math.floor(Date.now() / 1000);
      const made = await scene.newInvoice({ minFinalCltvDelta, amountMsat: msat(12_345_678n) });
      const { request, invoice, paymentHash } = made;
      const decoded = decodeInvoice(invoice.bolt11, 'regtest');
      expect(decoded).toMatchObject({
        payee: (await scene.payee.getInfo()).nodeId,
        paymentHash,
        amountMsat: 12_345_678n,
        minFinalCltvDelta,
        descriptionHash: request.descriptionHash,
      });
      expect(decoded.createdAt).toBeGreaterThanOrEqual(before);
      expect(decoded.expiresAt - decoded.createdAt).toBe(600);
      expect(invoice).toMatchObject({
        state: 'OPEN',
        amountMsat: 12_345_678n,
        heldMsat: 0n,
        claimDeadlineHeight: undefined,
        isHtlcPending: false,
        isTimedOutOnChain: false,
        expiresAt: decoded.expiresAt,
        label: request.label,
        cancelReason: '',
      });
      expect(await scene.payee.lookupInvoice(paymentHash)).toEqual(invoice);
    });
    it.each(payee.finalCltv.refused)('is refused with a final CLTV of %i', async (minFinalCltvDelta) => {
      const { paymentHash } = newSecret();
      const request = invoiceRequest(paymentHash, { minFinalCltvDelta });
      await expect(scene.payee.createHoldInvoice(request)).rejects.toMatchObject(unavailable);
      expect(await scene.payee.lookupInvoice(paymentHash)).toBeUndefined();
    });
    it.each([
      ['expirySecs', 0],
      ['expirySecs', -5],
      ['minFinalCltvDelta', 0],
    ] as const)('is refused with %s %i: some nodes take that for a default', async (field, value) => {
      const { paymentHash } = newSecret();
      const made = scene.payee.createHoldInvoice(invoiceRequest(paymentHash, { [field]: value }));
      await expect(made).rejects.toMatchObject(unavailable);
      expect(await scene.payee.lookupInvoice(paymentHash)).toBeUndefined();
    });
    it('is the same when asked for again with the same fields', async () => {
      const { request, invoice } = await scene.newInvoice();
      expect(await scene.payee.createHoldInvoice(request)).toEqual(invoice);
    });
    it('is the same when asked for twice at once', async () => {
      const { request } = await scene.newInvoice();
      const fresh = { ...request, ...newSecret(), label: 'twice/one' };
      const [one, other] = await Promise.all([0, 1].map(() => scene.payee.createHoldInvoice(fresh)));
      expect(one).toEqual(other);
    });
    it('is the same, and still CANCELED, when asked for again after it was canceled', async () => {
      const { request, paymentHash } = await scene.newInvoice();
      await scene.payee.cancelInvoice(paymentHash);
      const canceled = await scene.inState(paymentHash, 'CANCELED');
      expect(await scene.payee.createHoldInvoice(request)).toEqual(canceled);
    });
    it.each<Partial<HoldInvoiceRequest>>([
      { amountMsat: msat(25_000_001n) },
      { descriptionHash: 'cd'.repeat(32) },
      { expirySecs: 601 },
      { minFinalCltvDelta: 43 },
      { label: 'another' },
    ])('is refused for a used hash with %o', async (change) => {
      const { request, invoice, paymentHash } = await scene.newInvoice();
      const again = scene.payee.createHoldInvoice({ ...request, ...change });
      await expect(again).rejects.toMatchObject({ code: 'payment_hash_reused' });
      expect(await scene.payee.lookupInvoice(paymentHash)).toEqual(invoice);
    });
    it('is found by the prefix of its label, and by no other', async () => {
      const { invoice } = await scene.newInvoice({ label: 'list/one' });
      const second = await scene.newInvoice({ label: 'list/two' });
      expect(await scene.payee.listHoldInvoices('list/')).toEqual([second.invoice, invoice]);
      expect(await scene.payee.listHoldInvoices('list/one')).toEqual([invoice]);
      expect(await scene.payee.listHoldInvoices('ist/')).toEqual([]);
    });
    it('is unknown to a node that did not make it', async () => {
      const { paymentHash } = await scene.newInvoice();
      expect(await scene.payer.lookupInvoice(paymentHash)).toBeUndefined();
      expect(await scene.payer.lookupPayment(paymentHash)).toBeUndefined();
    });
  });

  describe('an unpaid invoice', () => {
    it('that is canceled refuses payments for ever', async () => {
      const { invoice, paymentHash, preimage } = await scene.newInvoice();
      await scene.payee.cancelInvoice(paymentHash);
      await scene.payee.cancelInvoice(paymentHash);
      const canceled = await scene.inState(paymentHash, 'CANCELED');
      expect(canceled).toMatchObject({ cancelReason: payee.cancelReasons.byUser });
      expect(await scene.payer.pay(payRequest(invoice.bolt11))).toMatchObject({ state: 'FAILED' });
      expect(await scene.payer.pay(payRequest(invoice.bolt11))).toMatchObject({ state: 'FAILED' });
      await expect(scene.payee.settleInvoice(preimage)).rejects.toMatchObject(unavailable);
      expect(await scene.payee.lookupInvoice(paymentHash)).toEqual(canceled);
    });
    it('cannot be settled, nor can one that is unknown be settled or canceled', async () => {
      const { preimage, paymentHash } = await scene.newInvoice();
      await expect(scene.payee.settleInvoice(preimage)).rejects.toMatchObject(unavailable);
      expect(await scene.payee.lookupInvoice(paymentHash)).toMatchObject({ state: 'OPEN' });
      await expect(scene.payee.settleInvoice(newSecret().preimage)).rejects.toMatchObject(unavailable);
      await expect(scene.payee.cancelInvoice(newSecret().paymentHash)).rejects.toMatchObject(unavailable);
    });
    it('is canceled when it expires, and cannot be paid any more', async () => {
      const { invoice, paymentHash } = await scene.newInvoice({ expirySecs: 1 });
      const expired = await scene.inState(paymentHash, 'CANCELED');
      expect(expired).toMatchObject({ cancelReason: payee.cancelReasons.expired, expiresAt: invoice.expiresAt });
      expect(Date.now() / 1000).toBeGreaterThanOrEqual(invoice.expiresAt);
      await expect(scene.payer.pay(payRequest(invoice.bolt11))).rejects.toMatchObject(unavailable);
      expect(await scene.payer.lookupPayment(paymentHash)).toBeUndefined();
    });
  });
}
