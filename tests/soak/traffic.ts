/** Payments over A-B-C in both directions, and what the two ends said about each while nodes died. */
import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';

import { msat, paymentHash as paymentHashOf, type PaymentHash, type Preimage } from '../../src/core/units.js';
import { errorChain } from '../../src/errors.js';
import type { PaymentResult } from '../../src/lightning/node.js';
import { invoiceRequest, newSecret, type LightningWorld } from '../support/lightningWorld.js';
import type { Random } from '../support/seededRandom.js';

/** Longer than any payment takes whose nodes are killed again and again. */
const DEADLINE_MS = 240_000;
/** Longer than a run. */
const LASTING_MS = 3_600_000;
const RETRY_MS = 100;
const PAY_SECS = 15;
/** Held payments outlive the blocks of a run by far. */
const CLTV_DELTA = 144;
const EXPIRY_SECS = 7200;
/** Less is dust in a channel without anchors, and is not held. */
const LEAST_MSAT = 3_000_000n;

type End = 'A' | 'C';

/** What is to become of a payment. */
export type Plan = {
  readonly index: number;
  readonly payer: End;
  readonly payee: End;
  readonly amountMsat: bigint;
  /** Taken at once by an invoice of the node's own, or held first. */
  readonly kind: 'plain' | 'settle' | 'cancel';
  /** How long it is held; undefined until the run's end. */
  readonly holdMs: number | undefined;
};

/** What the ends said. */
export type Story = {
  readonly plan: Plan;
  paymentHash: PaymentHash | undefined;
  bolt11: string;
  /** The payee said HELD and was not yet asked to decide: it must say so until then. */
  isHeld: boolean;
  /** The last word of the payer. */
  result: PaymentResult | undefined;
  /** Attempts that ended with FAILED because nodes were away. */
  failures: number;
  readonly problems: string[];
};

/** Plans in a random mix; the first `lasting` ones are held to the end of the run. */
export function makePlans(random: Random, count: number, lasting: number): Plan[] {
  return Array.from({ length: count }, (_, index): Plan => {
    const payer = random() < 0.5 ? 'A' : 'C';
    const amountMsat = LEAST_MSAT + BigInt(Math.floor(random() * 27_000_000));
    const fate = random();
    const kind = fate < 0.4 ? 'plain' : fate < 0.75 ? 'settle' : 'cancel';
    const holdMs = Math.floor(random() * 2_000);
    const common = { index, payer, payee: payer === 'A' ? 'C' : 'A', amountMsat } as const;
    if (index < lasting) return { ...common, kind: index % 2 === 0 ? 'settle' : 'cancel', holdMs: undefined };
    return { ...common, kind, holdMs };
  });
}

export const newStory = (plan: Plan): Story => ({
  plan,
  paymentHash: undefined,
  bolt11: '',
  isHeld: false,
  result: undefined,
  failures: 0,
  problems: [],
});

/** What all payments of a run share. */
export type Run = {
  readonly world: LightningWorld;
  /** Ends the lasting holds. */
  readonly released: Promise<unknown>;
  /** Aborted when no payment can end well any more. */
  readonly abandoned: AbortSignal;
};

/** Repeats while nodes are away. @throws Error with the last answer if that takes too long. */
async function insist<T>(
  what: string,
  { run, until }: { readonly run: Run; readonly until: number },
  body: () => Promise<T | undefined>,
): Promise<T> {
  let last: unknown;
  for (;;) {
    try {
      const value = await body();
      if (value !== undefined) return value;
    } catch (error) {
      last = error;
    }
    if (Date.now() > until || run.abandoned.aborted)
      throw new Error(`not in time: ${what}${last === undefined ? '' : `: ${errorChain(last)}`}`);
    await delay(RETRY_MS);
  }
}

/** Plays one payment to its end; what goes wrong is told in the story. */
export async function play(run: Run, story: Story): Promise<void> {
  try {
    const until = Date.now() + (story.plan.holdMs === undefined ? LASTING_MS : DEADLINE_MS);
    if (story.plan.kind === 'plain') await playPlain(run, story, until);
    else await playHeld(run, story, until);
  } catch (error) {
    story.problems.push(errorChain(error));
  }
}

async function playPlain(run: Run, story: Story, until: number): Promise<void> {
  const { index, payee, amountMsat } = story.plan;
  const request = { amountMsat, description: `soak ${index}`, expirySecs: EXPIRY_SECS };
  const client = () => run.world.peer(payee).client;
  const invoice = await insist('an invoice', { run, until }, () => client().createInvoice(request));
  story.bolt11 = invoice.bolt11;
  story.paymentHash = paymentHashOf(invoice.paymentHash.toString('hex'));
  await pay(run, story, { until, mayFail: () => false });
}

async function playHeld(run: Run, story: Story, until: number): Promise<void> {
  const { payee, amountMsat, kind, holdMs } = story.plan;
  const { preimage, paymentHash } = newSecret();
  const change = { amountMsat: msat(amountMsat), expirySecs: EXPIRY_SECS, minFinalCltvDelta: CLTV_DELTA };
  const request = invoiceRequest(paymentHash, change);
  const port = () => run.world.peer(payee).port;
  const limits = { run, until };
  const { bolt11 } = await insist('a hold invoice', limits, () => port().createHoldInvoice(request));
  Object.assign(story, { bolt11, paymentHash });
  let isDecided = false;
  const paying = pay(run, story, { until, mayFail: () => isDecided && kind === 'cancel' });
  const deciding = async (): Promise<void> => {
    await insist('held', limits, async () => (await port().lookupInvoice(paymentHash))?.state === 'HELD' || undefined);
    story.isHeld = true;
    await (holdMs === undefined ? run.released : delay(holdMs));
    story.isHeld = false;
    isDecided = true;
    await insist(kind, limits, () => decide(run.world, story, preimage));
  };
  await Promise.all([paying, deciding()]);
}

async function decide(world: LightningWorld, { plan, paymentHash }: Story, preimage: Preimage): Promise<true> {
  const { port } = world.peer(plan.payee);
  if (plan.kind === 'settle') await port.settleInvoice(preimage);
  else if (paymentHash !== undefined) await port.cancelInvoice(paymentHash);
  return true;
}

type PayRules = {
  readonly until: number;
  /** FAILED is the wanted end now; before it is the word of a path that is away. */
  readonly mayFail: () => boolean;
};

/** Pays until the payment has ended. */
async function pay(run: Run, story: Story, { until, mayFail }: PayRules): Promise<void> {
  const { world } = run;
  const { plan, bolt11 } = story;
  const request = { bolt11, maxFeeMsat: msat(1_000_000n), maxTotalCltvDelta: 1_000, timeoutSecs: PAY_SECS };
  story.result = await insist('the payment', { run, until }, async () => {
    const isEndWanted = mayFail(); // before the call: a failure of an earlier attempt is no answer to the cancel
    const result = await world.peer(plan.payer).port.pay(request);
    if (result.state === 'SUCCEEDED') return result;
    if (result.state === 'IN_FLIGHT') return undefined;
    if (isEndWanted || mayFail()) return result;
    await assertNothingOut(world, story, mayFail);
    story.failures += 1;
    return undefined;
  });
  if (story.result.state === 'SUCCEEDED' && hashOf(story.result.preimage) !== story.paymentHash) {
    story.problems.push('the preimage is of another hash');
  }
}

const hashOf = (preimage: Preimage): string => createHash('sha256').update(preimage).digest('hex');

/** FAILED means that nothing is out: the payee must not hold it. */
async function assertNothingOut(world: LightningWorld, story: Story, isDecided: () => boolean): Promise<void> {
  const { plan, paymentHash } = story;
  if (paymentHash === undefined) return;
  const invoice = await world.peer(plan.payee).port.lookupInvoice(paymentHash);
  if (invoice?.state === 'HELD' && !isDecided()) story.problems.push('FAILED at the payer while HELD at the payee');
}
