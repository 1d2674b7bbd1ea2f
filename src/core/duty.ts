/**
 * What a swap needs next, decided from what is stored and what was just looked up. Pure: the rules of docs/protocol.md
 * section 2 (settle gate, finally unpaid, refund) and the order of section 3 stand in paymentDuty.ts, settleGate.ts and
 * chainDuty.ts and nowhere else.
 */
import { chainDuties } from './chainDuty.js';
import type { Duty, Facts } from './facts.js';
import { paymentDuty, reportDuty } from './paymentDuty.js';
import type { Swap } from './swap.js';

/**
 * The first duty that is due and was not tried in this pass. Lightning goes before the chain, so that a report of the
 * node is stored before anything is decided from it.
 */
export function nextDuty(swap: Swap, facts: Facts, tried: ReadonlySet<Duty['kind']> = new Set()): Duty {
  const report = reportDuty(swap, facts);
  if (report !== undefined && tried.has(report.kind)) return overUnstored(swap, facts, tried);
  for (const duty of [report, paymentDuty(swap, facts), ...chainDuties(swap, facts)]) {
    if (duty !== undefined && !tried.has(duty.kind)) return duty;
  }
  return { kind: 'wait' };
}

/**
 * Nothing is decided over a report that could not be stored, and a call that it makes pointless is not repeated: S least of
 * all. Only a funding that somebody pays for is kept alive.
 */
function overUnstored(swap: Swap, facts: Facts, tried: ReadonlySet<Duty['kind']>): Duty {
  const isPaid = typeof facts.invoice === 'object' && facts.invoice.state !== 'CANCELED';
  const duty = chainDuties(swap, facts).find(({ kind }) => kind === 'broadcast_funding' && !tried.has(kind));
  return isPaid && duty !== undefined ? duty : { kind: 'wait' };
}

/** What somebody has to look at although nothing can be stored about it. Each pauses new business. */
export function alarmsOf(swap: Swap, { invoice, htlc }: Facts): readonly string[] {
  const alarms: string[] = [];
  if (swap.payment === 'SETTLING' && invoice === 'unknown_hash') {
    alarms.push('the node does not know the invoice that is being settled');
  }
  const isPaid = swap.payment === 'SETTLING' || swap.payment === 'SETTLED';
  // When S went out no channel had an HTLC of it any more: what ended later was another's.
  const isUnsure = isPaid && !swap.isPreimageReleased;
  if (isUnsure && typeof invoice === 'object' && invoice.isTimedOutOnChain) {
    alarms.push('the node took the payment, but it went back to the payer on the chain: S stays in');
  }
  if (!isPaid && htlc?.spends[0] === undefined && htlc?.spends[1]?.kind === 'claim') {
    alarms.push(`its fee subsidy was claimed while the payment was ${swap.payment}: S is out`);
  }
  return alarms;
}
