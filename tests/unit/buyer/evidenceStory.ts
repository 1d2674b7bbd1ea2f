/** Evidence of an honest swap, and of one in which a part is another. */
import { createHash } from 'node:crypto';

import { dealTerms } from '../../../src/buyer/dealTerms.js';
import type { Evidence } from '../../../src/buyer/evidenceFile.js';
import type { Zkp } from '../../../src/core/blind.js';
import { canonicalTerms } from '../../../src/core/terms.js';
import { hex } from '../../../src/core/units.js';
import { bytesField, featuresField, FIELD, rawInvoice } from '../core/rawInvoice.js';
import { keyOf } from '../core/zkp.js';
import { PREIMAGE, tell, type Story } from './honest.js';

/** The evidence of a story, were it bought. */
export function evidenceOfStory(zkp: Zkp, story: Story): Evidence {
  const { deal, handover, around } = tell(zkp, story);
  const [server] = around.servers;
  if (server === undefined || 'problem' in server || server.funding === undefined) throw new Error('no funding');
  const { paymentHash, refundPkh } = story.htlc;
  const told = { swapId: handover.swapId, paymentHash, refundPkh };
  return {
    version: 1,
    terms: canonicalTerms(story.invoice.terms(dealTerms(deal, told))),
    bolt11: handover.bolt11,
    witness_script: hex(handover.witnessScript),
    funding_tx: hex(server.funding),
    claim_txid: 'c1'.repeat(32),
    preimage: hex(PREIMAGE),
  };
}

/** An invoice of the honest node that commits to any text. */
export function invoiceOver(story: Story, text: string): string {
  const descriptionHash = createHash('sha256').update(text).digest();
  return rawInvoice({
    prefix: `${story.invoice.prefix}${story.invoice.amount}`,
    createdAt: story.invoice.createdAt,
    privateKey: keyOf(story.invoice.signer).privateKey,
    fields: [
      [FIELD.paymentHash, bytesField(Buffer.from(story.invoice.paymentHash, 'hex'))],
      [FIELD.secret, bytesField(Buffer.alloc(32, 7))],
      [FIELD.descriptionHash, bytesField(descriptionHash)],
      [FIELD.features, featuresField([8, 14, 17])],
    ],
  });
}
