/** The settle gate: may a held payment be taken? Pure; the rule is docs/protocol.md section 2. */
import type { Facts, HtlcReport } from './facts.js';
import type { FundedSwap } from './swap.js';
import { MIN_CLAIM_DEADLINE_BLOCKS, MIN_INVOICE_LIFE_SECS, PROFILES } from './timelock.js';
import type { BlockHeight } from './units.js';

type Gate =
  | { readonly kind: 'open'; readonly alarm?: string }
  | { readonly kind: 'closed'; readonly reason: string }
  | { readonly kind: 'wait' };

const WAIT: Gate = { kind: 'wait' };
const closed = (reason: string): Gate => ({ kind: 'closed', reason });

/**
 * Closed means that a condition can no longer come true; only depth and freshness are waited for. A claim on the chain
 * makes S public, so the payment is taken at once, in every mode.
 */
export function settleGate(swap: FundedSwap, facts: Facts): Gate {
  const { htlc, tip, node, invoice } = facts;
  if (htlc === undefined || tip === undefined) return WAIT;
  const held = typeof invoice === 'object' && invoice.state === 'HELD' ? invoice : undefined;
  if (held !== undefined && held.heldMsat < swap.priceMsat) {
    return closed(`paid ${held.heldMsat.toString()} msat of ${swap.priceMsat.toString()}`);
  }
  if (htlc.spends.some((spend) => spend?.kind === 'claim')) {
    return held === undefined ? WAIT : { kind: 'open', alarm: 'claimed before the payment was settled' };
  }
  const hopeless = whyHopeless(swap, facts, { htlc, tip });
  if (hopeless !== undefined) return closed(hopeless);
  const deadline = held?.claimDeadlineHeight;
  if (deadline === undefined || node === undefined) return WAIT;
  if (deadline - node.blockHeight < MIN_CLAIM_DEADLINE_BLOCKS) {
    return closed(`the node fails the payment back in ${deadline - node.blockHeight} blocks`);
  }
  if (!node.isSynced || facts.isDegraded || facts.isFenced) return WAIT;
  return htlc.isSeen && htlc.confs >= swap.minFundingConfs ? { kind: 'open' } : WAIT;
}

/** What keeps the payment from ever being taken, whatever the node answers. */
function whyHopeless(
  swap: FundedSwap,
  facts: Facts,
  { htlc, tip }: { readonly htlc: HtlcReport; readonly tip: BlockHeight },
): string | undefined {
  if (htlc.spends.some((spend) => spend?.kind === 'refund')) return 'refund was broadcast';
  if (facts.isFundingLost) return 'the funding can never confirm';
  const { settleMin } = PROFILES[swap.profile];
  if (swap.refundHeight - tip < settleMin) {
    return `refund opens in ${swap.refundHeight - tip} blocks, settling needs ${settleMin}`;
  }
  return whyTooLateToFund(swap, facts, htlc);
}

/** A funding that is not deep enough while the invoice ends is given up, and its payment with it. */
export function whyTooLateToFund(swap: FundedSwap, facts: Facts, htlc: HtlcReport): string | undefined {
  if (swap.state !== 'FUNDING_SIGNED' || htlc.confs >= swap.minFundingConfs) return undefined;
  const secs = swap.invoiceExpiresAt - facts.now;
  if (secs >= MIN_INVOICE_LIFE_SECS) return undefined;
  return `the funding was not deep enough ${MIN_INVOICE_LIFE_SECS} s before the invoice expires`;
}
