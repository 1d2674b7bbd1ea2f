/** A node that takes calls and answers none. */
import { describe, expect, it } from 'vitest';

import type { LightningNode } from '../../../src/lightning/node.js';
import { invoiceRequest, newSecret } from '../../support/lightningWorld.js';
import type { Backend } from './portWorld.js';
import { payRequest, unavailable, type Scene } from './scene.js';

/** For a machine that is busy with other things. */
const SLACK_MS = 10_000;

export function frozenSuite(scene: Scene, { payee }: Backend): void {
  describe('a node that is frozen', () => {
    it('lets every call end as unavailable within its deadline, and goes on where it stood', async () => {
      const held = await scene.heldInvoice({ timeoutSecs: 1 });
      const own = await scene.newInvoice({}, scene.world.node('payer'));
      const { preimage, paymentHash } = newSecret();
      const request = invoiceRequest(paymentHash);
      const calls: Record<string, (node: LightningNode) => Promise<unknown>> = {
        getInfo: (node) => node.getInfo(),
        inboundCapacityMsat: (node) => node.inboundCapacityMsat(),
        createHoldInvoice: (node) => node.createHoldInvoice(request),
        settleInvoice: (node) => node.settleInvoice(preimage),
        cancelInvoice: (node) => node.cancelInvoice(paymentHash),
        lookupInvoice: (node) => node.lookupInvoice(held.paymentHash),
        listHoldInvoices: (node) => node.listHoldInvoices(''),
        pay: (node) => node.pay(payRequest(own.invoice.bolt11, { timeoutSecs: 1 })),
        lookupPayment: (node) => node.lookupPayment(own.paymentHash),
      };
      const began = performance.now();
      scene.world.freeze('payee', true);
      const answers = await Promise.all(
        Object.entries(calls).map(async ([name, call]) => {
          const error = await call(scene.payee).then(
            (answer) => ({ answer }),
            (reason: unknown) => reason,
          );
          return { name, error, ms: performance.now() - began };
        }),
      ).finally(() => {
        scene.world.freeze('payee', false);
      });
      for (const { name, error, ms } of answers) {
        expect(error, name).toMatchObject(unavailable);
        expect(ms, name).toBeLessThan(payee.callMs + SLACK_MS);
      }
      await scene.world.allUsable();
      expect(await scene.payee.lookupInvoice(held.paymentHash)).toEqual(held.held);
      await scene.payee.settleInvoice(held.preimage);
      await scene.paymentIs(held.paymentHash, 'SUCCEEDED');
      const made = await scene.payee.createHoldInvoice(request); // made in the meantime, or now
      expect(made).toMatchObject({ paymentHash, label: request.label });
      expect(await scene.payee.createHoldInvoice(request)).toEqual(made);
    });
  });
}
