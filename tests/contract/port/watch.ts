/** Hints of changed invoices. */
import { setTimeout } from 'node:timers/promises';

import { describe, expect, it } from 'vitest';

import type { PaymentHash } from '../../../src/core/units.js';
import type { HoldInvoice, LightningNode } from '../../../src/lightning/node.js';
import { payRequest, type Scene } from './scene.js';

/**
 * Looks an invoice up at its hints and whenever a stream begins to tell, as the seller does, and at no other time.
 * `states` are what was seen, in order, until the signal aborts; `lost` how streams ended.
 */
export function followInvoice(node: () => LightningNode, hash: PaymentHash, signal: AbortSignal) {
  const states: HoldInvoice['state'][] = [];
  const lost: unknown[] = [];
  let isLive = false;
  const look = async (): Promise<void> => {
    const state = (await node().lookupInvoice(hash))?.state;
    if (state !== undefined && states.at(-1) !== state) states.push(state);
  };
  const follow = async (): Promise<void> => {
    while (!signal.aborted) {
      try {
        for await (const hint of node().watchInvoices(signal)) {
          if (!isLive || hint === hash) await look();
          isLive = true;
        }
      } catch (error) {
        lost.push(error); // opened again
      }
      isLive = false;
      await setTimeout(50);
    }
  };
  return { states, lost, isLive: () => isLive, ended: follow() };
}

export function watchSuite(scene: Scene): void {
  describe('watching invoices', () => {
    it('names each invoice that changes until it is aborted', async () => {
      const abort = new AbortController();
      const seen: PaymentHash[] = [];
      const ended = (async () => {
        for await (const hash of scene.payee.watchInvoices(abort.signal)) seen.push(hash);
      })();
      const { paymentHash } = await scene.until('the first change', async () => {
        const made = await scene.newInvoice();
        return seen.length > 0 && made;
      });
      await scene.payee.cancelInvoice(paymentHash);
      await scene.until('the change', () => Promise.resolve(seen.at(-1) === paymentHash));
      abort.abort();
      await ended;
    });
    it('is enough to learn that a payment is held, and that it was taken', async () => {
      const abort = new AbortController();
      const { paymentHash, preimage, invoice } = await scene.newInvoice();
      const { states, isLive, ended } = followInvoice(() => scene.payee, paymentHash, abort.signal);
      await scene.until('a stream that tells', async () => {
        await scene.newInvoice();
        return isLive();
      });
      const payment = scene.payer.pay(payRequest(invoice.bolt11));
      await scene.until('HELD', () => Promise.resolve(states.at(-1) === 'HELD'));
      await scene.payee.settleInvoice(preimage);
      await scene.until('SETTLED', () => Promise.resolve(states.at(-1) === 'SETTLED'));
      expect(await payment).toMatchObject({ state: 'SUCCEEDED' });
      abort.abort();
      await ended;
    });
  });
}
