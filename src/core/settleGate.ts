/** The settle gate: may a held payment be taken? Pure; the rule is docs/protocol.md section 2. */
import type { Facts, HtlcReport, InvoiceReport, SpendReport } from './facts.js';
import type { FundedSwap } from './swap.js';
import { MIN_CLAIM_DEADLINE_BLOCKS, MIN_INVOICE_LIFE_SECS, PROFILES } from './timelock.js';

type Gate =
  | { readonly kind: 'open'; readonly alarm?: string }
  | { readonly kind: 'closed'; readonly reason: string }
  | { readonly kind: 'wait' };

const WAIT: Gate = { kind: 'wait' };
const closed = (reason: string): Gate => ({ kind: 'closed', reason });

/**
 * Closed means that a condition can no longer come true, whatever else is unknown; only depth and freshness are waited
 * for. A claim on the chain makes S public, so the payment is taken at once, in every mode.
 */
export function settleGate(swap: FundedSwap, facts: Facts): Gate {
  const { htlc, tip, node, invoice } = facts;
  const held = typeof invoice === 'object' && invoice.state === 'HELD' ? invoice : undefined;
  if (held !== undefined && held.heldMsat < swap.priceMsat) {
    return closed(`paid ${held.heldMsat.toString()} msat of ${swap.priceMsat.toString()}`);
  }
  if (isSpentBy('claim', htlc)) {
    return held === undefined ? WAIT : { kind: 'open', alarm: 'claimed before the payment was settled' };
  }
  const hopeless = whyHopeless(swap, facts) ?? whyFailedBack(held, node);
  if (hopeless !== undefined) return closed(hopeless);
  const isDeadlineKnown = held?.claimDeadlineHeight !== undefined && node?.isSynced === true;
  if (!isDeadlineKnown || tip === undefined || facts.isDegraded || facts.isFenced) return WAIT;
  return htlc?.isSeen === true && htlc.confs >= swap.minFundingConfs ? { kind: 'open' } : WAIT;
}

const isSpentBy = (kind: SpendReport['kind'], htlc: HtlcReport | undefined): boolean =>
  htlc?.spends.some((spend) => spend?.kind === kind) === true;

/** What keeps a payment from ever being taken, whether the node answers or not. Nothing does once a claim shows S. */
export function whyHopeless(swap: FundedSwap, facts: Facts): string | undefined {
  const { htlc } = facts;
  const tip = facts.lowestTip ?? facts.tip;
  if (isSpentBy('claim', htlc)) return undefined;
  if (isSpentBy('refund', htlc)) return 'refund was broadcast';
  if (facts.isFundingLost) return 'the funding can never confirm';
  const { settleMin } = PROFILES[swap.profile];
  if (tip !== undefined && swap.refundHeight - tip < settleMin) {
    return `refund opens in ${swap.refundHeight - tip} blocks, settling needs ${settleMin}`;
  }
  return htlc === undefined ? undefined : whyTooLateToFund(swap, facts, htlc);
}

/** A node that lags is further on than it says, so what it says is reason enough. */
function whyFailedBack(held: InvoiceReport | undefined, node: Facts['node']): string | undefined {
  if (held?.claimDeadlineHeight === undefined || node === undefined) return undefined;
  const left = held.claimDeadlineHeight - node.blockHeight;
  return left < MIN_CLAIM_DEADLINE_BLOCKS ? `the node fails the payment back in ${left} blocks` : undefined;
}

/** A funding that is not deep enough while the invoice ends is given up, and its payment with it. */
export function whyTooLateToFund(swap: FundedSwap, facts: Facts, htlc: HtlcReport): string | undefined {
  if (swap.state !== 'FUNDING_SIGNED' || htlc.confs >= swap.minFundingConfs) return undefined;
  const secs = swap.invoiceExpiresAt - facts.now;
  if (secs >= MIN_INVOICE_LIFE_SECS) return undefined;
  return `the funding was not deep enough ${MIN_INVOICE_LIFE_SECS} s before the invoice expires`;
}
