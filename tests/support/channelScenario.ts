/** The life of a channel between two nodes that begin with nothing, told once for every kind of node and chain. */
import { createHash } from 'node:crypto';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { hex, msat, type PaymentHash, type Preimage } from '../../src/core/units.js';
import type { PaymentResult } from '../../src/lightning/node.js';
import { awaitOnStage, withTails, type ChannelPaymentStage, type NodeProgram } from './channelPayment.js';
import { invoiceRequest, newSecret } from './lightningWorld.js';
import type { RunningStage } from './stage.js';

const CAPACITY_SATS = 1_000_000n;
const AMOUNT_MSAT = 25_000_000n;
/** Less than the payee has by then, and its reserve of one percent. */
const BACK_MSAT = 5_000_000n;
/** A node that says `usable` may refuse to pay for a second more: a payment that failed is over, another one may not be. */
const FIRST_PAYMENT_MS = 60_000;
const PLAY_MS = 300_000;
/** lnnoded moves what a channel leaves to its wallet with a transaction of its own. */
const MAX_SWEEP_FEE_SATS = 2_000n;

type Held = { readonly paymentHash: PaymentHash; readonly preimage: Preimage };
type Way = { readonly from: NodeProgram; readonly to: NodeProgram; readonly amountMsat?: bigint };

/** What the two ends saw of one payment. */
type Seen = { readonly outbound: string; readonly inbound: string; readonly isPreimageRight: boolean };

const PAID: Seen = { outbound: 'SUCCEEDED', inbound: 'SETTLED', isPreimageRight: true };
const REFUSED: Seen = { outbound: 'FAILED', inbound: 'CANCELED', isPreimageRight: false };

/** Each step is a test of its own; after one that failed the rest is skipped. */
export function describeChannelLife(title: string, startStage: () => Promise<RunningStage>): void {
  describe(title, () => {
    let stage: RunningStage;
    let isBroken = false;
    beforeAll(async () => {
      stage = await startStage();
    }, PLAY_MS);
    afterAll(async () => {
      await stage.close();
    }, PLAY_MS);
    const step = (name: string, body: (stage: RunningStage) => Promise<void>): void => {
      it(name, { timeout: PLAY_MS }, async ({ skip }) => {
        if (isBroken) skip('an earlier step failed');
        isBroken = true;
        await body(stage).catch((error: unknown) => {
          throw withTails(stage, error instanceof Error ? error.message : String(error), error);
        });
        isBroken = false;
      });
    };
    step('a channel is opened from nothing, and both sides can use it', openChannel);
    step('a held payment is settled: succeeded at both ends', async (on) => {
      const held = await hold(on, { from: on.payer, to: on.payee });
      await on.payee.port.settleInvoice(held.preimage);
      expect(await seenOf(on, held, on.payer, on.payee)).toEqual(PAID);
    });
    step('a held payment is cancelled: failed at both ends', async (on) => {
      const held = await hold(on, { from: on.payer, to: on.payee });
      await on.payee.port.cancelInvoice(held.paymentHash);
      expect(await seenOf(on, held, on.payer, on.payee)).toEqual(REFUSED);
    });
    step('the payee restarts while it holds a payment, and settles it', async (on) => {
      const held = await hold(on, { from: on.payer, to: on.payee });
      await on.payee.restart('SIGTERM');
      await bothUsable(on);
      await on.payee.port.settleInvoice(held.preimage);
      expect(await seenOf(on, held, on.payer, on.payee)).toEqual(PAID);
    });
    step('the payer is killed while its payment is held, and learns that it succeeded', async (on) => {
      const held = await hold(on, { from: on.payer, to: on.payee });
      await on.payer.restart('SIGKILL');
      await bothUsable(on);
      await on.payee.port.settleInvoice(held.preimage);
      expect(await seenOf(on, held, on.payer, on.payee)).toEqual(PAID);
    });
    step('the payee pays back', async (on) => {
      const held = await hold(on, { from: on.payee, to: on.payer, amountMsat: BACK_MSAT });
      await on.payer.port.settleInvoice(held.preimage);
      expect(await seenOf(on, held, on.payee, on.payer)).toEqual(PAID);
    });
    step('the channel is closed together, and the payee has what it was paid on the chain', closeChannel);
  });
}

const waitOn =
  (stage: ChannelPaymentStage) =>
  <T>(what: string, probe: () => Promise<T | undefined | false>): Promise<T> =>
    awaitOnStage(stage, { what }, probe);

async function openChannel(stage: ChannelPaymentStage): Promise<void> {
  const { chain, payer, payee } = stage;
  const until = waitOn(stage);
  await chain.fund(await payer.newAddress(), CAPACITY_SATS + 100_000n);
  await chain.mine(1);
  await until('the coins of the payer', async () => (await payer.confirmedSats()) > CAPACITY_SATS);
  await Promise.all([atTip(stage, payer), atTip(stage, payee)]);
  await payer.connect(payee);
  await payer.openChannel(payee, CAPACITY_SATS);
  await until('the funding transaction', async () => (await chain.waiting()) > 0);
  await chain.mine(6);
  await Promise.all([atTip(stage, payer), atTip(stage, payee)]);
  await bothUsable(stage);
}

const atTip = (stage: ChannelPaymentStage, node: NodeProgram): Promise<unknown> =>
  waitOn(stage)(`${node.name} at the tip`, async () => {
    const { blockHeight, isSynced } = await node.port.getInfo();
    return isSynced && blockHeight === (await stage.chain.tipHeight());
  });

async function bothUsable(stage: ChannelPaymentStage): Promise<void> {
  const { payer, payee } = stage;
  await waitOn(stage)('the channel usable at the payer', () => payer.hasUsableChannel(payee));
  await waitOn(stage)('the channel usable at the payee', () => payee.hasUsableChannel(payer));
}

/** Makes an invoice and pays it, until it is held. */
async function hold(stage: ChannelPaymentStage, { from, to, amountMsat = AMOUNT_MSAT }: Way): Promise<Held> {
  const until = waitOn(stage);
  const deadline = Date.now() + FIRST_PAYMENT_MS;
  for (;;) {
    const secret = newSecret();
    const { paymentHash } = secret;
    const { bolt11 } = await to.port.createHoldInvoice(invoiceRequest(paymentHash, { amountMsat: msat(amountMsat) }));
    const paying = from.port.pay({ bolt11, maxFeeMsat: msat(0n), maxTotalCltvDelta: 1_000, timeoutSecs: 60 });
    paying.catch(() => undefined); // the state counts, not this answer: the node may be killed meanwhile
    const end = await until<'HELD' | PaymentResult>('a payment held or failed', async () => {
      if ((await to.port.lookupInvoice(paymentHash))?.state === 'HELD') return 'HELD';
      const payment = await from.port.lookupPayment(paymentHash);
      return payment?.state === 'FAILED' && payment;
    });
    if (end === 'HELD') return secret;
    if (Date.now() > deadline) throw new Error(`no payment was held: ${JSON.stringify(end)}`);
  }
}

async function seenOf(
  stage: ChannelPaymentStage,
  { paymentHash }: Held,
  from: NodeProgram,
  to: NodeProgram,
): Promise<Seen> {
  const until = waitOn(stage);
  const invoice = await until(`the end of the payment at ${to.name}`, async () => {
    const found = await to.port.lookupInvoice(paymentHash);
    return (found?.state === 'SETTLED' || found?.state === 'CANCELED') && found;
  });
  const payment = await until(`the end of the payment at ${from.name}`, async () => {
    const found = await from.port.lookupPayment(paymentHash);
    return found?.state !== 'IN_FLIGHT' && found;
  });
  const isPreimageRight =
    payment.state === 'SUCCEEDED' && hex(createHash('sha256').update(payment.preimage).digest()) === paymentHash;
  return { outbound: payment.state, inbound: invoice.state, isPreimageRight };
}

async function closeChannel(stage: ChannelPaymentStage): Promise<void> {
  const { chain, payer, payee } = stage;
  const until = waitOn(stage);
  const paidSats = (3n * AMOUNT_MSAT - BACK_MSAT) / 1_000n;
  await until('the channel taken down', async () => {
    await payer.closeChannel(payee); // refused while an HTLC is being removed
    return true;
  });
  await until('the closing transaction', async () => (await chain.waiting()) > 0);
  await until('the money of both on the chain', async () => {
    if ((await chain.waiting()) > 0) await chain.mine(6);
    const [paid, change] = [await payee.confirmedSats(), await payer.confirmedSats()];
    if (paid > paidSats - MAX_SWEEP_FEE_SATS && change > CAPACITY_SATS / 2n) return true;
    throw new Error(`the payee has ${paid} of ${paidSats} sats, the payer ${change}`);
  });
  expect(await payee.confirmedSats()).toBeLessThanOrEqual(paidSats);
  expect([await payer.hasUsableChannel(payee), await payee.hasUsableChannel(payer)]).toEqual([false, false]);
}
