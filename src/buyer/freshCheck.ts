/** The verification right before a payment: what was true a while ago says nothing about now. */
import { txid } from '../core/units.js';
import { SwapError } from '../errors.js';
import { isWorthWaiting } from './check.js';
import type { Handover } from './deal.js';
import type { Drive } from './drive.js';
import type { PurchaseRecord, StoredHtlc } from './record.js';
import { failedCodes, type VerificationReport } from './verify.js';
import { verifyHandover } from './verifyHandover.js';

/** What a verification that passed has found out. */
export type VerifiedFacts = NonNullable<VerificationReport['facts']>;

/** An answer that took longer is of no use: two spare blocks, two minutes, are all that a payment may be late. */
const FRESH_MS = 60_000;

const handoverOf = (htlc: StoredHtlc): Handover => ({
  swapId: htlc.swapId,
  bolt11: htlc.bolt11,
  witnessScript: Buffer.from(htlc.witnessScript, 'hex'),
  fundingTxid: htlc.outpoints[0]?.outpoint.txid ?? txid('00'.repeat(32)),
});

/**
 * Makes every check once more.
 *
 * @returns the facts to pay by, or why nobody may pay any more.
 * @throws SwapError `chain_unavailable` when it cannot be said now, or when it took so long that it may no longer be true.
 */
export async function checkFresh(
  { buyer, options }: Drive,
  record: PurchaseRecord,
  htlc: StoredHtlc,
): Promise<VerifiedFacts | { readonly refused: string }> {
  const startedAt = Date.now();
  const report = await verifyHandover(buyer, record.deal, handoverOf(htlc));
  if (report.facts === undefined) {
    options.onEvent({ kind: 'report', report });
    const codes = failedCodes(report).join(', ');
    if (isWorthWaiting(report.checks)) throw new SwapError('chain_unavailable', `not safe to pay yet: ${codes}`);
    return { refused: `refused before sending: ${codes}` };
  }
  const tookMs = Date.now() - startedAt; // by the clock on the wall: a machine may have slept
  if (tookMs > FRESH_MS || tookMs < 0) {
    throw new SwapError('chain_unavailable', `expected the checks within ${FRESH_MS} ms, found ${tookMs} ms`);
  }
  return report.facts;
}
