/** The paths that a swap can take, each played from the quote to the end by real buyers, nodes and chains. */
import type { PurchaseRecord } from '../../src/buyer/record.js';
import { paymentHash } from '../../src/core/units.js';
import { eventually } from '../support/testWorld.js';
import {
  buy,
  drive,
  liquidStatus,
  mineToEnd,
  mineToRefundHeight,
  mineUntil,
  swapOf,
  swapWhen,
  type Stage,
} from './stage.js';
import type { BroadcastFate } from './electrumProxy.js';
import type { Arming } from './sellerProcess.js';

export type Path = {
  readonly name: string;
  /** State and payment status in which its swap ends. */
  readonly end: 'CLAIMED/SETTLED' | 'REFUNDED/CANCELED' | 'FAILED/CANCELED';
  /** Plays it once. `rearm` is for a seller that the path itself takes down: its failpoint may still lie ahead. */
  readonly play: (stage: Stage, rearm: () => Arming) => Promise<void>;
};

/** Liquid blocks after which nobody may pay a funding of this profile any more, and a margin. */
const UNTIL_UNPAYABLE = 32;
/** Blocks after which a held payment may not be taken any more, and a margin. */
const UNTIL_TOO_LATE = 42;
/** Above what the sandbox's estimate asks, below the seller's ceiling. */
const RAISED_FLOOR = 1_000;

const isFundedState = ({ state }: { readonly state: string }): boolean => state === 'FUNDED';

async function claim(stage: Stage): Promise<void> {
  await claimOf(stage, await buy(stage));
}

async function claimOf(stage: Stage, record: PurchaseRecord): Promise<void> {
  const [ended] = await Promise.all([drive(stage, record, 'claimed'), mineToEnd(stage, [swapOf(record)])]);
  if (ended.progress.step !== 'claimed') throw new Error(`the buyer ended ${ended.progress.step}`);
}

/** A swap whose funding is deep enough, and whose buyer is gone. */
async function fundedSwap(stage: Stage): Promise<string> {
  const id = swapOf(await buy(stage));
  await mineUntil(stage, [id], (swaps) => swaps.every(isFundedState));
  return id;
}

async function refundOf(stage: Stage, id: string): Promise<void> {
  const swap = await swapWhen(stage, id, 'payment CANCELED', ({ payment }) => payment === 'CANCELED');
  await mineToRefundHeight(stage, swap);
  await mineToEnd(stage, [id]);
}

async function refund(stage: Stage): Promise<void> {
  const id = await fundedSwap(stage);
  await stage.world.mine(UNTIL_UNPAYABLE);
  await refundOf(stage, id);
}

/** The seller is down while the payment arrives, and comes back when it is too late to take it. */
async function latePayment(stage: Stage, rearm: () => Arming): Promise<void> {
  const record = await buy(stage);
  const id = swapOf(record);
  await mineUntil(stage, [id], (swaps) => swaps.every(isFundedState));
  const paying = await drive(stage, record, 'paying');
  await stage.seller.down();
  const ended = drive(stage, paying, 'paid');
  ended.catch(() => undefined); // awaited below
  const { payment_hash: hash } = await swapWhen(stage, id, 'stored', () => true);
  await eventually('a held payment', async () => {
    const invoice = await stage.node.lookupInvoice(paymentHash(hash));
    return invoice?.state === 'HELD' ? true : undefined;
  });
  await stage.world.mine(UNTIL_TOO_LATE);
  await stage.seller.up(rearm());
  await refundOf(stage, id);
  const { progress } = await ended;
  if (progress.step !== 'unpaid') throw new Error(`the buyer ended ${progress.step}`);
}

async function cancelAtNode(stage: Stage, id: string): Promise<void> {
  const { payment_hash: hash } = await swapWhen(stage, id, 'stored', () => true);
  await eventually('a canceled invoice', async () => {
    await stage.node.cancelInvoice(paymentHash(hash));
    return (await stage.node.lookupInvoice(paymentHash(hash)))?.state === 'CANCELED' ? true : undefined;
  });
}

/** The operator cancels the invoice at the node, behind the seller's back. */
async function cancel(stage: Stage): Promise<void> {
  const id = await fundedSwap(stage);
  await cancelAtNode(stage, id);
  await refundOf(stage, id);
}

/** The relay fee rises between signing and broadcast, and the invoice dies before the funding gets anywhere. */
async function fundingRejected(stage: Stage): Promise<void> {
  const { floor_sat_per_kvb: floor } = await liquidStatus(stage);
  let refusals = 0;
  stage.proxy.onBroadcast = async (): Promise<BroadcastFate> => {
    if (refusals === 0) await stage.world.ask({ command: 'floor', sat_per_kvb: RAISED_FLOOR });
    refusals += 1;
    return 'forward';
  };
  try {
    const id = swapOf(await buy(stage));
    await eventually('a refused funding', () => Promise.resolve(refusals > 0 ? true : undefined));
    await cancelAtNode(stage, id);
    await mineToEnd(stage, [id]);
  } finally {
    stage.proxy.onBroadcast = undefined;
    await stage.world.ask({ command: 'floor', sat_per_kvb: Number.parseInt(floor, 10) });
  }
}

/** The connection is lost at the first broadcast, so that nobody knows what became of it. */
const fundingUnknown = (fate: BroadcastFate) => async (stage: Stage) => {
  let broadcasts = 0;
  stage.proxy.onBroadcast = () => {
    broadcasts += 1;
    return broadcasts === 1 ? fate : 'forward';
  };
  try {
    await claim(stage);
  } finally {
    stage.proxy.onBroadcast = undefined;
  }
};

/** Every path of the crash matrix. */
export const PATHS: readonly Path[] = [
  { name: 'claim', end: 'CLAIMED/SETTLED', play: claim },
  { name: 'refund', end: 'REFUNDED/CANCELED', play: refund },
  { name: 'late payment', end: 'REFUNDED/CANCELED', play: latePayment },
  { name: 'cancel', end: 'REFUNDED/CANCELED', play: cancel },
  { name: 'funding rejected', end: 'FAILED/CANCELED', play: fundingRejected },
  { name: 'funding unknown, not sent', end: 'CLAIMED/SETTLED', play: fundingUnknown('cut_before') },
  { name: 'funding unknown, sent', end: 'CLAIMED/SETTLED', play: fundingUnknown('cut_after') },
];
