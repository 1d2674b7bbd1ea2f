import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { msat, type PaymentHash } from '../../src/core/units.js';
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
  await world.openChannel({ from: 'payer', to: 'payee', capacitySats: 5_000_000n });
  payer = world.peer('payer');
  payee = world.peer('payee');
});

afterAll(async () => {
  await world.close();
});

const limits = { maxFeeMsat: msat(0n), maxTotalCltvDelta: 200 };

const invoiceIs = (paymentHash: PaymentHash, state: string): Promise<unknown> =>
  eventually(`invoice ${state}`, async () => (await payee.port.lookupInvoice(paymentHash))?.state === state);

const paymentIs = (paymentHash: PaymentHash, state: string): Promise<unknown> =>
  eventually(`payment ${state}`, async () => (await payer.port.lookupPayment(paymentHash))?.state === state);

async function heldPayment() {
  const secret = newSecret();
  const { bolt11 } = await payee.port.createHoldInvoice(invoiceRequest(secret.paymentHash));
  const call = payer.port.pay({ ...limits, bolt11, timeoutSecs: 20 }).catch(() => undefined);
  await invoiceIs(secret.paymentHash, 'HELD');
  return { ...secret, call };
}

/** Msat that arrived at the payee since the channel was opened, less what is in flight. */
async function received(): Promise<bigint> {
  const { channels } = await payee.client.listChannels({});
  return channels.reduce((sum, channel) => sum + channel.outboundCapacityMsat, 0n);
}

describe('a restart', () => {
  it.each(['payee', 'payer'])('of the %s, ordered, keeps the channel and the payments', async (name) => {
    const before = await heldPayment();
    await payee.port.settleInvoice(before.preimage);
    await before.call;
    await world.restart(name, 'SIGTERM');
    await world.allUsable();
    expect(await payer.port.lookupPayment(before.paymentHash)).toMatchObject({ state: 'SUCCEEDED' });
    expect(await payee.port.lookupInvoice(before.paymentHash)).toMatchObject({ state: 'SETTLED' });
    const after = await heldPayment();
    await payee.port.settleInvoice(after.preimage);
    expect(await after.call).toMatchObject({ state: 'SUCCEEDED' });
  });
  it.each([
    ['payee', 'SETTLED', 'SUCCEEDED'],
    ['payee', 'CANCELED', 'FAILED'],
    ['payer', 'SETTLED', 'SUCCEEDED'],
    ['payer', 'CANCELED', 'FAILED'],
  ] as const)('after a kill of the %s a held payment can still be %s', async (name, invoiceState, paymentState) => {
    const { paymentHash, preimage } = await heldPayment();
    await world.restart(name, 'SIGKILL');
    expect(await payee.port.lookupInvoice(paymentHash)).toMatchObject({ state: 'HELD', isHtlcPending: true });
    expect(await payer.port.lookupPayment(paymentHash)).toEqual({ state: 'IN_FLIGHT' });
    await world.allUsable();
    if (invoiceState === 'SETTLED') await payee.port.settleInvoice(preimage);
    else await payee.port.cancelInvoice(paymentHash);
    await invoiceIs(paymentHash, invoiceState);
    await paymentIs(paymentHash, paymentState);
  });
  it('after a kill at the moment of settling ends settled on both sides', async () => {
    const { paymentHash, preimage } = await heldPayment();
    const settling = payee.port.settleInvoice(preimage).catch(() => undefined);
    await world.restart('payee', 'SIGKILL');
    await settling;
    await payee.port.settleInvoice(preimage);
    await invoiceIs(paymentHash, 'SETTLED');
    await paymentIs(paymentHash, 'SUCCEEDED');
  });
});

describe('kills in the middle of payments', () => {
  const AMOUNT = 2_000_000n;

  /** Pays invoices one after the other until told to stop; errors of a dying node are expected. */
  async function payUntil(isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      const { bolt11 } = await payee.client
        .createInvoice({ amountMsat: AMOUNT, description: 'kill', expirySecs: 600 })
        .catch(() => ({ bolt11: undefined }));
      if (bolt11 === undefined) continue;
      await payer.port.pay({ ...limits, bolt11, timeoutSecs: 10 }).catch(() => undefined);
    }
  }

  async function hashes(): Promise<{ paid: string[]; settled: string[] }> {
    const { invoices } = await payee.client.listInvoices({ limit: 1000 });
    const settled: string[] = [];
    const paid: string[] = [];
    for (const { paymentHash, state, isHold } of invoices) {
      if (isHold) continue;
      if (state === 3) settled.push(paymentHash.toString('hex'));
      const { payment } = await payer.client.lookupPayment({ paymentHash }).catch(() => ({ payment: undefined }));
      if (payment?.state === 2) paid.push(paymentHash.toString('hex'));
    }
    return { paid, settled };
  }

  it.each(['payee', 'payer', 'payee', 'payer'])('(%s) lose no channel and no payment', async (name) => {
    const [before, capacity] = [await hashes(), await received()];
    let isOver = false;
    const workers = Array.from({ length: 3 }, () => payUntil(() => isOver));
    try {
      await eventually('payments under way', async () => (await hashes()).settled.length > before.settled.length + 2);
    } finally {
      isOver = true;
    }
    await world.restart(name, 'SIGKILL');
    await Promise.all(workers);
    await world.allUsable();
    await eventually('no HTLC left', async () => {
      const all = await Promise.all([payer, payee].map(({ client }) => client.listChannels({})));
      return all.every(({ channels }) => channels.every(({ pendingHtlcs }) => pendingHtlcs === 0));
    });
    const after = await hashes();
    expect(after.paid.sort()).toEqual(after.settled.sort());
    const count = BigInt(after.settled.length - before.settled.length);
    if (capacity > 0n) expect((await received()) - capacity).toBe(count * AMOUNT);
  });
});
