/**
 * Evidence of a purchase: what the seller's node signed, and that it was paid. It is written at the end, kept by the
 * buyer, and anyone can check it offline (docs/evidence.md). It holds the preimage and no key.
 */
import { join } from 'node:path';

import { hashPreimage, parseHtlcWitnessScript } from '../core/htlc.js';
import { canonicalTerms } from '../core/terms.js';
import { hex, type Preimage, type Txid } from '../core/units.js';
import { checkEvidence, unreadableEvidence, type EvidenceReport } from './checkEvidence.js';
import { purchaseFolder } from './dataDir.js';
import { dealTerms } from './dealTerms.js';
import { encodeEvidence, parseEvidence, type Evidence } from './evidenceFile.js';
import { readPrivateFile, writePrivateFile } from './files.js';
import type { PurchaseRecord } from './record.js';
import { SwapError } from '../errors.js';

/** How a purchase ended: its preimage, and the claim or undefined if nothing could be claimed. */
export type PurchaseEnd = { readonly preimage: Preimage; readonly claimTxid: Txid | undefined };

/** Where the evidence of a purchase lies. */
export const evidenceFile = (dir: string, number: number): string => join(purchaseFolder(dir, number), 'evidence.json');

/** What a paid purchase can show. The terms are rebuilt from the buyer's own record, not copied from the seller. */
function evidenceOf(record: PurchaseRecord, { preimage, claimTxid }: PurchaseEnd): Evidence {
  const { deal, progress } = record;
  if (!('htlc' in progress)) throw new Error(`purchase ${record.number} at step ${progress.step} has no HTLC`);
  const { swapId, bolt11, paymentHash, witnessScript, fundingTx } = progress.htlc;
  if (hashPreimage(preimage) !== paymentHash) throw new Error(`purchase ${record.number}: a preimage of another hash`);
  const { refundPkh } = parseHtlcWitnessScript(Buffer.from(witnessScript, 'hex'));
  return {
    version: 1,
    terms: canonicalTerms(dealTerms(deal, { swapId, paymentHash, refundPkh })),
    bolt11,
    witness_script: witnessScript,
    funding_tx: fundingTx,
    claim_txid: claimTxid ?? null,
    preimage: hex(preimage),
  };
}

/**
 * Writes evidence.json (0600) beside the record of a purchase. May run again after a crash.
 *
 * @param record at a step that knows the HTLC.
 * @throws SwapError `bad_config` if the file cannot be written.
 */
export function writeEvidence(dir: string, record: PurchaseRecord, end: PurchaseEnd): void {
  writePrivateFile(evidenceFile(dir, record.number), encodeEvidence(evidenceOf(record, end)));
}

/** The evidence of a purchase as text, or undefined if none was written. @throws SwapError `bad_config`. */
export const readEvidence = (dir: string, number: number): string | undefined =>
  readPrivateFile(evidenceFile(dir, number));

/** Judges evidence offline: no server, file or clock is asked. It never throws for what the text says. */
export function verifyEvidence(text: string): EvidenceReport {
  let evidence: Evidence;
  try {
    evidence = parseEvidence(text);
  } catch (error) {
    if (!(error instanceof SwapError)) throw error;
    return unreadableEvidence(error.message);
  }
  return checkEvidence(evidence);
}
