/** What a verified swap means for the person who is about to pay it: what happens next, and by when. Pure. */
import { FINAL_CONFS } from '../core/timelock.js';
import { blockHeight, unixSecs, type BlockHeight, type UnixSecs } from '../core/units.js';
import { isWorthWaiting, type CheckCode } from './check.js';
import { MIN_EXPIRY_LEFT_SECS } from './checkInvoice.js';
import type { Step } from './record.js';
import { failedCodes, type VerificationReport } from './verify.js';

/** Liquid makes at most one block a minute, so no height comes earlier than this says. */
const SECS_PER_BLOCK = 60;

/** A deadline in blocks. */
type ByHeight = {
  readonly height: BlockHeight;
  /** When that height is there at the earliest; undefined on regtest, where blocks come when somebody wants them. */
  readonly time: UnixSecs | undefined;
};

/** Heights of Liquid, times in Unix seconds; everything but `next` is undefined for a swap that must not be paid. */
export type Outlook = {
  /** T: from the block after this one on the seller may take the asset back. */
  readonly refundHeight: BlockHeight | undefined;
  readonly blocksLeft: number | undefined;
  /** The last moment to start a payment; earlier is better. */
  readonly payUntil: UnixSecs | undefined;
  /** The claim must be in a block of this height or below, so that it is final before the refund opens. */
  readonly claimBy: ByHeight | undefined;
  /** L: cap of the payment's total CLTV delta, Bitcoin blocks. */
  readonly maxTotalCltvDelta: number | undefined;
  /** Sentences for a person, in the order of events. */
  readonly next: readonly string[];
};

const utc = (time: number): string =>
  new Date(time * 1000)
    .toISOString()
    .replace('T', ' ')
    .replace(/\.\d+Z$/, ' UTC');

/**
 * Says what would happen next. It is true at `now`: a payment is preceded by a verification of its own.
 *
 * @param step of the purchase; from `paying` on nobody is to pay the invoice any more.
 */
export function outlook(report: VerificationReport, now: UnixSecs, step: Step = 'created'): Outlook {
  const { facts } = report;
  if (!IS_UNSENT.has(step)) return begun(report, step);
  if (facts === undefined) return { ...NOTHING, next: refused(report) };
  const { htlc, invoice, maxTotalCltvDelta, tipHeight } = facts;
  const { refundHeight } = htlc;
  const blocksLeft = refundHeight - tipHeight;
  const payUntil = unixSecs(invoice.expiresAt - MIN_EXPIRY_LEFT_SECS);
  const height = blockHeight(refundHeight - FINAL_CONFS + 1);
  const isTimed = invoice.network !== 'regtest';
  const time = isTimed ? unixSecs(now + (height - tipHeight) * SECS_PER_BLOCK) : undefined;
  const about = time === undefined ? '' : `, which is not before ${utc(time)}`;
  const next = [
    `Nothing of yours is locked. The invoice can be paid until ${utc(payUntil)}; every attempt is verified again.`,
    `Pay only with a cap of ${maxTotalCltvDelta} blocks on the total CLTV delta.`,
    'If the payment fails, or you never pay, you keep your money and the seller takes its asset back.',
    'When the payment succeeds you hold the preimage; claim at once, the fee comes out of the L-BTC in the HTLC.',
    `The claim must be in a block of height ${height} or below${about}; that is ${height - tipHeight} blocks from now.`,
    `After height ${refundHeight} the seller can take the asset back, even if you have paid and not claimed.`,
  ];
  return { refundHeight, blocksLeft, payUntil, claimBy: { height, time }, maxTotalCltvDelta, next };
}

/** Steps at which nothing was sent. */
const IS_UNSENT: ReadonlySet<Step> = new Set(['quoted', 'created', 'verified', 'unpaid']);

/** A payment was made, or may have been. */
function begun({ facts }: VerificationReport, step: Step): Outlook {
  const refundHeight = facts?.htlc.refundHeight;
  const next = [
    `This purchase is at step ${step}: do not pay the invoice in any other way; resume the purchase instead.`,
    ...(refundHeight === undefined
      ? ['It was verified before it was paid; what fails now does not mean that the asset cannot be claimed.']
      : [`After height ${refundHeight} the seller can take the asset back, even if you have paid and not claimed.`]),
  ];
  const blocksLeft = facts === undefined ? undefined : facts.htlc.refundHeight - facts.tipHeight;
  return { ...NOTHING, refundHeight, blocksLeft, next };
}

const NOTHING = {
  refundHeight: undefined,
  blocksLeft: undefined,
  payUntil: undefined,
  claimBy: undefined,
  maxTotalCltvDelta: undefined,
};

/** What is over, whatever comes. */
const TOO_LATE: ReadonlySet<CheckCode> = new Set(['invoice_expired', 'outpoint_spent', 'refund_broadcast']);

function refused(report: VerificationReport): string[] {
  const failed = failedCodes(report);
  const isLate = report.checks.some((each) => each.isMade && !each.ok && TOO_LATE.has(each.code));
  const why = isWorthWaiting(report.checks)
    ? 'Waiting may put this right: more blocks, or a server that catches up. Verify again in a minute.'
    : `Waiting does not put this right: ${isLate ? 'this swap is over' : 'what the seller handed over is not what you ordered'}.`;
  return [
    `Do not pay this invoice: ${failed.length === 1 ? 'a check' : `${failed.length} checks`} failed (${failed.join(', ')}).`,
    why,
    'If you have not paid, nothing of yours is locked and nothing is left to do: the seller refunds itself.',
  ];
}
