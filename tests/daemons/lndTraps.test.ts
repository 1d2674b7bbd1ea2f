/** What makes lnd lose money when it is taken at its word: each trap, and that the port does not fall into it. */
import type { EventEmitter } from 'node:events';

import {
  createChainAddress,
  getInvoice,
  getRouteToDestination,
  decodePaymentRequest,
  payViaPaymentDetails,
  sendToChainAddress,
  subscribeToPayViaRoutes,
} from 'lightning';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { decodeInvoice } from '../../src/core/invoice.js';
import { msat, paymentHash as hashOf, type PaymentHash } from '../../src/core/units.js';
import { checkAtStart } from '../../src/lightning/fitness.js';
import type { HoldInvoiceRequest } from '../../src/lightning/node.js';
import { daemonBinary } from '../support/daemons/binaries.js';
import { startLndPair, type LndPair } from '../support/daemons/lndPair.js';
import { eventually } from '../support/eventually.js';
import { OURS, ranAgainst } from '../support/interoperability.js';
import { invoiceRequest, newSecret } from '../support/lightningWorld.js';

const isBuilt = ['btcd', 'lnd', 'lncli'].every((name) => daemonBinary(name as 'lnd') !== undefined);
const SLOW = 120_000;
const unavailable = { code: 'lightning_unavailable' };

describe.skipIf(!isBuilt)('lnd', { timeout: SLOW }, () => {
  let pair: LndPair;
  beforeAll(async () => {
    pair = await startLndPair();
  }, SLOW * 2);
  afterAll(async () => {
    await pair.close();
  }, SLOW);
  ranAgainst(() => ({
    ours: [OURS.lnd],
    what: 'what lnd does that costs money if it is taken at its word',
    software: [...pair.software],
  }));

  describe('an invoice', () => {
    it('carries every field to the millisatoshi, and lnd keeps label and description hash', async () => {
      const { paymentHash, invoice } = await pair.invoice({ amountMsat: msat(50_000_001n), minFinalCltvDelta: 42 });
      const request = invoiceRequest(paymentHash);
      const decoded = decodeInvoice(invoice.bolt11, 'regtest');
      expect(decoded).toMatchObject({
        payee: pair.payee.node.nodeId,
        paymentHash,
        amountMsat: 50_000_001n,
        minFinalCltvDelta: 42,
        descriptionHash: request.descriptionHash,
      });
      expect(decoded.expiresAt).toBe(invoice.expiresAt);
      expect(decoded.expiresAt - decoded.createdAt).toBe(request.expirySecs);
      const stored = await getInvoice({ lnd: pair.payee.node.lnd, id: paymentHash });
      expect(stored).toMatchObject({ description: request.label, description_hash: request.descriptionHash });
    });
    it.each([
      ['expirySecs', 0],
      ['expirySecs', -5],
      ['minFinalCltvDelta', 0],
    ] as const)('of %s %i, which lnd would take for its default, is not made', async (field, value) => {
      const { paymentHash } = newSecret();
      const made = pair.payee.port.createHoldInvoice(invoiceRequest(paymentHash, { [field]: value }));
      await expect(made).rejects.toMatchObject(unavailable);
      expect(await pair.payee.port.lookupInvoice(paymentHash)).toBeUndefined();
    });
    it('made again is the same, canceled too, and with another field is refused', async () => {
      const { paymentHash, invoice } = await pair.invoice();
      const request = invoiceRequest(paymentHash);
      const { port } = pair.payee;
      expect(await port.createHoldInvoice(request)).toEqual(invoice);
      const changes: Partial<HoldInvoiceRequest>[] = [
        { amountMsat: msat(request.amountMsat + 1n) },
        { descriptionHash: 'cd'.repeat(32) },
        { expirySecs: request.expirySecs + 1 },
        { minFinalCltvDelta: request.minFinalCltvDelta + 1 },
        { label: 'another' },
      ];
      for (const change of changes) {
        await expect(port.createHoldInvoice({ ...request, ...change })).rejects.toMatchObject({
          code: 'payment_hash_reused',
        });
      }
      await port.cancelInvoice(paymentHash);
      expect(await port.createHoldInvoice(request)).toMatchObject({ state: 'CANCELED', bolt11: invoice.bolt11 });
    });
    it('whose preimage lnd knows is none to be held', async () => {
      const { paymentHash, preimage } = newSecret();
      const request = invoiceRequest(paymentHash);
      await pair.payee.node.addPlainInvoice(preimage, request);
      await expect(pair.payee.port.createHoldInvoice(request)).rejects.toMatchObject({ code: 'payment_hash_reused' });
    });
    it('that lnd does not know is told as unknown, by no silence', async () => {
      const { paymentHash, preimage } = newSecret();
      expect(await pair.payee.port.lookupInvoice(paymentHash)).toBeUndefined();
      expect(await pair.payer.port.lookupPayment(paymentHash)).toBeUndefined();
      await expect(pair.payee.port.settleInvoice(preimage)).rejects.toMatchObject(unavailable);
      await expect(pair.payee.port.cancelInvoice(paymentHash)).rejects.toMatchObject(unavailable);
    });
    it('nobody paid is told as EXPIRED once lnd cancels it, and as canceled by a caller before', async () => {
      const early = await pair.invoice();
      await pair.payee.port.cancelInvoice(early.paymentHash);
      expect(await pair.inState(early.paymentHash, 'CANCELED')).toMatchObject({ cancelReason: 'CANCELED_BY_USER' });
      const { paymentHash, invoice } = await pair.invoice({ expirySecs: 1 });
      expect(await pair.inState(paymentHash, 'CANCELED')).toMatchObject({ cancelReason: 'EXPIRED', heldMsat: 0n });
      await expect(pair.pay(invoice.bolt11)).rejects.toMatchObject(unavailable);
      expect(await pair.payer.port.lookupPayment(paymentHash)).toBeUndefined();
    });
  });

  describe('a payment', () => {
    it.each([0, -1, 2017])(
      'with a limit of the total CLTV of %i, which lnd would not respect, is not made',
      async (cap) => {
        const { paymentHash, invoice } = await pair.invoice();
        await expect(pair.pay(invoice.bolt11, { maxTotalCltvDelta: cap })).rejects.toMatchObject(unavailable);
        expect(await pair.payer.port.lookupPayment(paymentHash)).toBeUndefined();
      },
    );
    it('finds no way within 45 blocks for a final CLTV of 42, and one within 46', async () => {
      const { paymentHash, invoice } = await pair.invoice({ minFinalCltvDelta: 42 });
      const result = await pair.pay(invoice.bolt11, { maxTotalCltvDelta: 45 });
      expect(result).toEqual({ state: 'FAILED', reason: 'ROUTE_NOT_FOUND' });
      const payment = pair.pay(invoice.bolt11, { maxTotalCltvDelta: 46 });
      const held = await pair.inState(paymentHash, 'HELD');
      const { blockHeight } = await pair.payer.port.getInfo();
      expect(held.claimDeadlineHeight).toBe(blockHeight + 42 + 3 - 12);
      await pair.payee.port.cancelInvoice(paymentHash);
      expect(await payment).toEqual({ state: 'FAILED', reason: 'RECIPIENT_REJECTED' });
    });
    it('of an own invoice is refused', async () => {
      const { paymentHash, invoice } = await pair.invoice();
      const { node } = pair.payee;
      const own = await node.connect(['offchain:read', 'offchain:write', 'info:read']);
      try {
        const request = { bolt11: invoice.bolt11, maxFeeMsat: msat(0n), maxTotalCltvDelta: 200, timeoutSecs: 10 };
        await expect(own.pay(request)).rejects.toThrow('the invoice is its own');
        expect(await own.lookupPayment(paymentHash)).toBeUndefined();
      } finally {
        own.close();
      }
    });
    it('is made once, however often and by whomever it is asked for', async () => {
      const { preimage, invoice, payment } = await pair.held();
      const again = pair.pay(invoice.bolt11);
      await pair.payee.port.settleInvoice(preimage);
      const paid = { state: 'SUCCEEDED', preimage: Buffer.from(preimage), feeMsat: 0n };
      expect(await Promise.all([payment, again])).toEqual([paid, paid]);
      expect(await pair.pay(invoice.bolt11)).toEqual(paid);
    });
    it('is in flight when its time is over, and its outcome is found later', async () => {
      const { preimage, paymentHash, invoice } = await pair.invoice();
      expect(await pair.pay(invoice.bolt11, { timeoutSecs: 1 })).toEqual({ state: 'IN_FLIGHT' });
      expect(await pair.inState(paymentHash, 'HELD')).toMatchObject({ isHtlcPending: true });
      await pair.payee.port.settleInvoice(preimage);
      await eventually('paid', async () => (await pair.payer.port.lookupPayment(paymentHash))?.state === 'SUCCEEDED');
    });
    it('is attempted no more after a new block: the limit counts from the block of the call', async () => {
      const { paymentHash, payment } = await pair.held();
      await pair.mine(1);
      await eventually('lnd hears that nobody waits for another attempt', () =>
        pair.payer.node.log().includes(`Payment stream ${paymentHash} canceled`),
      );
      expect(await pair.payer.port.lookupPayment(paymentHash)).toEqual({ state: 'IN_FLIGHT' });
      await pair.payee.port.cancelInvoice(paymentHash);
      expect(await payment).toMatchObject({ state: 'FAILED' });
    });
  });

  describe('what is held', () => {
    const payload = async (request: string) => {
      const { lnd } = pair.payer.node;
      const { payment = '', features, cltv_delta = 0, destination } = await decodePaymentRequest({ lnd, request });
      return { payment, features, cltv_delta, destination };
    };

    it('is told as it is when it is too much', async () => {
      const { paymentHash, preimage, invoice } = await pair.invoice();
      const { lnd } = pair.payer.node;
      const id = paymentHash;
      const mtokens = (invoice.amountMsat * 3n).toString();
      const paying = payViaPaymentDetails({
        lnd,
        id,
        mtokens,
        max_fee_mtokens: '0',
        ...(await payload(invoice.bolt11)),
      });
      expect(await pair.inState(paymentHash, 'HELD')).toMatchObject({ heldMsat: invoice.amountMsat * 3n });
      await pair.payee.port.settleInvoice(preimage);
      await paying;
      expect(await pair.inState(paymentHash, 'SETTLED')).toMatchObject({ heldMsat: invoice.amountMsat * 3n });
    });
    it('is not HELD while it is a part of a set, and cannot be settled', async () => {
      const { paymentHash, preimage, invoice } = await pair.invoice();
      const { lnd } = pair.payer.node;
      const part = (invoice.amountMsat / 2n).toString();
      const details = await payload(invoice.bolt11);
      const { route } = await getRouteToDestination({
        lnd,
        mtokens: part,
        total_mtokens: invoice.amountMsat.toString(),
        ...details,
      });
      if (route === undefined) throw new Error('no way');
      const sending = subscribeToPayViaRoutes({ lnd, id: paymentHash, routes: [route] });
      sending.on('error', () => undefined);
      await eventually('the part', async () => (await pair.payee.port.lookupInvoice(paymentHash))?.isHtlcPending);
      expect(await pair.payee.port.lookupInvoice(paymentHash)).toMatchObject({
        state: 'OPEN',
        heldMsat: 0n,
        claimDeadlineHeight: undefined,
        isHtlcPending: true,
      });
      await expect(pair.payee.port.settleInvoice(preimage)).rejects.toMatchObject(unavailable);
      expect(await pair.payee.port.lookupInvoice(paymentHash)).toMatchObject({ state: 'OPEN' });
      await pair.payee.port.cancelInvoice(paymentHash);
      await eventually('the part goes back', async () => {
        const canceled = await pair.payee.port.lookupInvoice(paymentHash);
        return canceled?.state === 'CANCELED' && !canceled.isHtlcPending;
      });
    });
    it('is pending after settling until the money is in', async () => {
      const { paymentHash, preimage } = await pair.held();
      await pair.payer.node.stop('SIGKILL');
      await pair.payee.port.settleInvoice(preimage);
      expect(await pair.inState(paymentHash, 'SETTLED')).toMatchObject({ isHtlcPending: true });
      await pair.payer.node.start();
      const resolved = async (): Promise<boolean> =>
        (await pair.payee.port.lookupInvoice(paymentHash))?.isHtlcPending === false;
      await eventually('the money', resolved, SLOW);
      expect(await pair.payer.port.lookupPayment(paymentHash)).toMatchObject({ state: 'SUCCEEDED' });
    });
    it('is canceled by lnd at the height that was told, not before', async () => {
      const { paymentHash, preimage, payment, held } = await pair.held({ minFinalCltvDelta: 24 });
      const { blockHeight } = await pair.payee.port.getInfo();
      const deadline = held.claimDeadlineHeight ?? 0;
      await pair.mine(deadline - 1 - blockHeight);
      expect(await pair.payee.port.lookupInvoice(paymentHash)).toMatchObject({ state: 'HELD' });
      await pair.mine(1);
      const canceled = await pair.inState(paymentHash, 'CANCELED');
      expect(canceled.cancelReason).toContain('12 blocks before its timeout');
      expect(await payment).toMatchObject({ state: 'FAILED' });
      await expect(pair.payee.port.settleInvoice(preimage)).rejects.toThrow('the invoice is canceled');
    });
  });

  it('without coins of its own is not fit to sell: it could not take a payment on the chain', async () => {
    const { node, port } = pair.payee;
    const { lnd } = node;
    const says = (sentence: string | undefined): Promise<unknown> =>
      eventually(sentence ?? 'nothing', async () => {
        return (await checkAtStart(port, { role: 'seller', network: 'regtest' })) === sentence;
      });
    const lacks = (sats: number): string =>
      `the Lightning node's wallet lacks ${sats} sat of confirmed coins: without them it could not take a payment on the chain in time`;
    const give = async (sats: bigint): Promise<void> => {
      await pair.chain.fund((await createChainAddress({ lnd, format: 'p2wpkh' })).address, sats);
      await pair.mine(1);
    };
    await says(undefined);
    const { address } = await createChainAddress({ lnd: pair.payer.node.lnd, format: 'p2wpkh' });
    await sendToChainAddress({ lnd, address, is_send_all: true });
    await pair.mine(1);
    await says(lacks(10_000));
    await give(9_999n);
    await says(lacks(1));
    await give(50_000n);
    await says(undefined);
  });

  describe('watching', () => {
    const follow = (): { seen: PaymentHash[]; stop: () => void; ended: Promise<unknown> } => {
      const abort = new AbortController();
      const seen: PaymentHash[] = [];
      const ended = (async () => {
        for await (const hash of pair.payee.port.watchInvoices(abort.signal)) seen.push(hash);
        return 'ended';
      })().catch((error: unknown) => error);
      return {
        seen,
        ended,
        stop: () => {
          abort.abort();
        },
      };
    };

    it('tells of an invoice held, settled, and resolved; and of one that another program made', async () => {
      const { seen, stop, ended } = follow();
      const elsewhere = await pair.payee.node.connect(['invoices:read', 'invoices:write', 'info:read']);
      const other = newSecret();
      await elsewhere.createHoldInvoice(invoiceRequest(other.paymentHash));
      elsewhere.close();
      const { paymentHash, preimage } = await pair.held();
      await eventually('the hint of HELD', () => seen.filter((hash) => hash === paymentHash).length >= 2);
      await pair.payee.port.settleInvoice(preimage);
      await eventually(
        'hints of SETTLED and of its end',
        () => seen.filter((hash) => hash === paymentHash).length >= 4,
      );
      await eventually('the invoice made elsewhere', () => seen.includes(other.paymentHash), 30_000);
      stop();
      expect(await ended).toBe('ended');
    });
    it('opens no stream for an AMP invoice of others, which lnd calls settled and pending for ever', async () => {
      const hash = await paidAmpInvoice(pair);
      const { seen, stop, ended } = follow();
      const { paymentHash } = await pair.invoice();
      await eventually('the first look', () => seen.includes(paymentHash));
      await new Promise((done) => setTimeout(done, 1_000));
      stop();
      expect(await ended).toBe('ended');
      expect(seen).not.toContain(hash);
    });
    it('ends when lnd is killed; afterwards the same port works and the payment is held', async () => {
      const { paymentHash, preimage } = await pair.held();
      const { seen, ended } = follow();
      await eventually('the first look', () => seen.includes(paymentHash));
      await pair.payee.node.stop('SIGKILL');
      expect(await ended).toMatchObject(unavailable);
      await expect(pair.payee.port.lookupInvoice(paymentHash)).rejects.toMatchObject(unavailable);
      await pair.payee.node.start();
      expect(await pair.inState(paymentHash, 'HELD')).toMatchObject({ isHtlcPending: true });
      const again = follow();
      await eventually('the look after the reconnect', () => again.seen.includes(paymentHash));
      again.stop();
      await pair.payee.port.settleInvoice(preimage);
      await eventually(
        'paid',
        async () => (await pair.payer.port.lookupPayment(paymentHash))?.state === 'SUCCEEDED',
        SLOW,
      );
    });
    it('ends when lnd is frozen, and so does every call', async () => {
      const { paymentHash } = await pair.invoice();
      const { seen, ended } = follow();
      await eventually('the first look', () => seen.includes(paymentHash));
      pair.payee.node.freeze(true);
      try {
        const begin = Date.now();
        await expect(pair.payee.port.lookupInvoice(paymentHash)).rejects.toThrow('no answer in time');
        expect(Date.now() - begin).toBeLessThan(20_000);
        expect(await ended).toMatchObject(unavailable);
      } finally {
        pair.payee.node.freeze(false);
      }
      await pair.inState(hashOf(paymentHash), 'OPEN');
    });
  });
});

type Made = { readonly r_hash: Buffer; readonly payment_request: string };
type RawLnd = {
  readonly default: { addInvoice(request: object, done: (error: Error | null, made: Made) => void): void };
  readonly router: { sendPaymentV2(request: object): EventEmitter };
};

/** By lnd's own calls: the library's know no AMP. @returns its hash */
async function paidAmpInvoice({ payee, payer }: LndPair): Promise<string> {
  const [seller, buyer] = [payee.node.lnd, payer.node.lnd] as unknown as [RawLnd, RawLnd];
  const made = await new Promise<Made>((resolve, reject) => {
    seller.default.addInvoice({ value: 1000, is_amp: true, private: true }, (error, answer) => {
      if (error === null) resolve(answer);
      else reject(error);
    });
  });
  const { payment_request } = made;
  const sending = buyer.router.sendPaymentV2({ payment_request, amp: true, timeout_seconds: 60, fee_limit_sat: 0 });
  await new Promise<void>((resolve, reject) => {
    sending.on('data', ({ status }: { status: string }) => {
      if (status === 'SUCCEEDED') resolve();
      if (status === 'FAILED') reject(new Error('the AMP payment failed'));
    });
    sending.on('error', reject);
  });
  return made.r_hash.toString('hex');
}
