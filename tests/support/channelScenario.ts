/** The life of a channel between two nodes that begin with nothing, told once for every kind of node and chain. */
import { createHash } from 'node:crypto';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { hex, msat, type PaymentHash, type Preimage } from '../../src/core/units.js';
import type { PaymentResult } from '../../src/lightning/node.js';
import { ranAgainst } from './interoperability.js';
import { invoiceRequest, newSecret } from './lightningWorld.js';
import {
  startProgramStage,
  type ChainProgram,
  type NodeProgram,
  type ProgramStage,
  type Starters,
} from './programStage.js';

const CAPACITY_SATS = 1_000_000n;
const FEES_SATS = 100_000n;
const CHANNEL_DEPTH = 6;
const AMOUNT_MSAT = 25_000_000n;
/** Less than the payee has by then, and its reserve of one percent. */
const BACK_MSAT = 5_000_000n;
/** A node that says `usable` may refuse to pay for a second more: a payment that failed is over, another one may not be. */
const FIRST_PAYMENT_MS = 60_000;
/** Longer than all that a program gets to end and to start. */
const RESTART_MS = 300_000;
/** Longer than the waits in a chapter, which say what they waited for. */
const CHAPTER_MS = 500_000;
const HOOK_MS = CHAPTER_MS + 100_000;
/** lnnoded moves what a channel leaves to its wallet with a transaction of its own. */
const MAX_SWEEP_FEE_SATS = 2_000n;

type Held = { readonly paymentHash: PaymentHash; readonly preimage: Preimage };
type Way = { readonly from: NodeProgram; readonly to: NodeProgram; readonly amountMsat?: bigint };

/** What the two ends saw of one payment. */
type Seen = {
  readonly outbound: string;
  readonly inbound: string;
  readonly isPreimageRight: boolean;
  readonly receivedMsat: bigint;
};

const PAID: Seen = { outbound: 'SUCCEEDED', inbound: 'SETTLED', isPreimageRight: true, receivedMsat: AMOUNT_MSAT };
const REFUSED: Omit<Seen, 'receivedMsat'> = { outbound: 'FAILED', inbound: 'CANCELED', isPreimageRight: false };

/** Each chapter is a test of its own; after one that failed the rest is skipped. */
export function describeChannelLife<Chain extends ChainProgram>(title: string, starters: Starters<Chain>): void {
  describe(title, () => {
    let stage: ProgramStage;
    let isBroken = false;
    beforeAll(async () => {
      stage = await startProgramStage(starters);
    }, HOOK_MS);
    afterAll(async () => {
      await stage.close();
    }, HOOK_MS);
    ranAgainst(() => {
      const { chain, payer, payee } = stage;
      return {
        ours: [...payer.ours, ...payee.ours],
        what: `the life of a channel: ${title}`,
        software: [chain, payer, payee].flatMap(({ software }) => software),
      };
    });
    const chapter = (name: string, tell: (stage: ProgramStage) => Promise<void>): void => {
      it(name, { timeout: HOOK_MS }, async ({ skip }) => {
        if (isBroken) skip('an earlier chapter failed');
        isBroken = true;
        await stage.step({ what: name, ms: CHAPTER_MS }, () => tell(stage));
        isBroken = false;
      });
    };
    chapter('a channel is opened from nothing, and both sides can use it', openChannel);
    chapter('a held payment is settled: succeeded at both ends', async (on) => {
      const way = { from: on.payer, to: on.payee };
      const held = await hold(on, way);
      await settle(on, on.payee, held);
      expect(await seenOf(on, held, way)).toEqual(PAID);
    });
    chapter('a held payment is cancelled: failed at both ends', async (on) => {
      const way = { from: on.payer, to: on.payee };
      const held = await hold(on, way);
      await on.step({ what: 'the cancelling' }, () => on.payee.port.cancelInvoice(held.paymentHash));
      expect(await seenOf(on, held, way)).toMatchObject(REFUSED);
    });
    chapter('the payee restarts while it holds a payment, and settles it', async (on) => {
      const way = { from: on.payer, to: on.payee };
      const held = await hold(on, way);
      await restart(on, on.payee, 'SIGTERM');
      await settle(on, on.payee, held);
      expect(await seenOf(on, held, way)).toEqual(PAID);
    });
    chapter('the payer is killed while its payment is held, and learns that it succeeded', async (on) => {
      const way = { from: on.payer, to: on.payee };
      const held = await hold(on, way);
      await restart(on, on.payer, 'SIGKILL');
      await settle(on, on.payee, held);
      expect(await seenOf(on, held, way)).toEqual(PAID);
    });
    chapter('the payee pays back', async (on) => {
      const way = { from: on.payee, to: on.payer, amountMsat: BACK_MSAT };
      const held = await hold(on, way);
      await settle(on, on.payer, held);
      expect(await seenOf(on, held, way)).toEqual({ ...PAID, receivedMsat: BACK_MSAT });
    });
    chapter('the channel is closed together, and the payee has what it was paid on the chain', closeChannel);
    it('a wait that fails shows what each program wrote', async () => {
      const failing = stage.until({ what: 'a miracle', ms: 50 }, () => Promise.resolve(false));
      const { message } = await failing.then(
        () => new Error('it did not fail'),
        (error: unknown) => error as Error,
      );
      for (const name of ['chain', 'payer', 'payee']) {
        expect(message).toMatch(new RegExp(`the end of the log of ${name} ---\\n(?!--- |\\(no log\\)).`));
      }
    });
  });
}

/** Coins, then a channel that both ends call usable. */
export async function openChannel(stage: ProgramStage): Promise<void> {
  const { chain, payer, payee, step, until } = stage;
  const address = await step({ what: 'an address of the payer' }, payer.newAddress);
  await step({ what: 'coins for the payer' }, () => chain.fund(address, CAPACITY_SATS + FEES_SATS));
  await step({ what: 'a block with the coins' }, () => chain.mine(1));
  await until({ what: 'the coins of the payer' }, async () => (await payer.confirmedSats()) > CAPACITY_SATS);
  await bothAtTip(stage);
  await step({ what: 'the connection' }, () => payer.connect(payee));
  await step({ what: 'the opening of the channel' }, () => payer.openChannel(payee, CAPACITY_SATS));
  await until({ what: 'the funding transaction' }, async () => (await chain.waiting()) > 0);
  await step({ what: 'blocks on the channel' }, () => chain.mine(CHANNEL_DEPTH));
  await bothAtTip(stage);
  await bothUsable(stage);
}

async function bothAtTip({ chain, payer, payee, until }: ProgramStage): Promise<void> {
  for (const { name, port } of [payer, payee]) {
    await until({ what: `the ${name} at the tip` }, async () => {
      const { blockHeight, isSynced } = await port.getInfo();
      return isSynced && blockHeight === (await chain.tipHeight());
    });
  }
}

async function bothUsable({ payer, payee, until }: ProgramStage): Promise<void> {
  await until({ what: 'the channel usable at the payer' }, () => payer.hasUsableChannel(payee));
  await until({ what: 'the channel usable at the payee' }, () => payee.hasUsableChannel(payer));
}

/** Until the channel can be used again. */
async function restart(stage: ProgramStage, node: NodeProgram, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  await stage.step({ what: `the restart of the ${node.name}`, ms: RESTART_MS }, () => node.restart(signal));
  await bothUsable(stage);
}

/** Makes an invoice and pays it, until it is held. */
async function hold({ step, until }: ProgramStage, { from, to, amountMsat = AMOUNT_MSAT }: Way): Promise<Held> {
  const deadline = Date.now() + FIRST_PAYMENT_MS;
  for (;;) {
    const secret = newSecret();
    const { paymentHash } = secret;
    const request = invoiceRequest(paymentHash, { amountMsat: msat(amountMsat) });
    const { bolt11 } = await step({ what: 'the invoice' }, () => to.port.createHoldInvoice(request));
    const paying = from.port.pay({ bolt11, maxFeeMsat: msat(0n), maxTotalCltvDelta: 1_000, timeoutSecs: 60 });
    paying.catch(() => undefined); // the state counts, not this answer: the node may be killed meanwhile
    const end = await until<'HELD' | PaymentResult>({ what: 'the payment held or failed' }, async () => {
      if ((await to.port.lookupInvoice(paymentHash))?.state === 'HELD') return 'HELD';
      const payment = await from.port.lookupPayment(paymentHash);
      return payment?.state === 'FAILED' && payment;
    });
    if (end === 'HELD') return secret;
    if (Date.now() > deadline) throw new Error(`no payment was held: ${JSON.stringify(end)}`);
  }
}

const settle = ({ step }: ProgramStage, { port }: NodeProgram, { preimage }: Held): Promise<void> =>
  step({ what: 'the settling' }, () => port.settleInvoice(preimage));

async function seenOf({ until }: ProgramStage, { paymentHash }: Held, { from, to }: Way): Promise<Seen> {
  const invoice = await until({ what: `the end of the payment at the ${to.name}` }, async () => {
    const found = await to.port.lookupInvoice(paymentHash);
    return (found?.state === 'SETTLED' || found?.state === 'CANCELED') && found;
  });
  const payment = await until({ what: `the end of the payment at the ${from.name}` }, async () => {
    const found = await from.port.lookupPayment(paymentHash);
    return found?.state !== 'IN_FLIGHT' && found;
  });
  const isPreimageRight =
    payment.state === 'SUCCEEDED' && hex(createHash('sha256').update(payment.preimage).digest()) === paymentHash;
  return { outbound: payment.state, inbound: invoice.state, isPreimageRight, receivedMsat: invoice.heldMsat };
}

async function closeChannel({ chain, payer, payee, step, until }: ProgramStage): Promise<void> {
  const paidSats = (3n * AMOUNT_MSAT - BACK_MSAT) / 1_000n;
  await until({ what: 'the channel taken down' }, async () => {
    await payer.closeChannel(payee); // refused while an HTLC is being removed
    return true;
  });
  await until({ what: 'the closing transaction' }, async () => (await chain.waiting()) > 0);
  await until({ what: 'the money of both on the chain' }, async () => {
    if ((await chain.waiting()) > 0) await chain.mine(6);
    const [paid, change] = [await payee.confirmedSats(), await payer.confirmedSats()];
    if (paid > paidSats - MAX_SWEEP_FEE_SATS && change > CAPACITY_SATS / 2n) return true;
    throw new Error(`the payee has ${paid} of ${paidSats} sats, the payer ${change}`);
  });
  expect(await step({ what: 'the coins of the payee' }, payee.confirmedSats)).toBeLessThanOrEqual(paidSats);
  expect(await step({ what: 'the channels of the payer' }, () => payer.hasUsableChannel(payee))).toBe(false);
  expect(await step({ what: 'the channels of the payee' }, () => payee.hasUsableChannel(payer))).toBe(false);
}
