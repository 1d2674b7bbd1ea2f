/** An invoice of lnd as the port tells it. Pure. */
import { msat, paymentHash, toSafeNumber, unixSecs, type UnixSecs } from '../../core/units.js';
import type { HoldInvoice, HoldInvoiceRequest } from '../node.js';
import type { InvoiceAnswer } from './answers.js';
import type { HtlcFate } from './htlcs.js';

/** lnd cancels a held invoice by itself so many blocks before its first HTLC times out (`invoices.holdexpirydelta`). */
export const DEFAULT_HOLD_EXPIRY_DELTA = 12;

/**
 * Smaller HTLCs may have no output of their own in a commitment transaction: whoever publishes it gives their amounts to
 * the miners. lnd lets a peer have a limit of dust of up to three times 354 sat.
 */
const LEAST_PART_MSAT = 1_062_000n;

type Heard = {
  /** What the channels say about its HTLCs. */
  readonly fate: HtlcFate;
  readonly holdExpiryDelta: number;
  readonly now: UnixSecs;
};

const heldHtlcs = ({ htlcs }: InvoiceAnswer): InvoiceAnswer['htlcs'] =>
  htlcs.filter(({ state }) => state === 'ACCEPTED');

/** What is held and could be taken on the chain. A payer who splits a price into dust could learn S and burn the payment. */
function takeableMsat(invoice: InvoiceAnswer): bigint {
  if (invoice.value_msat < LEAST_PART_MSAT) return invoice.amt_paid_msat;
  const dust = heldHtlcs(invoice).filter(({ amt_msat: part }) => part < LEAST_PART_MSAT);
  return invoice.amt_paid_msat - dust.reduce((sum, { amt_msat: part }) => sum + part, 0n);
}

/** What is held or was taken; of what is held only what could be taken. */
function heldMsatOf(invoice: InvoiceAnswer, state: HoldInvoice['state']): bigint {
  switch (state) {
    case 'HELD':
      return takeableMsat(invoice);
    case 'SETTLED':
      return invoice.amt_paid_msat;
    case 'OPEN':
    case 'CANCELED':
      return 0n;
    default:
      throw new Error(`unknown invoice state ${state satisfies never}`);
  }
}

/**
 * HELD only if lnd accepted a set and everything that it asks for is in it. Neither alone is enough: a part of a set is
 * shown as an HTLC of an open invoice, and an accepted invoice may be paid twice over.
 */
function stateOf(invoice: InvoiceAnswer): HoldInvoice['state'] {
  if (invoice.state !== 'ACCEPTED') return invoice.state;
  const inHtlcs = heldHtlcs(invoice).reduce((sum, { amt_msat: part }) => sum + part, 0n);
  const isComplete = invoice.amt_paid_msat >= invoice.value_msat && inHtlcs >= invoice.value_msat;
  return isComplete ? 'HELD' : 'OPEN';
}

const expiryOf = ({ creation_date: createdAt, expiry }: InvoiceAnswer): UnixSecs =>
  unixSecs(toSafeNumber(createdAt + expiry));

/** lnd stores no reason, so this says only what can be known of it. */
function cancelReasonOf(invoice: InvoiceAnswer, { now, holdExpiryDelta }: Heard): string {
  if (invoice.state !== 'CANCELED') return '';
  if (invoice.htlcs.length > 0) {
    return `CANCELED with a payment held: by a caller, or by lnd ${holdExpiryDelta} blocks before its timeout`;
  }
  return now >= expiryOf(invoice) ? 'EXPIRED' : 'CANCELED_BY_USER';
}

/** @returns the invoice as the port tells it. */
export function toHoldInvoice(invoice: InvoiceAnswer, heard: Heard): HoldInvoice {
  const state = stateOf(invoice);
  const timeouts = heldHtlcs(invoice).map(({ expiry_height: height }) => height);
  return {
    paymentHash: paymentHash(invoice.r_hash),
    bolt11: invoice.payment_request,
    state,
    amountMsat: msat(invoice.value_msat),
    heldMsat: msat(heldMsatOf(invoice, state)),
    claimDeadlineHeight: state === 'HELD' ? Math.min(...timeouts) - heard.holdExpiryDelta : undefined,
    isHtlcPending: heard.fate.isPending,
    isTimedOutOnChain: heard.fate.isTimedOutOnChain,
    label: invoice.memo,
    cancelReason: cancelReasonOf(invoice, heard),
    expiresAt: expiryOf(invoice),
  };
}

/** A field of the invoice that is not as asked for, or undefined. */
export function differenceTo(invoice: InvoiceAnswer, request: HoldInvoiceRequest): string | undefined {
  // One with a known preimage would be settled by lnd itself.
  const isHold = invoice.state === 'SETTLED' || /^0*$/.test(invoice.r_preimage);
  const same: Readonly<Record<string, boolean>> = {
    kind: isHold,
    payment_hash: invoice.r_hash === request.paymentHash,
    amount_msat: invoice.value_msat === request.amountMsat,
    description_hash: invoice.description_hash === request.descriptionHash,
    expiry_secs: invoice.expiry === BigInt(request.expirySecs),
    min_final_cltv_delta: invoice.cltv_expiry === BigInt(request.minFinalCltvDelta),
    label: invoice.memo === request.label,
  };
  return Object.keys(same).find((field) => same[field] === false);
}
