/** The terms of a swap, rebuilt by the buyer from what it asked for. Pure. */
import { pubkeyHash } from '../core/htlc.js';
import type { Terms } from '../core/terms.js';
import type { Deal } from './deal.js';

/**
 * The buyer's own deal as terms.
 *
 * @param told what only the seller could choose: the id, the hash and its refund key. The invoice and the HTLC bind them.
 */
export function dealTerms(deal: Deal, told: Pick<Terms, 'swapId' | 'paymentHash' | 'refundPkh'>): Terms {
  const { genesis, sellerNodeId, quoteId, assetId, assetAmount, feeSubsidySat, priceMsat } = deal;
  const { profile, refundDeltaBlocks, minFundingConfs, invoiceExpirySecs } = deal;
  return {
    ...{ genesis, sellerNodeId, quoteId, assetId, assetAmount, feeSubsidySat, priceMsat },
    ...{ profile, refundDeltaBlocks, minFundingConfs, invoiceExpirySecs },
    claimPkh: pubkeyHash(deal.claimPubkey),
    swapId: told.swapId,
    paymentHash: told.paymentHash,
    refundPkh: told.refundPkh,
  };
}
