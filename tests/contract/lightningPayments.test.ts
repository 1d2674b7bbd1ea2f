/** Invoices and payments beyond the port: what an operator and other programs see over gRPC. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { InvoiceState, PaymentState } from '../../src/gen/lnnode/v1/lnnode.js';
import { eventually } from '../support/eventually.js';
import {
  invoiceRequest,
  newSecret,
  startLightningWorld,
  type LightningWorld,
  type Peer,
} from '../support/lightningWorld.js';

let world: LightningWorld;
let payer: Peer;
let payee: Peer;

beforeAll(async () => {
  world = await startLightningWorld(['payer', 'payee']);
  await world.openChannel({ from: 'payer', to: 'payee', capacitySats: 5_000_000n, pushMsat: 1_000_000_000n });
  payer = world.peer('payer');
  payee = world.peer('payee');
});
afterAll(async () => {
  await world.close();
});

const AMOUNT = 1_000_000n;
const limits = { maxFeeMsat: 0n, maxTotalCltvDelta: 200, timeoutSecs: 20 };

const newInvoice = (change: object = {}) =>
  payee.client.createInvoice({ amountMsat: AMOUNT, description: 'a thing', expirySecs: 600, ...change });
const pay = async (bolt11: string, change: object = {}) => {
  const { payment } = await payer.client.payInvoice({ ...limits, bolt11, ...change });
  return payment;
};
const paymentOf = async (paymentHash: Uint8Array) =>
  (await payer.client.lookupPayment({ paymentHash: Buffer.from(paymentHash) })).payment;
/** Ends the payee. A payer that has not noticed yet would still send to it. */
async function killPayee(): Promise<void> {
  await world.halt('payee', 'SIGKILL');
  await eventually('the payer alone', async () => {
    const { channels } = await payer.client.listChannels({});
    return channels.every(({ isUsable }) => !isUsable);
  });
}
const hexOf = ({ paymentHash }: { paymentHash: Buffer }): string => paymentHash.toString('hex');

describe('the node', () => {
  it('tells its name, its LDK, its chain source, why it is not synced, and its memory', async () => {
    const info = await payee.client.getNodeInfo({});
    expect(info).toMatchObject({ alias: 'lnnoded', chainSource: 'bitcoind', syncProblem: '', isSynced: true });
    expect(info.ldkVersion).toMatch(/^v0\.1\.2/);
    expect(info.heapBytes).toBeGreaterThan(10_000_000n);
    expect(info.heapBytes).toBeLessThan(info.heapLimitBytes);
  });
});

describe('an own invoice', () => {
  it('carries its final CLTV, description or hash, and is found by its label', async () => {
    const hash = Buffer.alloc(32, 0xab);
    const first = await newInvoice({ minFinalCltvDelta: 24, label: 'own/1' });
    const second = await newInvoice({ description: '', descriptionHash: hash, label: 'own/2' });
    const read = async (bolt11: string) => payer.client.decodeInvoice({ bolt11 });
    expect(await read(first.bolt11)).toMatchObject({ minFinalCltvDelta: 24, description: 'a thing' });
    const decoded = await read(second.bolt11);
    expect(decoded).toMatchObject({ minFinalCltvDelta: 42, description: '', isExpired: false, refusals: [] });
    expect(decoded).toMatchObject({ routeHints: 1, features: [8, 14, 17], amountMsat: AMOUNT });
    expect(decoded.descriptionHash.equals(hash)).toBe(true);
    const { invoices } = await payee.client.listInvoices({ labelPrefix: 'own/' });
    expect(invoices.map(({ label }) => label)).toEqual(['own/2', 'own/1']);
    expect(invoices.map(hexOf)).toEqual([second, first].map(hexOf));
    expect(await pay(first.bolt11)).toMatchObject({ state: PaymentState.SUCCEEDED });
  });
  it.each([
    ['min_final_cltv_delta', { minFinalCltvDelta: 23 }],
    ['label', { label: 'x'.repeat(201) }],
    ['description', { description: 'x'.repeat(640) }],
    ['description', { descriptionHash: Buffer.alloc(32) }],
  ])('is refused for its %s', async (field, change) => {
    await expect(newInvoice(change)).rejects.toThrow(field);
  });
});

describe('reading an invoice', () => {
  it('says when it is expired, and refuses what is none', async () => {
    await expect(payer.client.decodeInvoice({ bolt11: 'lnbcrt1nothing' })).rejects.toThrow('INVALID_ARGUMENT');
    const { bolt11 } = await newInvoice({ expirySecs: 1 });
    await eventually('expiry', async () => (await payer.client.decodeInvoice({ bolt11 })).isExpired);
  });
});

describe('waiting for an invoice', () => {
  const wait = (paymentHash: Buffer, timeoutSecs = 30) => payee.client.waitInvoiceSettled({ paymentHash, timeoutSecs });

  it('ends when it is settled, also for one that is settled already', async () => {
    const { bolt11, paymentHash } = await newInvoice();
    const waiting = [wait(paymentHash), wait(paymentHash)];
    await pay(bolt11);
    for (const answer of await Promise.all([...waiting, wait(paymentHash)])) {
      expect(answer.isTimedOut).toBe(false);
      expect(answer.invoice).toMatchObject({ state: InvoiceState.SETTLED, heldMsat: AMOUNT });
    }
  });
  it('ends when it expires or is canceled, with the reason', async () => {
    const { paymentHash } = await newInvoice({ expirySecs: 1 });
    const expected = { isTimedOut: false, invoice: { state: InvoiceState.CANCELED, cancelReason: 'EXPIRED' } };
    expect(await wait(paymentHash)).toMatchObject(expected);
    const other = await newInvoice();
    const waiting = wait(other.paymentHash);
    await payee.client.cancelInvoice({ paymentHash: other.paymentHash });
    expect((await waiting).invoice).toMatchObject({ cancelReason: 'CANCELED_BY_USER' });
  });
  it('ends at its timeout, not for a held payment, nor for changes of others', async () => {
    const { paymentHash, preimage } = newSecret();
    const { bolt11 } = await payee.port.createHoldInvoice(invoiceRequest(paymentHash));
    const waiting = wait(Buffer.from(paymentHash, 'hex'), 6); // both payments arrive before
    const payment = pay(bolt11);
    await pay((await newInvoice()).bolt11);
    expect(await waiting).toMatchObject({ isTimedOut: true, invoice: { state: InvoiceState.HELD } });
    await payee.port.settleInvoice(preimage);
    expect(await payment).toMatchObject({ state: PaymentState.SUCCEEDED });
  });
  it('is refused for an unknown hash and a wrong timeout', async () => {
    await expect(wait(Buffer.alloc(32))).rejects.toThrow('NOT_FOUND');
    const { paymentHash } = await newInvoice();
    await expect(wait(paymentHash, 601)).rejects.toThrow('timeout_secs');
  });
});

describe('a payment without a way', () => {
  it('waits for the peer to come back, as IN_FLIGHT, and is then made', async () => {
    const { bolt11, paymentHash } = await newInvoice();
    await killPayee();
    const payment = pay(bolt11, { timeoutSecs: 60 });
    await eventually('IN_FLIGHT', async () => {
      return (await paymentOf(paymentHash).catch(() => undefined))?.state === PaymentState.IN_FLIGHT;
    });
    await world.resume('payee');
    expect(await payment).toMatchObject({ state: PaymentState.SUCCEEDED });
  });
  it('fails at the timeout, with nothing out, and can be made again', async () => {
    const { bolt11 } = await newInvoice();
    await killPayee();
    const failed = { state: PaymentState.FAILED, failureReason: 'ROUTE_NOT_FOUND' };
    expect(await pay(bolt11, { timeoutSecs: 1 })).toMatchObject(failed);
    const { channels } = await payer.client.listChannels({});
    expect(channels.map(({ pendingHtlcs }) => pendingHtlcs)).toEqual([0]);
    await world.resume('payee');
    expect(await pay(bolt11)).toMatchObject({ state: PaymentState.SUCCEEDED, failureReason: '' });
  });
  it('is given up when the payer dies meanwhile, and can be made again', async () => {
    const { bolt11, paymentHash } = await newInvoice();
    await killPayee();
    const lost = pay(bolt11).catch(() => undefined);
    await eventually('IN_FLIGHT', async () => {
      return (await paymentOf(paymentHash).catch(() => undefined))?.state === PaymentState.IN_FLIGHT;
    });
    await world.restart('payer', 'SIGKILL');
    await lost;
    expect(await paymentOf(paymentHash)).toMatchObject({ state: PaymentState.FAILED, failureReason: 'NEVER_SENT' });
    await world.resume('payee');
    expect(await pay(bolt11)).toMatchObject({ state: PaymentState.SUCCEEDED });
  });
  it('fails at once when no channel could ever carry it', async () => {
    const { bolt11 } = await newInvoice({ amountMsat: 6_000_000_000n });
    const begun = performance.now();
    expect(await pay(bolt11)).toMatchObject({ state: PaymentState.FAILED, failureReason: 'ROUTE_NOT_FOUND' });
    expect(performance.now() - begun).toBeLessThan(10_000);
  });
});

describe('many payments at once', () => {
  it('all succeed, also when they are more than a channel can hold', async () => {
    const made = await Promise.all(Array.from({ length: 60 }, () => newInvoice()));
    const payments = await Promise.all(made.map(({ bolt11 }) => pay(bolt11, { timeoutSecs: 60 })));
    expect(payments.filter((payment) => payment?.state !== PaymentState.SUCCEEDED)).toEqual([]);
  });
});

describe('the list of payments', () => {
  it('is newest first, in pages, and keeps the place of one that is made again', async () => {
    const made = [await newInvoice(), await newInvoice(), await newInvoice()];
    await killPayee();
    for (const { bolt11 } of made) await pay(bolt11, { timeoutSecs: 1 });
    await world.resume('payee');
    await pay(made[0]?.bolt11 ?? '');
    const newest = made.map(hexOf).reverse();
    const { payments } = await payer.client.listPayments({ limit: 3 });
    expect(payments.map(hexOf)).toEqual(newest);
    const { FAILED, SUCCEEDED } = PaymentState;
    expect(payments.map(({ state }) => state)).toEqual([FAILED, FAILED, SUCCEEDED]);
    const rest = await payer.client.listPayments({
      limit: 2,
      afterPaymentHash: payments[0]?.paymentHash ?? Buffer.alloc(0),
    });
    expect(rest.payments.map(hexOf)).toEqual(newest.slice(1));
    expect((await payer.client.listPayments({ afterPaymentHash: Buffer.alloc(32) })).payments).toEqual([]);
    await expect(payer.client.listPayments({ limit: 1001 })).rejects.toThrow('limit');
  });
});
