import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { decodeInvoice } from '../../src/core/invoice.js';
import { msat, type PaymentHash } from '../../src/core/units.js';
import type { HoldInvoice, HoldInvoiceRequest, LightningNode, PayRequest } from '../../src/lightning/node.js';
import { eventually } from '../support/eventually.js';
import { invoiceRequest, newSecret, startLightningWorld, type LightningWorld } from '../support/lightningWorld.js';

let world: LightningWorld;
let payer: LightningNode;
let payee: LightningNode;
/** Has a channel with the payee only. */
let other: LightningNode;
/** Times when the payer could not use its channel. */
const lost: number[] = [];
let connectedAt = 0;
let watcher: NodeJS.Timeout;

beforeAll(async () => {
  world = await startLightningWorld(['payer', 'payee', 'other']);
  await world.openChannel({ from: 'payer', to: 'payee', capacitySats: 2_000_000n, pushMsat: 500_000_000n });
  await world.openChannel({ from: 'other', to: 'payee', capacitySats: 1_000_000n, isAnnounced: true });
  payer = world.peer('payer').port;
  payee = world.peer('payee').port;
  other = world.peer('other').port;
  connectedAt = Date.now();
  watcher = setInterval(() => {
    world
      .peer('payer')
      .client.listChannels({})
      .then(({ channels }) => {
        if (!channels.every(({ isUsable }) => isUsable)) lost.push(Date.now() - connectedAt);
      })
      .catch(() => lost.push(-1));
  }, 100);
});

afterAll(async () => {
  clearInterval(watcher);
  await world.close();
});

const payRequest = (bolt11: string, change: Partial<PayRequest> = {}): PayRequest => ({
  bolt11,
  maxFeeMsat: msat(5_000_000n),
  maxTotalCltvDelta: 200,
  timeoutSecs: 20,
  ...change,
});

async function newInvoice(change: Partial<HoldInvoiceRequest> = {}, node = payee) {
  const secret = newSecret();
  const request = invoiceRequest(secret.paymentHash, change);
  return { ...secret, request, invoice: await node.createHoldInvoice(request) };
}

const inState = (hash: PaymentHash, state: HoldInvoice['state'], node = payee): Promise<HoldInvoice> =>
  eventually(`invoice ${state}`, async () => {
    const invoice = await node.lookupInvoice(hash);
    return invoice?.state === state ? invoice : undefined;
  });

/** An invoice whose payment is held, and the payer's pending call. */
async function heldInvoice(change: Partial<PayRequest> = {}) {
  const made = await newInvoice();
  const payment = payer.pay(payRequest(made.invoice.bolt11, change));
  const held = await inState(made.paymentHash, 'HELD');
  return { ...made, payment, held };
}

const unavailable = { code: 'lightning_unavailable' };

describe('node', () => {
  it('tells who it is and that it is synced', async () => {
    const info = await payee.getInfo();
    expect(info.nodeId).toBe(world.peer('payee').process.ready.node_id);
    expect(info).toMatchObject({ network: 'regtest', isSynced: true, blockHeight: world.chain.tip.height });
  });
  it('tells what it could receive', async () => {
    const capacity = await payee.inboundCapacityMsat();
    expect(capacity).toBeGreaterThan(2_000_000_000n);
    expect(capacity).toBeLessThan(2_500_000_000n);
  });
});

describe('a new hold invoice', () => {
  it.each([24, 42, 144])('carries what was asked for, with a final CLTV of %i', async (minFinalCltvDelta) => {
    const before = Math.floor(Date.now() / 1000);
    const { request, invoice, paymentHash } = await newInvoice({ minFinalCltvDelta, amountMsat: msat(12_345_678n) });
    const decoded = decodeInvoice(invoice.bolt11, 'regtest');
    expect(decoded).toMatchObject({
      payee: (await payee.getInfo()).nodeId,
      paymentHash,
      amountMsat: 12_345_678n,
      minFinalCltvDelta,
      descriptionHash: request.descriptionHash,
    });
    expect(decoded.createdAt).toBeGreaterThanOrEqual(before);
    expect(decoded.expiresAt - decoded.createdAt).toBe(600);
    expect(invoice).toMatchObject({
      state: 'OPEN',
      heldMsat: 0n,
      claimDeadlineHeight: undefined,
      isHtlcPending: false,
      expiresAt: decoded.expiresAt,
      label: request.label,
    });
    expect(await payee.lookupInvoice(paymentHash)).toEqual(invoice);
  });
  it.each([23, 145])('is refused with a final CLTV of %i', async (minFinalCltvDelta) => {
    await expect(newInvoice({ minFinalCltvDelta })).rejects.toMatchObject(unavailable);
  });
  it('is the same when asked for again with the same fields', async () => {
    const { request, invoice } = await newInvoice();
    expect(await payee.createHoldInvoice(request)).toEqual(invoice);
  });
  it.each<Partial<HoldInvoiceRequest>>([
    { amountMsat: msat(25_000_001n) },
    { descriptionHash: 'cd'.repeat(32) },
    { expirySecs: 601 },
    { minFinalCltvDelta: 43 },
    { label: 'another' },
  ])('is refused for a used hash with %o', async (change) => {
    const { request } = await newInvoice();
    const again = payee.createHoldInvoice({ ...request, ...change });
    await expect(again).rejects.toMatchObject({ code: 'payment_hash_reused' });
  });
  it('is found by the prefix of its label, and by no other', async () => {
    const { invoice } = await newInvoice({ label: 'list/one' });
    const second = await newInvoice({ label: 'list/two' });
    expect(await payee.listHoldInvoices('list/')).toEqual([second.invoice, invoice]);
    expect(await payee.listHoldInvoices('list/one')).toEqual([invoice]);
    expect(await payee.listHoldInvoices('ist/')).toEqual([]);
  });
  it('is unknown to a node that did not make it', async () => {
    const { paymentHash } = await newInvoice();
    expect(await payer.lookupInvoice(paymentHash)).toBeUndefined();
    expect(await payer.lookupPayment(paymentHash)).toBeUndefined();
  });
});

describe('a payment', () => {
  it('is held, then settled, and gives the payer the preimage', async () => {
    const { paymentHash, preimage, payment, held } = await heldInvoice();
    expect(held).toMatchObject({ heldMsat: 25_000_000n, isHtlcPending: true });
    expect(held.claimDeadlineHeight).toBeGreaterThan(world.chain.tip.height + 6);
    expect(await payer.lookupPayment(paymentHash)).toEqual({ state: 'IN_FLIGHT' });
    await payee.settleInvoice(preimage);
    expect(await payment).toEqual({ state: 'SUCCEEDED', preimage: Buffer.from(preimage), feeMsat: 0n });
    expect(await inState(paymentHash, 'SETTLED')).toMatchObject({ heldMsat: 25_000_000n });
    await eventually('no HTLC left', async () => !(await payee.lookupInvoice(paymentHash))?.isHtlcPending);
    expect(await payer.lookupPayment(paymentHash)).toMatchObject({ state: 'SUCCEEDED' });
  });
  it('is made at most once, however often it is asked for', async () => {
    const { preimage, invoice, payment } = await heldInvoice();
    const again = payer.pay(payRequest(invoice.bolt11));
    await payee.settleInvoice(preimage);
    const capacity = payer.inboundCapacityMsat();
    expect(await Promise.all([payment, again])).toMatchObject([{ state: 'SUCCEEDED' }, { state: 'SUCCEEDED' }]);
    expect(await payer.pay(payRequest(invoice.bolt11))).toMatchObject({ state: 'SUCCEEDED' });
    expect((await payer.inboundCapacityMsat()) - (await capacity)).toBeLessThanOrEqual(25_000_000n);
  });
  it('stays held when somebody else pays the same invoice too', async () => {
    const { paymentHash, preimage, payment, invoice } = await heldInvoice();
    expect(await other.pay(payRequest(invoice.bolt11))).toMatchObject({ state: 'FAILED' });
    expect(await payee.lookupInvoice(paymentHash)).toMatchObject({ state: 'HELD' });
    await payee.settleInvoice(preimage);
    expect(await payment).toMatchObject({ state: 'SUCCEEDED' });
    expect(await other.pay(payRequest(invoice.bolt11))).toMatchObject({ state: 'FAILED' });
  });
  it('is still in flight when the call ends first, and its outcome is found later', async () => {
    const { paymentHash, preimage, payment } = await heldInvoice({ timeoutSecs: 1 });
    expect(await payment).toEqual({ state: 'IN_FLIGHT' });
    await payee.settleInvoice(preimage);
    await eventually('paid', async () => (await payer.lookupPayment(paymentHash))?.state === 'SUCCEEDED');
  });
  it('is refused for an own invoice', async () => {
    const { invoice } = await newInvoice();
    await expect(payee.pay(payRequest(invoice.bolt11))).rejects.toMatchObject(unavailable);
  });
  it('is given back at its deadline, for ever', async () => {
    const { paymentHash, preimage, payment, held } = await heldInvoice({ maxTotalCltvDelta: 50 });
    const blocks = (held.claimDeadlineHeight ?? 0) - world.chain.tip.height;
    await world.mine(blocks - 1);
    expect(await payee.lookupInvoice(paymentHash)).toMatchObject({ state: 'HELD' });
    await world.mine(1);
    expect(await inState(paymentHash, 'CANCELED')).toMatchObject({ cancelReason: 'DEADLINE' });
    expect(await payment).toMatchObject({ state: 'FAILED' });
    await expect(payee.settleInvoice(preimage)).rejects.toMatchObject(unavailable);
  });
});

describe('limits of a payment', () => {
  it.each([
    [41, false],
    [60, true],
  ])('a total CLTV of %i for a final CLTV of 42 pays: %s', async (maxTotalCltvDelta, isPaid) => {
    const { invoice, paymentHash } = await newInvoice();
    const payment = payer.pay(payRequest(invoice.bolt11, { maxTotalCltvDelta }));
    if (isPaid) {
      const held = await inState(paymentHash, 'HELD');
      expect(held.claimDeadlineHeight).toBeLessThanOrEqual(world.chain.tip.height + maxTotalCltvDelta);
      await payee.cancelInvoice(paymentHash);
    }
    expect(await payment).toMatchObject({ state: 'FAILED', reason: isPaid ? 'RECIPIENT_REJECTED' : 'ROUTE_NOT_FOUND' });
  });
  it('a routed payment respects the fee limit to the millisatoshi', async () => {
    const { invoice, preimage, paymentHash } = await newInvoice({}, payer);
    const tooLow = await other.pay(payRequest(invoice.bolt11, { maxFeeMsat: msat(999n) }));
    expect(tooLow).toEqual({ state: 'FAILED', reason: 'ROUTE_NOT_FOUND' });
    const payment = other.pay(payRequest(invoice.bolt11, { maxFeeMsat: msat(1000n) }));
    await inState(paymentHash, 'HELD', payer);
    await payer.settleInvoice(preimage);
    expect(await payment).toMatchObject({ state: 'SUCCEEDED', feeMsat: 1000n });
  });
});

describe('settle and cancel', () => {
  it('settling twice is one settlement, and a canceling after it is refused', async () => {
    const { paymentHash, preimage, payment } = await heldInvoice();
    await payee.settleInvoice(preimage);
    await payee.settleInvoice(preimage);
    expect(await payment).toMatchObject({ state: 'SUCCEEDED' });
    await payee.settleInvoice(preimage);
    await expect(payee.cancelInvoice(paymentHash)).rejects.toMatchObject(unavailable);
    expect(await payee.lookupInvoice(paymentHash)).toMatchObject({ state: 'SETTLED', cancelReason: '' });
  });
  it('canceling an unpaid invoice refuses payments for ever', async () => {
    const { invoice, paymentHash, preimage } = await newInvoice();
    await payee.cancelInvoice(paymentHash);
    await payee.cancelInvoice(paymentHash);
    const canceled = await payee.lookupInvoice(paymentHash);
    expect(canceled).toMatchObject({ state: 'CANCELED', cancelReason: 'CANCELED_BY_USER' });
    expect(await payer.pay(payRequest(invoice.bolt11))).toMatchObject({ state: 'FAILED' });
    expect(await payer.pay(payRequest(invoice.bolt11))).toMatchObject({ state: 'FAILED' });
    await expect(payee.settleInvoice(preimage)).rejects.toMatchObject(unavailable);
    expect(await payee.lookupInvoice(paymentHash)).toEqual(canceled);
  });
  it('canceling a held payment gives it back', async () => {
    const { paymentHash, preimage, payment, invoice } = await heldInvoice();
    await payee.cancelInvoice(paymentHash);
    expect(await payment).toEqual({ state: 'FAILED', reason: 'RECIPIENT_REJECTED' });
    await expect(payee.settleInvoice(preimage)).rejects.toMatchObject(unavailable);
    expect(await payer.pay(payRequest(invoice.bolt11))).toMatchObject({ state: 'FAILED' });
    expect(await payee.lookupInvoice(paymentHash)).toMatchObject({ state: 'CANCELED', isHtlcPending: false });
  });
  it('settling what is unpaid or unknown is refused', async () => {
    const { preimage, paymentHash } = await newInvoice();
    await expect(payee.settleInvoice(preimage)).rejects.toMatchObject(unavailable);
    expect(await payee.lookupInvoice(paymentHash)).toMatchObject({ state: 'OPEN' });
    await expect(payee.settleInvoice(newSecret().preimage)).rejects.toMatchObject(unavailable);
    await expect(payee.cancelInvoice(newSecret().paymentHash)).rejects.toMatchObject(unavailable);
  });
  it('an unpaid invoice is canceled when it expires', async () => {
    const { invoice, paymentHash } = await newInvoice({ expirySecs: 1 });
    const expired = await inState(paymentHash, 'CANCELED');
    expect(expired).toMatchObject({ cancelReason: 'EXPIRED', expiresAt: invoice.expiresAt });
    expect(Date.now() / 1000).toBeGreaterThanOrEqual(invoice.expiresAt);
    await expect(payer.pay(payRequest(invoice.bolt11))).rejects.toMatchObject(unavailable);
  });
  it('a payment that arrives after the expiry is given back', async () => {
    const { invoice, paymentHash } = await newInvoice({ expirySecs: 1 });
    const { process } = world.peer('payee');
    process.freeze(true);
    const payment = payer.pay(payRequest(invoice.bolt11));
    await eventually('expiry', () => Date.now() / 1000 > invoice.expiresAt);
    process.freeze(false);
    expect(await payment).toMatchObject({ state: 'FAILED' });
    expect(await inState(paymentHash, 'CANCELED')).toMatchObject({ cancelReason: 'EXPIRED', heldMsat: 0n });
  });
  it('a held payment outlives the expiry of its invoice', async () => {
    const { invoice, paymentHash, preimage } = await newInvoice({ expirySecs: 2 });
    const payment = payer.pay(payRequest(invoice.bolt11));
    await inState(paymentHash, 'HELD');
    await eventually('expiry', () => Date.now() / 1000 > invoice.expiresAt + 1);
    expect(await payee.lookupInvoice(paymentHash)).toMatchObject({ state: 'HELD' });
    await payee.settleInvoice(preimage);
    expect(await payment).toMatchObject({ state: 'SUCCEEDED' });
  });
});

describe('watching invoices', () => {
  it('names each invoice that changes until it is aborted', async () => {
    const abort = new AbortController();
    const seen: PaymentHash[] = [];
    const ended = (async () => {
      for await (const hash of payee.watchInvoices(abort.signal)) seen.push(hash);
    })();
    const { paymentHash } = await eventually('the first change', async () => {
      const made = await newInvoice();
      return seen.length > 0 ? made : undefined;
    });
    await payee.cancelInvoice(paymentHash);
    await eventually('the change', () => seen.at(-1) === paymentHash);
    abort.abort();
    await ended;
  });
});

describe('a connection', () => {
  it('never broke meanwhile, also beyond the time limit of connecting', async () => {
    await eventually('12 seconds', () => Date.now() - connectedAt > 12_000);
    expect(lost).toEqual([]);
  });
});
