/** What a swap's payment needs next. Pure: the rules of docs/protocol.md section 2 about Lightning stand here. */
import { record, type Duty, type Facts, type InvoiceReport } from './facts.js';
import { settleGate, whyHopeless, whyTooLateToFund } from './settleGate.js';
import { isFunded, type Swap } from './swap.js';
import { PROFILES } from './timelock.js';

/** Stores what the node reports. */
export function reportDuty(swap: Swap, facts: Facts): Duty | undefined {
  const { invoice } = facts;
  if (invoice === undefined) return undefined;
  if (invoice === 'unknown_hash') {
    // S never left this process before SETTLING was committed, so a node without the invoice cannot be paid for it. An
    // older database cannot know what was committed after it.
    return swap.payment === 'CANCELING' && !facts.isFenced && !swap.isRestored
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
    const isReleasable = !swap.isPreimageReleased && !invoice.isHtlcPending && !invoice.isTimedOutOnChain;
    return isReleasable ? record({ kind: 'preimage_released' }) : undefined;
  }
  const alarm =
    swap.payment === 'SETTLING'
      ? undefined
      : `the node reports SETTLED, but the swap was ${swap.payment}: settling was never decided`;
  return record({ kind: 'payment_settled', heldMsat: invoice.heldMsat }, alarm);
}

/** Decides about the payment and repeats what was decided until the node reports it. */
export function paymentDuty(swap: Swap, facts: Facts): Duty | undefined {
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
      return facts.invoice === 'unknown_hash' || mayShowForNothing(facts) ? undefined : { kind: 'settle' };
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

/**
 * A decided settling may reach the node late, after a crash. One that lags behind its chain would show S for a payment
 * that the chain gave back meanwhile, and so would one that does not tell where it is: lnd answers every other call while
 * its chain is gone. At the deadline the node gives the payment back by itself. Once a claim shows S nothing is lost by
 * asking for the payment.
 */
function mayShowForNothing({ node, htlc, invoice }: Facts): boolean {
  const isPublic = htlc?.spends.some((spend) => spend?.kind === 'claim') === true;
  if (isPublic) return false;
  if (node?.isSynced !== true) return true;
  const deadline = typeof invoice === 'object' ? invoice.claimDeadlineHeight : undefined;
  return deadline !== undefined && node.blockHeight >= deadline;
}

function openDuty(swap: Swap, facts: Facts): Duty | undefined {
  if (facts.invoice === undefined) {
    // It may be HELD by now: without an answer only what ends a held payment, too, is decided, and nothing from a
    // database that may be old: it could not tell a payment that was settled since.
    const reason = isFunded(swap) && !facts.isFenced && !swap.isRestored ? whyHopeless(swap, facts) : undefined;
    return reason === undefined ? undefined : record({ kind: 'cancel_decided', reason });
  }
  const reason = whyCancelOpen(swap, facts);
  if (reason === undefined) return undefined;
  // Nothing can be stored, but an invoice that nobody paid may be canceled all the same: S stays here either way.
  return facts.isReadOnly ? { kind: 'cancel' } : record({ kind: 'cancel_decided', reason });
}

function whyCancelOpen(swap: Swap, facts: Facts): string | undefined {
  const expiresAt = 'invoiceExpiresAt' in swap ? swap.invoiceExpiresAt : undefined;
  if (expiresAt !== undefined && facts.now >= expiresAt) return 'EXPIRED';
  if (!isFunded(swap)) return undefined;
  if (facts.isFundingLost) return 'the funding can never confirm';
  const tooLate = facts.htlc === undefined ? undefined : whyTooLateToFund(swap, facts, facts.htlc);
  const tip = facts.lowestTip ?? facts.tip;
  if (tooLate !== undefined || tip === undefined) return tooLate;
  const left = swap.refundHeight - tip;
  const needed = PROFILES[swap.profile].payerMin;
  return left < needed ? `refund opens in ${left} blocks, a payment needs at least ${needed}` : undefined;
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
