/**
 * What a swap needs next on Liquid. Pure: the order of docs/protocol.md section 3 and the refund rule of section 2 stand
 * here. Duties come in the order in which they are to be tried; most often there is one.
 */
import { isFinallyUnpaid, record, type Duty, type Facts, type HtlcReport, type SpendReport } from './facts.js';
import type { FundedSwap, Swap } from './swap.js';
import { FINAL_CONFS, MIN_INVOICE_LIFE_SECS, PROFILES } from './timelock.js';
import type { BlockHeight, Txid, UnixSecs } from './units.js';

const NOTHING: readonly Duty[] = [];

/** Moves the swap along the chain. */
export function chainDuties(swap: Swap, facts: Facts): readonly Duty[] {
  if (swap.state === 'INTENT' || swap.state === 'INVOICED') return beforeFunding(swap, facts);
  const { htlc } = facts;
  if (htlc === undefined) return NOTHING;
  switch (swap.state) {
    case 'FUNDING_SIGNED':
      return fundingDuties(swap, facts, htlc);
    case 'ABORTING':
      return abortDuties(swap, facts, htlc);
    case 'FUNDED':
      return fundedDuties(swap, facts, htlc);
    case 'CLAIM_SEEN':
    case 'REFUND_SEEN':
      return spendDuties(swap, facts, htlc);
    case 'CLAIMED':
      return subsidyDuties(swap, facts, htlc);
    case 'REFUNDED':
    case 'FAILED':
    case 'OWED':
      return NOTHING;
    default:
      throw new Error(`unknown state ${JSON.stringify(swap satisfies never)}`);
  }
}

/** Steps S1 to S3: before anything is signed a swap that takes too long is canceled and fails. */
function beforeFunding(swap: Extract<Swap, { state: 'INTENT' | 'INVOICED' }>, facts: Facts): readonly Duty[] {
  if (swap.payment === 'CANCELED') {
    return isFinallyUnpaid(swap, facts) ? [record({ kind: 'failed', reason: swap.reason })] : NOTHING;
  }
  if (swap.payment === 'CANCELING' || swap.payment === 'SETTLING' || swap.payment === 'SETTLED') return NOTHING;
  const reason = whyNeverFunded(swap, facts);
  if (reason !== undefined) return [record({ kind: 'cancel_decided', reason })];
  if (facts.isFenced || facts.isReadOnly) return NOTHING;
  if (swap.state === 'INTENT') return [{ kind: 'create_invoice' }];
  const isWaiting = swap.payment !== 'OPEN' || facts.isPaused || facts.isDegraded || facts.tip === undefined;
  return isWaiting ? NOTHING : [{ kind: 'fund' }];
}

function whyNeverFunded(swap: Extract<Swap, { state: 'INTENT' | 'INVOICED' }>, facts: Facts): string | undefined {
  // What the older database does not know may have been funded already.
  if (swap.isRestored) return 'an older database was put back before it was funded';
  if (facts.now > swap.fundBy) return 'the funding could not be started in time';
  if (swap.state === 'INTENT') return undefined;
  const invoiceLife = PROFILES[swap.profile].invoiceExpirySecs;
  const isOld = (swap.invoiceExpiresAt - facts.now) * 3 < invoiceLife * 2;
  return isOld ? 'less than two thirds of the invoice were left for the funding' : undefined;
}

/** Steps S4 and S5: until the funding is deep enough it is broadcast whenever nobody has it, or given up. */
function fundingDuties(swap: FundedSwap, facts: Facts, htlc: HtlcReport): readonly Duty[] {
  if (facts.isFundingLost) return lostDuties(swap, facts);
  if (htlc.confs >= swap.minFundingConfs) {
    if (facts.tip === undefined) return NOTHING;
    const cancelReason = whyNotPayable(swap, facts.lowestTip ?? facts.tip, facts.now);
    return [record(cancelReason === undefined ? { kind: 'funding_deep' } : { kind: 'funding_deep', cancelReason })];
  }
  // Nobody can be paid for it any more, so its coins are worth more elsewhere.
  const isGivenUp = swap.payment === 'CANCELING' || swap.payment === 'CANCELED';
  if (isGivenUp) return [record({ kind: 'abort_started', reason: swap.reason })];
  return htlc.isSeen || facts.isFenced ? NOTHING : [{ kind: 'broadcast_funding' }];
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

/**
 * A funding that is given up is spent back by ourselves unless a block has it. Whichever of the two gets its final depth
 * decides.
 */
function abortDuties(swap: FundedSwap, facts: Facts, htlc: HtlcReport): readonly Duty[] {
  if (facts.isFundingLost) return lostDuties(swap, facts);
  if (htlc.confs >= FINAL_CONFS) return [record({ kind: 'funding_deep' })];
  if (htlc.confs > 0 || facts.isFenced) return NOTHING;
  // Paid after all: what the buyer paid for is not taken back.
  if (swap.payment === 'SETTLED') return htlc.isSeen ? NOTHING : [{ kind: 'broadcast_funding' }];
  const { abort } = facts;
  const isSignedNow = abort === undefined || abort.isStuck;
  const duties: Duty[] = isSignedNow && !facts.isReadOnly ? [{ kind: 'sign_abort' }] : [];
  if (abort === undefined) return duties;
  return abort.isSeen ? duties : [...duties, { kind: 'broadcast_abort' }];
}

/** The funding can never confirm: nothing happened, or the buyer has paid for nothing and the operator must make good. */
function lostDuties(swap: FundedSwap, facts: Facts): readonly Duty[] {
  const reason = 'another spend of its coins confirmed';
  if (swap.payment === 'SETTLED') {
    return [
      record({ kind: 'funding_lost', reason }, 'paid, but its funding is gone for good: make it good to the buyer'),
    ];
  }
  return isFinallyUnpaid(swap, facts) ? [record({ kind: 'failed', reason })] : NOTHING;
}

/** Step S7: spends are recorded, and the refund is made when it is allowed. */
function fundedDuties(swap: FundedSwap, facts: Facts, htlc: HtlcReport): readonly Duty[] {
  const spend = htlc.spends[0];
  if (spend !== undefined) return [spendSeen(swap, spend)];
  if (facts.isFundingLost) return lostDuties(swap, facts);
  if (!htlc.isSeen) return facts.isFenced ? NOTHING : [{ kind: 'broadcast_funding' }];
  return isRefundAllowed(swap, facts) ? refundDuties(facts) : NOTHING;
}

/** Signs the refund if there is none or a higher fee is due, and sees to it that the newest one is out. */
function refundDuties({ refund }: Facts): readonly Duty[] {
  if (refund === undefined) return [{ kind: 'sign_refund' }];
  return refund.isStuck ? [{ kind: 'sign_refund' }, { kind: 'broadcast_refund' }] : [{ kind: 'broadcast_refund' }];
}

/** h >= T, every outpoint unspent and Lightning finally unpaid. */
export function isRefundAllowed(swap: FundedSwap, facts: Facts): boolean {
  const { htlc, tip } = facts;
  if (htlc === undefined || tip === undefined) return false;
  const isUnspent = htlc.isSeen && htlc.spends.every((spend) => spend === undefined);
  return tip >= swap.refundHeight && isUnspent && isFinallyUnpaid(swap, facts);
}

function spendSeen(swap: FundedSwap, spend: SpendReport): Duty {
  if (spend.kind === 'refund') return record({ kind: 'refund_seen', txid: spend.txid });
  const isExpected = swap.payment === 'SETTLING' || swap.payment === 'SETTLED';
  const alarm = isExpected ? undefined : `claimed while the payment was ${swap.payment}`;
  return record({ kind: 'claim_seen', txid: spend.txid }, alarm);
}

/** The asset output was seen spent: by another transaction now, by none any more, or for good. */
function spendDuties(swap: FundedSwap, facts: Facts, htlc: HtlcReport): readonly Duty[] {
  const spend = htlc.spends[0];
  if (spend === undefined) return [record({ kind: 'spend_gone' })];
  const known =
    swap.state === 'CLAIM_SEEN' ? swap.claimTxid : swap.state === 'REFUND_SEEN' ? swap.refundTxid : undefined;
  if (spend.txid !== known) return [spendSeen(swap, spend)];
  if (spend.confs >= FINAL_CONFS) {
    if (swap.state === 'REFUND_SEEN') return [record({ kind: 'refund_final' })];
    const isSubsidyOpen = htlc.spends.length > 1 && htlc.spends[1] === undefined;
    return [record(isSubsidyOpen ? { kind: 'claim_final', isSubsidyOpen } : { kind: 'claim_final' })];
  }
  const mayBump = swap.state === 'REFUND_SEEN' && spend.confs === 0 && isFinallyUnpaid(swap, facts);
  return mayBump ? bumpDuties(facts, spend.txid) : NOTHING;
}

/** A refund that waits in the mempool for too long gets a higher fee; the higher one goes out. */
function bumpDuties({ refund }: Facts, seen: Txid): readonly Duty[] {
  if (refund === undefined) return NOTHING;
  const duties: Duty[] = refund.isStuck ? [{ kind: 'sign_refund' }] : [];
  return refund.txid === seen ? duties : [...duties, { kind: 'broadcast_refund' }];
}

/** A subsidy that the buyer left is taken back after T: the asset was claimed, so S is out and nobody loses by it. */
function subsidyDuties(swap: FundedSwap, facts: Facts, htlc: HtlcReport): readonly Duty[] {
  if (!swap.isSubsidyOpen || facts.tip === undefined) return NOTHING;
  const spend = htlc.spends[1];
  if (spend !== undefined && spend.confs >= FINAL_CONFS) return [record({ kind: 'subsidy_done', txid: spend.txid })];
  // In these modes only what is CANCELED is refunded; a subsidy can wait.
  if (facts.isFenced || facts.isReadOnly) return NOTHING;
  if (spend === undefined) return facts.tip >= swap.refundHeight && htlc.isSeen ? refundDuties(facts) : NOTHING;
  return spend.kind === 'refund' && spend.confs === 0 ? bumpDuties(facts, spend.txid) : NOTHING;
}
