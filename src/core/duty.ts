/**
 * What a swap needs next, decided from what is stored and what was just looked up. Pure: the rules of docs/protocol.md
 * section 2 (settle gate, finally unpaid, refund) and the order of section 3 stand here and nowhere else.
 */
import { isFunded, type FundedSwap, type Swap, type SwapEvent } from './swap.js';
import { FINAL_CONFS, MIN_CLAIM_DEADLINE_BLOCKS, MIN_INVOICE_LIFE_SECS, PROFILES } from './timelock.js';
import type { BlockHeight, Msat, Txid, UnixSecs } from './units.js';

/** The invoice as the node reports it. */
export type InvoiceReport = {
  readonly state: 'OPEN' | 'HELD' | 'SETTLED' | 'CANCELED';
  readonly heldMsat: Msat;
  readonly claimDeadlineHeight: number | undefined;
  readonly isHtlcPending: boolean;
  readonly cancelReason: string;
};

/** A transaction that spends an HTLC outpoint. */
export type SpendReport = { readonly kind: 'claim' | 'refund'; readonly txid: Txid; readonly confs: number };

/** The HTLC as the chain shows it. */
export type HtlcReport = {
  /** The funding is in the mempool or in a block. */
  readonly isSeen: boolean;
  readonly confs: number;
  /** One entry per outpoint, in the swap's order; undefined while unspent. */
  readonly spends: readonly (SpendReport | undefined)[];
};

/** Everything that was looked up for one decision. Undefined means that nobody answered. */
export type Facts = {
  readonly now: UnixSecs;
  readonly tip: BlockHeight | undefined;
  /** What the node says of the invoice; `unknown_hash` only if it says that it does not know it. */
  readonly invoice: InvoiceReport | 'unknown_hash' | undefined;
  readonly node: { readonly blockHeight: number; readonly isSynced: boolean } | undefined;
  readonly htlc: HtlcReport | undefined;
  /** A signed refund is stored. */
  readonly hasRefund: boolean;
  readonly isPaused: boolean;
  /** The tip rule is broken or a backend lags: nothing new, and no settling is decided. */
  readonly isDegraded: boolean;
};

/** The next thing to do. A call may be repeated; what it led to is looked up, never assumed. */
export type Duty =
  | { readonly kind: 'wait' }
  | { readonly kind: 'record'; readonly event: SwapEvent; readonly alarm?: string }
  | { readonly kind: 'create_invoice' }
  | { readonly kind: 'fund' }
  | { readonly kind: 'broadcast_funding' }
  | { readonly kind: 'settle' }
  | { readonly kind: 'cancel' }
  | { readonly kind: 'sign_refund' }
  | { readonly kind: 'broadcast_refund' };

const record = (event: SwapEvent, alarm?: string): Duty =>
  alarm === undefined ? { kind: 'record', event } : { kind: 'record', event, alarm };

/**
 * The first duty that is due and was not tried in this pass. Lightning goes before the chain, so that a report of the
 * node is stored before anything is decided from it.
 */
export function nextDuty(swap: Swap, facts: Facts, tried: ReadonlySet<Duty['kind']> = new Set()): Duty {
  const report = reportDuty(swap, facts);
  // Nothing is decided over a report that could not be stored; what was decided before is repeated.
  if (report !== undefined && tried.has(report.kind)) return repeated(swap, tried);
  for (const duty of [report, paymentDuty(swap, facts), chainDuty(swap, facts)]) {
    if (duty !== undefined && !tried.has(duty.kind)) return duty;
  }
  return { kind: 'wait' };
}

/** A committed decision is repeated even when nothing more can be stored. */
function repeated(swap: Swap, tried: ReadonlySet<Duty['kind']>): Duty {
  if (swap.payment === 'SETTLING' && !tried.has('settle')) return { kind: 'settle' };
  if (swap.payment === 'CANCELING' && !tried.has('cancel')) return { kind: 'cancel' };
  return { kind: 'wait' };
}

/** Stores what the node reports. */
function reportDuty(swap: Swap, { invoice }: Facts): Duty | undefined {
  if (invoice === undefined) return undefined;
  // S never left this process before SETTLING was committed, so a node without the invoice cannot be paid for it.
  if (invoice === 'unknown_hash') {
    return swap.payment === 'CANCELING'
      ? record({ kind: 'payment_canceled', reason: 'the node has no such invoice' })
      : undefined;
  }
  switch (invoice.state) {
    case 'SETTLED':
      return settledReport(swap, invoice);
    case 'CANCELED': {
      const canMove = swap.payment !== 'CANCELED' && swap.payment !== 'SETTLED' && swap.payment !== 'NONE';
      const reason = invoice.cancelReason === '' ? 'canceled by the node' : invoice.cancelReason;
      return canMove ? record({ kind: 'payment_canceled', reason }) : undefined;
    }
    case 'HELD':
      return swap.payment === 'OPEN' ? record({ kind: 'payment_held', heldMsat: invoice.heldMsat }) : undefined;
    case 'OPEN':
      return undefined;
    default:
      throw new Error(`unknown invoice state ${invoice.state satisfies never}`);
  }
}

function settledReport(swap: Swap, invoice: InvoiceReport): Duty | undefined {
  if (swap.payment === 'SETTLED') {
    const isReleasable = !swap.isPreimageReleased && !invoice.isHtlcPending;
    return isReleasable ? record({ kind: 'preimage_released' }) : undefined;
  }
  const alarm =
    swap.payment === 'SETTLING'
      ? undefined
      : `the node reports SETTLED, but the swap was ${swap.payment}: settling was never decided`;
  return record({ kind: 'payment_settled', heldMsat: invoice.heldMsat }, alarm);
}

/** Decides about the payment and repeats what was decided until the node reports it. */
function paymentDuty(swap: Swap, facts: Facts): Duty | undefined {
  switch (swap.payment) {
    case 'NONE':
    case 'SETTLED':
      return undefined;
    case 'OPEN':
      return openDuty(swap, facts);
    case 'HELD':
      return heldDuty(swap, facts);
    case 'SETTLING':
      // A node that does not know H must not learn S. The engine raises an alarm.
      return facts.invoice === 'unknown_hash' ? undefined : { kind: 'settle' };
    case 'CANCELING':
      return { kind: 'cancel' };
    case 'CANCELED': {
      const isAlive =
        typeof facts.invoice === 'object' && (facts.invoice.state === 'OPEN' || facts.invoice.state === 'HELD');
      return isAlive ? { kind: 'cancel' } : undefined;
    }
    default:
      throw new Error(`unknown payment status ${swap.payment satisfies never}`);
  }
}

function openDuty(swap: Swap, facts: Facts): Duty | undefined {
  // Without an answer it may be HELD by now, and expiry alone never cancels a held payment.
  if (facts.invoice === undefined) return undefined;
  const expiresAt = 'invoiceExpiresAt' in swap ? swap.invoiceExpiresAt : undefined;
  if (expiresAt !== undefined && facts.now >= expiresAt) return record({ kind: 'cancel_decided', reason: 'EXPIRED' });
  if (!isFunded(swap) || facts.tip === undefined) return undefined;
  const left = swap.refundHeight - facts.tip;
  const needed = PROFILES[swap.profile].payerMin;
  if (left >= needed) return undefined;
  return record({
    kind: 'cancel_decided',
    reason: `refund opens in ${left} blocks, a payment needs at least ${needed}`,
  });
}

function heldDuty(swap: Swap, facts: Facts): Duty | undefined {
  if (!isFunded(swap)) return record({ kind: 'cancel_decided', reason: 'paid before the funding' });
  const gate = settleGate(swap, facts);
  switch (gate.kind) {
    case 'open':
      return record({ kind: 'settle_decided' }, gate.alarm);
    case 'closed':
      return record({ kind: 'cancel_decided', reason: gate.reason });
    case 'wait':
      return undefined;
    default:
      throw new Error(`unknown gate ${JSON.stringify(gate satisfies never)}`);
  }
}

type Gate =
  | { readonly kind: 'open'; readonly alarm?: string }
  | { readonly kind: 'closed'; readonly reason: string }
  | { readonly kind: 'wait' };

/**
 * The settle gate: may this held payment be taken? Closed means that a condition can no longer come true; only depth and
 * freshness are waited for. A claim on the chain makes S public, so the payment is taken at once.
 */
export function settleGate(swap: FundedSwap, facts: Facts): Gate {
  const { htlc, tip, node, invoice } = facts;
  if (htlc === undefined || tip === undefined || typeof invoice !== 'object') return { kind: 'wait' };
  const isComplete = invoice.state === 'HELD' && invoice.heldMsat >= swap.priceMsat;
  if (invoice.state === 'HELD' && !isComplete) {
    return { kind: 'closed', reason: `paid ${invoice.heldMsat.toString()} msat of ${swap.priceMsat.toString()}` };
  }
  if (htlc.spends.some((spend) => spend?.kind === 'claim')) {
    return isComplete ? { kind: 'open', alarm: 'claimed before the payment was settled' } : { kind: 'wait' };
  }
  if (htlc.spends.some((spend) => spend?.kind === 'refund')) return { kind: 'closed', reason: 'refund was broadcast' };
  const { settleMin } = PROFILES[swap.profile];
  if (swap.refundHeight - tip < settleMin) {
    return { kind: 'closed', reason: `refund opens in ${swap.refundHeight - tip} blocks, settling needs ${settleMin}` };
  }
  if (node === undefined || !node.isSynced || facts.isDegraded || !isComplete) return { kind: 'wait' };
  const deadline = invoice.claimDeadlineHeight;
  if (deadline === undefined) return { kind: 'wait' };
  if (deadline - node.blockHeight < MIN_CLAIM_DEADLINE_BLOCKS) {
    return { kind: 'closed', reason: `the node fails the payment back in ${deadline - node.blockHeight} blocks` };
  }
  return htlc.isSeen && htlc.confs >= swap.minFundingConfs ? { kind: 'open' } : { kind: 'wait' };
}

/** Moves the swap along the chain. */
function chainDuty(swap: Swap, facts: Facts): Duty | undefined {
  switch (swap.state) {
    case 'INTENT':
    case 'INVOICED':
      return beforeFunding(swap, facts);
    case 'FUNDING_SIGNED':
    case 'ABORTING':
      return facts.htlc === undefined ? undefined : fundingDuty(swap, facts.htlc, facts);
    case 'FUNDED':
      return facts.htlc === undefined ? undefined : fundedDuty(swap, facts.htlc, facts);
    case 'CLAIM_SEEN':
    case 'REFUND_SEEN':
      return facts.htlc === undefined ? undefined : spendDuty(swap, facts.htlc);
    case 'CLAIMED':
    case 'REFUNDED':
    case 'FAILED':
    case 'OWED':
      return undefined;
    default:
      throw new Error(`unknown state ${JSON.stringify(swap satisfies never)}`);
  }
}

/** Steps S1 to S3: before anything is signed a swap that takes too long is canceled and fails. */
function beforeFunding(swap: Extract<Swap, { state: 'INTENT' | 'INVOICED' }>, facts: Facts): Duty | undefined {
  if (swap.payment === 'CANCELED') return record({ kind: 'failed', reason: swap.reason });
  if (swap.payment === 'CANCELING' || swap.payment === 'SETTLING' || swap.payment === 'SETTLED') return undefined;
  if (facts.now > swap.fundBy) {
    return record({ kind: 'cancel_decided', reason: 'the funding could not be started in time' });
  }
  if (swap.state === 'INTENT') return { kind: 'create_invoice' };
  const invoiceLife = PROFILES[swap.profile].invoiceExpirySecs;
  if ((swap.invoiceExpiresAt - facts.now) * 3 < invoiceLife * 2) {
    return record({ kind: 'cancel_decided', reason: 'less than two thirds of the invoice were left for the funding' });
  }
  if (swap.payment !== 'OPEN' || facts.isPaused || facts.isDegraded || facts.tip === undefined) return undefined;
  return { kind: 'fund' };
}

/** Step S5: until the funding is deep enough it is broadcast whenever nobody has it. */
function fundingDuty(swap: FundedSwap, htlc: HtlcReport, facts: Facts): Duty | undefined {
  if (!htlc.isSeen) return { kind: 'broadcast_funding' };
  if (htlc.confs < swap.minFundingConfs || facts.tip === undefined) return undefined;
  const cancelReason = whyNotPayable(swap, facts.tip, facts.now);
  return record(cancelReason === undefined ? { kind: 'funding_deep' } : { kind: 'funding_deep', cancelReason });
}

function whyNotPayable(swap: FundedSwap, tip: BlockHeight, now: UnixSecs): string | undefined {
  const secs = swap.invoiceExpiresAt - now;
  if (secs < MIN_INVOICE_LIFE_SECS) {
    return `the funding was deep enough only ${secs} s before the invoice expires`;
  }
  const blocks = swap.refundHeight - tip;
  const { payerMin } = PROFILES[swap.profile];
  return blocks < payerMin ? `refund opens in ${blocks} blocks, a payment needs at least ${payerMin}` : undefined;
}

/** Step S7: spends are recorded, and the refund is made when it is allowed. */
function fundedDuty(swap: FundedSwap, htlc: HtlcReport, facts: Facts): Duty | undefined {
  const spend = htlc.spends[0];
  if (spend !== undefined) return spendSeen(swap, spend);
  if (!htlc.isSeen) return { kind: 'broadcast_funding' };
  if (!isRefundAllowed(swap, htlc, facts.tip)) return undefined;
  return facts.hasRefund ? { kind: 'broadcast_refund' } : { kind: 'sign_refund' };
}

/** h >= T, every outpoint unspent and Lightning finally unpaid. */
export function isRefundAllowed(swap: FundedSwap, htlc: HtlcReport, tip: BlockHeight | undefined): boolean {
  const isUnspent = htlc.isSeen && htlc.spends.every((spend) => spend === undefined);
  return tip !== undefined && tip >= swap.refundHeight && isUnspent && swap.payment === 'CANCELED';
}

function spendSeen(swap: FundedSwap, spend: SpendReport): Duty {
  if (spend.kind === 'refund') return record({ kind: 'refund_seen', txid: spend.txid });
  const isExpected = swap.payment === 'SETTLING' || swap.payment === 'SETTLED';
  const alarm = isExpected ? undefined : `claimed while the payment was ${swap.payment}`;
  return record({ kind: 'claim_seen', txid: spend.txid }, alarm);
}

function spendDuty(swap: FundedSwap, htlc: HtlcReport): Duty | undefined {
  const spend = htlc.spends[0];
  if (spend === undefined) return record({ kind: 'spend_gone' });
  const known =
    swap.state === 'CLAIM_SEEN' ? swap.claimTxid : swap.state === 'REFUND_SEEN' ? swap.refundTxid : undefined;
  if (spend.txid !== known) return spendSeen(swap, spend);
  if (spend.confs < FINAL_CONFS) return undefined;
  return record({ kind: swap.state === 'CLAIM_SEEN' ? 'claim_final' : 'refund_final' });
}
