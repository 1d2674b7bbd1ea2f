/** What makes lnd lose money when it is taken at its word: each trap, and that the port does not fall into it. */
import type { EventEmitter } from 'node:events';

import {
  createChainAddress,
  getInvoice,
  getRouteToDestination,
  decodePaymentRequest,
  sendToChainAddress,
  subscribeToPayViaRoutes,
} from 'lightning';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { decodeInvoice } from '../../src/core/invoice.js';
import { msat, paymentHash as hashOf, type PaymentHash } from '../../src/core/units.js';
import { checkAtStart } from '../../src/lightning/fitness.js';
import type { LightningNode } from '../../src/lightning/node.js';
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
    it('whose preimage lnd knows is none to be held', async () => {
      const { paymentHash, preimage } = newSecret();
      const request = invoiceRequest(paymentHash);
      await pair.payee.node.addPlainInvoice(preimage, request);
      await expect(pair.payee.port.createHoldInvoice(request)).rejects.toMatchObject({ code: 'payment_hash_reused' });
    });
  });

  describe('a payment', () => {
    it('with a limit of the total CLTV that lnd would not respect is not made', async () => {
      const cap = 2017;
      const { paymentHash, invoice } = await pair.invoice();
      await expect(pair.pay(invoice.bolt11, { maxTotalCltvDelta: cap })).rejects.toMatchObject(unavailable);
      expect(await pair.payer.port.lookupPayment(paymentHash)).toBeUndefined();
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
    it('in parts that nobody could take on the chain is held with nothing that counts', async () => {
      const { paymentHash, invoice } = await pair.invoice({ amountMsat: msat(2_000_000n) });
      const { lnd } = pair.payer.node;
      const details = await payload(invoice.bolt11);
      for (let i = 0; i < 2; i += 1) {
        const sum = { mtokens: '1000000', total_mtokens: '2000000' };
        const { route } = await getRouteToDestination({ lnd, ...sum, ...details });
        if (route === undefined) throw new Error('no way');
        subscribeToPayViaRoutes({ lnd, id: paymentHash, routes: [route] }).on('error', () => undefined);
      }
      expect(await pair.inState(paymentHash, 'HELD')).toMatchObject({ heldMsat: 0n });
      await pair.payee.port.cancelInvoice(paymentHash);
      await pair.inState(paymentHash, 'CANCELED');
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
    const follow = (
      port: LightningNode = pair.payee.port,
    ): { seen: PaymentHash[]; stop: () => void; ended: Promise<unknown> } => {
      const abort = new AbortController();
      const seen: PaymentHash[] = [];
      const ended = (async () => {
        for await (const hash of port.watchInvoices(abort.signal)) seen.push(hash);
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

    it('tells of an invoice held, settled, and resolved', async () => {
      const { seen, stop, ended } = follow();
      const { paymentHash, preimage } = await pair.held();
      await eventually('the hint of HELD', () => seen.filter((hash) => hash === paymentHash).length >= 2);
      await pair.payee.port.settleInvoice(preimage);
      await eventually(
        'hints of SETTLED and of its end',
        () => seen.filter((hash) => hash === paymentHash).length >= 4,
      );
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
    // Each waits for the next look at the list of one of the two nodes.
    it.concurrent('tells of an invoice that another program made', async () => {
      const connect = (): Promise<LightningNode> =>
        pair.payer.node.connect(['invoices:read', 'invoices:write', 'info:read', 'offchain:read']);
      const [here, elsewhere] = [await connect(), await connect()];
      const { seen, stop, ended } = follow(here);
      const own = newSecret().paymentHash;
      await eventually('a stream that tells', async () => {
        await here.createHoldInvoice(invoiceRequest(own));
        return seen.includes(own);
      });
      const { paymentHash } = newSecret();
      await elsewhere.createHoldInvoice(invoiceRequest(paymentHash));
      await eventually('the invoice made elsewhere', () => seen.includes(paymentHash), 30_000);
      stop();
      await ended;
      here.close();
      elsewhere.close();
    });
    it.concurrent('ends when lnd is frozen, and so does every call', async () => {
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
