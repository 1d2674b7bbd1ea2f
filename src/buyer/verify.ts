/**
 * Everything a buyer checks before it pays (docs/protocol.md, section 4). Pure.
 *
 * The inputs are the invoice and script to be judged, raw bytes and heights from the buyer's own servers, and the
 * buyer's own request and quote. What the seller declares about itself is never an input.
 */
import type { HtlcTerms } from '../core/htlc.js';
import type { DecodedInvoice } from '../core/invoice.js';
import type { HtlcOutpoint } from '../core/tx.js';
import type { BlockHeight } from '../core/units.js';
import { CHECK_CODES, type Check, type CheckCode } from './check.js';
import { answering, checkDepth, checkServers, checkSubsidy, checkTimelock, safeCap, tipVerdict } from './checkChain.js';
import { checkBinding, checkInvoice, readInvoice } from './checkInvoice.js';
import { checkFunding, checkScript, readScript } from './checkScript.js';
import { checkUnspent } from './checkSpent.js';
import type { Deal, Handover, Surroundings } from './deal.js';

/** What a verification found out besides its checks; only there when every check passed. */
type VerifiedFacts = {
  readonly htlc: HtlcTerms;
  readonly invoice: DecodedInvoice;
  /** The HTLC's outputs: the asset first. */
  readonly outpoints: readonly HtlcOutpoint[];
  readonly tipHeight: BlockHeight;
  /** L: the payment's total CLTV delta must not exceed it, Bitcoin blocks. */
  readonly maxTotalCltvDelta: number;
  readonly fundingTx: Buffer;
};

/** All checks in a fixed order; `facts` is undefined if and only if one failed. */
export type VerificationReport = { readonly checks: readonly Check[]; readonly facts: VerifiedFacts | undefined };

/** Judges a swap. The report holds every code of {@link CHECK_CODES} once. */
export function verifySwap(deal: Deal, handover: Handover, around: Surroundings): VerificationReport {
  const read = readInvoice(handover.bolt11);
  const invoice = 'invoice' in read ? read.invoice : undefined;
  const htlc = readScript(handover.witnessScript);
  const tip = tipVerdict(deal, around);
  const { checks: fundingChecks, funding } = checkFunding(
    deal,
    handover,
    answering(around.servers).map((server) => server.funding),
  );
  const points = funding?.outpoints.map((output) => output.outpoint);
  const checks = inOrder([
    ...checkServers(deal, around, tip),
    ...checkInvoice(deal, handover.bolt11, around.now),
    ...checkScript(deal, handover, htlc),
    ...checkBinding(deal, handover, htlc, invoice),
    ...fundingChecks,
    ...checkDepth(deal, handover, around),
    ...checkUnspent(around, points, htlc),
    ...checkTimelock(deal, { htlc, invoice, tip }),
    checkSubsidy(deal, around),
  ]);
  if (htlc === undefined || invoice === undefined || funding === undefined || !tip.ok) {
    return { checks, facts: undefined };
  }
  const maxTotalCltvDelta = safeCap(deal, htlc, invoice, tip.height);
  if (maxTotalCltvDelta === undefined || checks.some((item) => !item.ok)) return { checks, facts: undefined };
  const { outpoints, raw: fundingTx } = funding;
  return { checks, facts: { htlc, invoice, outpoints, tipHeight: tip.height, maxTotalCltvDelta, fundingTx } };
}

/** The codes that failed. */
export const failedCodes = (report: VerificationReport): CheckCode[] =>
  report.checks.filter((item) => !item.ok).map((item) => item.code);

/** Every code exactly once: a check that somebody forgets to make counts as failed. */
function inOrder(found: readonly Check[]): Check[] {
  return Object.entries(CHECK_CODES).map(([code, sentence]) => {
    const [first, ...more] = found.filter((item) => item.code === code);
    if (first === undefined || more.length > 0) throw new Error(`check ${code} (${sentence}) was not made once`);
    return first;
  });
}
