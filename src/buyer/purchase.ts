/** The beginning of a purchase: a quote becomes a record on disk, and the record a request to the seller. */
import { randomUUID } from 'node:crypto';

import { claimKey } from '../core/keys.js';
import { decodePayout } from '../core/payout.js';
import { signClaimProof } from '../core/terms.js';
import { hex, msat, type Msat, type Sat } from '../core/units.js';
import type { CreateSwapRequest } from '../gen/ln_liquid_swap/v1/swap.js';
import { genesisOf, nowSecs, type Buyer } from './buyer.js';
import { reserveNumber, saveRecord } from './dataDir.js';
import type { Deal } from './deal.js';
import { trustedNodeId, type SellerQuote } from './quote.js';
import { refuseBadQuote } from './quoteCheck.js';
import type { PurchaseRecord } from './record.js';

/** What the user wants besides asset and amount. */
export type Wishes = {
  /** Depth of the funding before paying; the seller's minimum if undefined. */
  readonly minFundingConfs: number | undefined;
  readonly maxPriceMsat: Msat | undefined;
  /** Most that Lightning routing may cost; 1 % of the price and 10 sat if undefined. */
  readonly maxFeeSat: Sat | undefined;
  /** Address that gets the asset. */
  readonly payoutAddress: string;
};

/**
 * Judges the quote and stores the purchase with step `quoted`; nothing was sent to the seller yet.
 *
 * @throws BuyerError `quote_refused`, `seller_node_changed`; SwapError `invalid_argument` for the payout address,
 *   `chain_unavailable`.
 */
export async function startPurchase(
  buyer: Buyer,
  quote: SellerQuote,
  asset: { readonly ticker: string; readonly precision: number },
  wishes: Wishes,
): Promise<PurchaseRecord> {
  const { network, dir, seed } = buyer;
  const minFundingConfs = wishes.minFundingConfs ?? quote.minFundingConfs;
  await refuseBadQuote(buyer, quote, { minFundingConfs, maxPriceMsat: wishes.maxPriceMsat });
  const seller = { address: buyer.sellerAddress, given: buyer.givenSellerNodeId };
  const sellerNodeId = trustedNodeId(dir, seller, quote.sellerNodeId);
  const payout = decodePayout(wishes.payoutAddress, network);
  // An exchange would lose L-BTC beside its deposit, so what is left of it comes home.
  const isOwn = await buyer.wallet.owns(payout.scriptPubKey);
  const changeScript = isOwn ? undefined : hex(await buyer.wallet.changeScript());
  const number = reserveNumber(dir);
  const record: PurchaseRecord = {
    version: 1,
    number,
    requestId: randomUUID(),
    createdAt: nowSecs(),
    sellerAddress: buyer.sellerAddress,
    ticker: asset.ticker,
    precision: asset.precision,
    deal: dealOf(quote, {
      network,
      sellerNodeId,
      minFundingConfs,
      claimPubkey: claimKey(seed, network, number).pubkey,
    }),
    maxFeeMsat: wishes.maxFeeSat === undefined ? defaultFee(quote.priceMsat) : msat(wishes.maxFeeSat * 1000n),
    payout: {
      address: wishes.payoutAddress,
      scriptPubKey: hex(payout.scriptPubKey),
      blindingPubkey: payout.blindingPubkey ?? null,
      changeScript,
    },
    progress: { step: 'quoted' },
  };
  saveRecord(dir, record);
  return record;
}

function dealOf(
  quote: SellerQuote,
  own: Pick<Deal, 'network' | 'sellerNodeId' | 'minFundingConfs' | 'claimPubkey'>,
): Deal {
  const { quoteId, assetId, assetAmount, priceMsat, feeSubsidySat, profile } = quote;
  const { refundDeltaBlocks, invoiceExpirySecs } = quote;
  const terms = { profile, refundDeltaBlocks, invoiceExpirySecs };
  return { ...own, ...terms, genesis: genesisOf(own.network), quoteId, assetId, assetAmount, priceMsat, feeSubsidySat };
}

const defaultFee = (priceMsat: Msat): Msat => msat(priceMsat / 100n + 10_000n);

/** The request of a stored purchase; the same bytes every time, so that it may be repeated. */
export function createSwapRequest(buyer: Buyer, record: PurchaseRecord): CreateSwapRequest {
  const { deal, requestId, number } = record;
  const { genesis, sellerNodeId, quoteId, claimPubkey } = deal;
  const { privateKey } = claimKey(buyer.seed, deal.network, number);
  return {
    requestId,
    quoteId: Buffer.from(quoteId, 'hex'),
    claimPubkey: Buffer.from(claimPubkey, 'hex'),
    claimProof: signClaimProof(privateKey, { genesis, sellerNodeId, requestId, quoteId, claimPubkey }),
    maxPriceMsat: deal.priceMsat,
    minFundingConfs: deal.minFundingConfs,
    waitUntilFunded: false,
  };
}
