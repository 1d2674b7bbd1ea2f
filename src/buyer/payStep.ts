/** The payment of a purchase: sent at most once, tracked by its hash until the node knows how it ended. */
import { hashPreimage } from '../core/htlc.js';
import { hex, preimage, txid, type PaymentHash, type Preimage } from '../core/units.js';
import { SwapError } from '../errors.js';
import { PaymentStatus, SwapStatus, type Swap } from '../gen/ln_liquid_swap/v1/swap.js';
import type { LightningNode, PaymentResult } from '../lightning/node.js';
import type { Buyer } from './buyer.js';
import { BuyerError, RemoteError } from './buyerError.js';
import { isWorthWaiting } from './check.js';
import { findSpend } from './claimLook.js';
import { claimSource, writeKit } from './claimStep.js';
import type { Handover } from './deal.js';
import type { Drive } from './drive.js';
import { printable } from './printable.js';
import type { Progress, PurchaseRecord, StoredHtlc } from './record.js';
import { failedCodes } from './verify.js';
import { verifyHandover } from './verifyHandover.js';
import { pause } from './wait.js';

/** One send call answers within this time; what comes later is asked for by the hash. */
const SEND_SECS = 120;
/** Attempts of one run, and the pause between them. */
const MAX_SENDS = 8;
const SEND_PAUSE_MS = 2_000;

/**
 * One payment, sent at most once per call and only right after a fresh verification. What the node says about the hash
 * decides; an error or a timeout says nothing.
 */
export async function pay(drive: Drive, record: PurchaseRecord, htlc: StoredHtlc): Promise<Progress | undefined> {
  const { buyer, options } = drive;
  const { lightning } = buyer;
  if (lightning === undefined) {
    throw new BuyerError('not_connected', 'expected a Lightning node to pay with, found none; see --lightning-address');
  }
  const known = await lightning.lookupPayment(htlc.paymentHash);
  // A failure is terminal: nothing is out any more, so another attempt is a new payment with checks of its own.
  const isOpen = known === undefined || known.state === 'FAILED';
  const result = isOpen ? await send(lightning, drive, record, htlc) : known;
  if ('refused' in result) return { step: 'unpaid', reason: result.refused };
  options.onEvent({ kind: 'payment', state: result.state });
  switch (result.state) {
    case 'SUCCEEDED':
      return paidWith(buyer, record, htlc, result.preimage);
    case 'FAILED':
      return await afterFailure(drive, htlc, printable(result.reason));
    case 'IN_FLIGHT': {
      const secret = await preimageElsewhere(buyer, record, htlc);
      return secret === undefined ? undefined : paidWith(buyer, record, htlc, secret);
    }
    default:
      throw new Error(`unknown payment state ${JSON.stringify(result satisfies never)}`);
  }
}

/** A peer may just be reconnecting: a few more attempts, unless the seller says that it is over. */
async function afterFailure(drive: Drive, htlc: StoredHtlc, reason: string): Promise<Progress | undefined> {
  const { buyer, options, sends } = drive;
  sends.failed += 1;
  const swap = await swapOfSeller(buyer, htlc);
  const end = swap === undefined ? undefined : endWithoutPayment(swap);
  if (end !== undefined || sends.failed >= MAX_SENDS) {
    return { step: 'unpaid', reason: `the payment failed: ${reason}${end === undefined ? '' : ` (${end})`}` };
  }
  options.onEvent({
    kind: 'waiting',
    problem: `payment failed (${reason}); attempt ${sends.failed + 1} of ${MAX_SENDS}`,
  });
  await pause(SEND_PAUSE_MS, options.signal);
  return undefined;
}

async function send(
  lightning: LightningNode,
  { buyer, options }: Drive,
  record: PurchaseRecord,
  htlc: StoredHtlc,
): Promise<PaymentResult | { refused: string }> {
  const node = await lightning.getInfo();
  if (!node.isSynced) throw new SwapError('lightning_unavailable', 'our Lightning node is not synced to its chain');
  const handover: Handover = {
    swapId: htlc.swapId,
    bolt11: htlc.bolt11,
    witnessScript: Buffer.from(htlc.witnessScript, 'hex'),
    fundingTxid: htlc.outpoints[0]?.outpoint.txid ?? txid('00'.repeat(32)),
  };
  const report = await verifyHandover(buyer, record.deal, handover);
  if (report.facts === undefined) {
    options.onEvent({ kind: 'report', report });
    const codes = failedCodes(report).join(', ');
    if (isWorthWaiting(report.checks)) throw new SwapError('chain_unavailable', `not safe to pay yet: ${codes}`);
    return { refused: `refused before sending: ${codes}` };
  }
  options.onEvent({ kind: 'payment', state: 'SENDING' });
  return await lightning.pay({
    bolt11: htlc.bolt11,
    maxFeeMsat: record.maxFeeMsat,
    maxTotalCltvDelta: report.facts.maxTotalCltvDelta,
    timeoutSecs: SEND_SECS,
  });
}

/** From here on the kit alone is enough to claim. */
function paidWith(buyer: Buyer, record: PurchaseRecord, htlc: StoredHtlc, secret: Preimage): Progress {
  if (!belongs(secret, htlc.paymentHash)) throw new Error('the Lightning node reports a preimage of another hash');
  writeKit(buyer, record, htlc, secret);
  return { step: 'paid', htlc, preimage: hex(secret) };
}

const belongs = (secret: Preimage, hash: PaymentHash): boolean => hashPreimage(secret) === hash;

/** S out of the seller's answer (after it settled) or out of a claim on the chain; a hop may withhold it for hours. */
async function preimageElsewhere(
  buyer: Buyer,
  record: PurchaseRecord,
  htlc: StoredHtlc,
): Promise<Preimage | undefined> {
  const told = await preimageOfSeller(buyer, htlc);
  if (told !== undefined) return told;
  const [first] = buyer.chains;
  const spend = first === undefined ? undefined : await findSpend(first, claimSource(buyer, record, htlc));
  return spend?.kind === 'claimed' ? spend.preimage : undefined;
}

async function preimageOfSeller(buyer: Buyer, htlc: StoredHtlc): Promise<Preimage | undefined> {
  const swap = await swapOfSeller(buyer, htlc);
  if (swap?.preimage.length !== 32) return undefined;
  const secret = preimage(swap.preimage);
  return belongs(secret, htlc.paymentHash) ? secret : undefined;
}

/** The seller's word; its help is welcome, not needed. */
async function swapOfSeller({ seller }: Buyer, htlc: StoredHtlc): Promise<Swap | undefined> {
  try {
    return (await seller.getSwap({ swapId: Buffer.from(htlc.swapId, 'hex') })).swap;
  } catch (error) {
    if (error instanceof RemoteError) return undefined;
    throw error;
  }
}

/** Why a swap that we did not pay cannot be paid any more. */
export function endWithoutPayment(swap: Swap): string | undefined {
  const { status, paymentStatus } = swap;
  const isOver = status === SwapStatus.FAILED || status === SwapStatus.REFUNDED || status === SwapStatus.CLAIMED;
  const isCanceled = paymentStatus === PaymentStatus.CANCELING || paymentStatus === PaymentStatus.CANCELED;
  const why = swap.reason === '' ? '' : `: ${printable(swap.reason)}`;
  if (isOver) return `the seller ended the swap${why}`;
  return isCanceled ? `the seller canceled the invoice${why}` : undefined;
}
