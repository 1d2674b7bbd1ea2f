/** What the seller says once money is out: nothing of it may end the purchase, and nothing replaces the real preimage. */
import { setTimeout as delay } from 'node:timers/promises';

import type { PurchaseRecord, Step } from '../../src/buyer/record.js';
import { drivePurchase } from '../../src/buyer/session.js';
import { PaymentStatus, SwapStatus, type Swap } from '../../src/gen/ln_liquid_swap/v1/swap.js';
import type { SellerLie } from '../support/lyingSeller.js';
import { startOrder } from './parts.js';
import type { Stage } from './stage.js';

const DEADLINE_MS = 40_000;
const BLOCK_MS = 300;
/** Long enough for the buyer to ask the node and the seller. */
const IGNORED_MS = 1_500;

/** A lie while the payment is held, which the seller tells as long as its daemon is away. */
export type AfterPaymentLie = { readonly name: string; readonly instead: NonNullable<SellerLie['instead']> };

const told =
  (change: Partial<Swap>): AfterPaymentLie['instead'] =>
  (swap) => ({ ...swap, ...change });

export const AFTER_PAYMENT_LIES: readonly AfterPaymentLie[] = [
  { name: 'preimage of another hash', instead: told({ preimage: Buffer.alloc(32, 7) }) },
  { name: 'canceled, though it holds the money', instead: told({ bolt11: '', paymentStatus: PaymentStatus.CANCELED }) },
  { name: 'failed, though it holds the money', instead: told({ bolt11: '', status: SwapStatus.FAILED }) },
  { name: 'state going backwards', instead: told({ status: SwapStatus.CREATED, paymentStatus: PaymentStatus.NONE }) },
  { name: 'another funding', instead: told({ fundingTxid: Buffer.alloc(32, 7) }) },
];

/** Drives, with a block now and then: as few as it takes, for a purchase must be paid long before its refund height. */
async function driveMining(stage: Stage, record: PurchaseRecord, until?: Step): Promise<Step> {
  const driving = driveFor(stage, record, DEADLINE_MS, until);
  const ended = driving.then(
    () => true,
    () => true,
  );
  while (!(await Promise.race([ended, delay(BLOCK_MS, false)]))) await stage.parts.world.mine(1);
  return (await driving).progress.step;
}

/** Pays without another block, then claims. */
async function payAndClaim(stage: Stage, record: PurchaseRecord): Promise<Step> {
  await driveFor(stage, record, DEADLINE_MS, 'paid');
  return await driveMining(stage, record);
}

/** The purchase that all lies were about. @returns its last step. */
export async function buysHonestly(stage: Stage): Promise<Step> {
  stage.parts.liar.tell({});
  return await payAndClaim(stage, stage.record);
}

/** A purchase whose payment is held: the seller's daemon is away from now on. */
export async function holdPayment(stage: Stage): Promise<PurchaseRecord> {
  const { world, buyer } = stage.parts;
  const { lightning } = buyer.buyer;
  const record = await startOrder(world, buyer, { minFundingConfs: 1, maxPriceMsat: undefined });
  await driveMining(stage, record, 'verified');
  const { progress } = await driveFor(stage, record, DEADLINE_MS, 'paying');
  if (progress.step !== 'paying' || lightning === undefined) throw new Error('the purchase is not being paid');
  await world.ask({ command: 'stop', name: 'swapd' });
  const limits = { maxFeeMsat: record.maxFeeMsat, maxTotalCltvDelta: 60 };
  const sent = await lightning.pay({ bolt11: progress.htlc.bolt11, ...limits, timeoutSecs: 1 });
  if (sent.state !== 'IN_FLIGHT') throw new Error(`expected a held payment, found ${sent.state}`);
  return record;
}

/** Tells the lie to a buyer whose payment is held. @returns the step that it leaves the purchase at. */
export async function tellHeld(stage: Stage, record: PurchaseRecord, { instead }: AfterPaymentLie): Promise<Step> {
  stage.parts.liar.tell({ instead });
  const { progress } = await driveFor(stage, record, IGNORED_MS);
  return progress.step;
}

/** The seller's daemon comes back and takes the payment. @returns the last step. */
export async function letSettle(stage: Stage, record: PurchaseRecord): Promise<Step> {
  stage.parts.liar.tell({});
  await stage.parts.world.ask({ command: 'start', name: 'swapd' });
  return await payAndClaim(stage, record);
}

async function driveFor(stage: Stage, record: PurchaseRecord, ms: number, until?: Step): Promise<PurchaseRecord> {
  const signal = AbortSignal.timeout(ms);
  const wanted = until === undefined ? {} : { until };
  return await drivePurchase(stage.parts.buyer.buyer, record.number, { ...wanted, signal, onEvent: () => undefined });
}
