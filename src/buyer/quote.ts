/** Offers and quotes: read strictly out of the seller's answers. */
import { z } from 'zod';

import { PROFILES, type ProfileName } from '../core/timelock.js';
import {
  assetAmount,
  assetId,
  blockHash,
  displayHex,
  hex,
  msat,
  pubkey,
  quoteId,
  sat,
  toSafeNumber,
  unixSecs,
  type AssetAmount,
  type AssetId,
  type BlockHash,
  type Msat,
  type Pubkey,
  type QuoteId,
  type Sat,
  type UnixSecs,
} from '../core/units.js';
import { errorChain, SwapError } from '../errors.js';
import type { ListOffersResponse, Offer, Quote } from '../gen/ln_liquid_swap/v1/swap.js';
import { BuyerError } from './buyerError.js';
import { pinnedSeller, pinSeller } from './dataDir.js';
import { printable } from './printable.js';
import type { SellerClient } from './rpcClient.js';

/** An offer as parsed. The ticker is the seller's own word. */
export type SellerOffer = {
  readonly assetId: AssetId;
  readonly ticker: string;
  readonly precision: number;
  readonly priceMsatNumerator: bigint;
  readonly priceDenominator: bigint;
  readonly spreadPpm: number;
  readonly minAssetAmount: AssetAmount;
  readonly maxAssetAmount: AssetAmount;
  readonly availableAssetAmount: AssetAmount;
  readonly profile: string;
  readonly refundDeltaBlocks: number;
  readonly minFundingConfs: number;
  readonly maxFundingConfs: number;
  readonly invoiceExpirySecs: number;
};

/** All offers of a seller, and what it says about itself. */
export type SellerOffers = {
  readonly offers: readonly SellerOffer[];
  readonly genesis: BlockHash;
  readonly sellerNodeId: Pubkey;
  readonly policyAsset: AssetId;
  readonly isPaused: boolean;
};

/** A quote as parsed. */
export type SellerQuote = {
  readonly quoteId: QuoteId;
  readonly assetId: AssetId;
  readonly assetAmount: AssetAmount;
  readonly priceMsat: Msat;
  readonly feeSubsidySat: Sat;
  readonly profile: ProfileName;
  readonly refundDeltaBlocks: number;
  readonly minFundingConfs: number;
  readonly maxFundingConfs: number;
  readonly invoiceExpirySecs: number;
  readonly expiresAt: UnixSecs;
  readonly genesis: BlockHash;
  readonly sellerNodeId: Pubkey;
};

/** Runs a parser over a seller's answer; what it refuses is the seller's fault, not the user's. */
export function parseAnswer<T>(what: string, parse: () => T): T {
  try {
    return parse();
  } catch (cause) {
    if (!(cause instanceof SwapError)) throw cause;
    throw new BuyerError('seller_answer_invalid', `the seller's ${what} is malformed: ${errorChain(cause)}`, cause);
  }
}

function parseOffer(offer: Offer): SellerOffer {
  return {
    assetId: assetId(displayHex(offer.assetId)),
    ticker: printable(offer.ticker).slice(0, 20),
    precision: z.int().min(0).max(8).catch(0).parse(offer.precision),
    priceMsatNumerator: offer.priceMsatNumerator,
    priceDenominator: offer.priceDenominator,
    spreadPpm: offer.spreadPpm,
    minAssetAmount: assetAmount(offer.minAssetAmount),
    maxAssetAmount: assetAmount(offer.maxAssetAmount),
    availableAssetAmount: assetAmount(offer.availableAssetAmount),
    profile: printable(offer.profile),
    refundDeltaBlocks: offer.refundDeltaBlocks,
    minFundingConfs: offer.minFundingConfs,
    maxFundingConfs: offer.maxFundingConfs,
    invoiceExpirySecs: offer.invoiceExpirySecs,
  };
}

/** Asks for the offers. @throws RemoteError; BuyerError `seller_answer_invalid`. */
export async function listOffers(client: SellerClient): Promise<SellerOffers> {
  const answer: ListOffersResponse = await client.listOffers({});
  return parseAnswer('list of offers', () => ({
    offers: answer.offers.map(parseOffer),
    genesis: blockHash(displayHex(answer.genesisHash)),
    sellerNodeId: pubkey(hex(answer.sellerNodeId)),
    policyAsset: assetId(displayHex(answer.policyAssetId)),
    isPaused: answer.paused,
  }));
}

const isProfile = (name: string): name is ProfileName => Object.hasOwn(PROFILES, name);

function parseQuote(quote: Quote | undefined): SellerQuote {
  if (quote === undefined || !isProfile(quote.profile)) {
    const found = quote === undefined ? 'none' : `profile "${printable(quote.profile)}"`;
    throw new SwapError('invalid_argument', `expected a quote with a known timelock profile, found ${found}`);
  }
  return {
    quoteId: quoteId(hex(quote.quoteId)),
    assetId: assetId(displayHex(quote.assetId)),
    assetAmount: assetAmount(quote.assetAmount),
    priceMsat: msat(quote.priceMsat),
    feeSubsidySat: sat(quote.feeSubsidySats),
    profile: quote.profile,
    refundDeltaBlocks: quote.refundDeltaBlocks,
    minFundingConfs: quote.minFundingConfs,
    maxFundingConfs: quote.maxFundingConfs,
    invoiceExpirySecs: quote.invoiceExpirySecs,
    expiresAt: unixSecs(toSafeNumber(quote.expiresAtUnixSecs)),
    genesis: blockHash(displayHex(quote.genesisHash)),
    sellerNodeId: pubkey(hex(quote.sellerNodeId)),
  };
}

/** Asks for a price. @throws RemoteError; BuyerError `seller_answer_invalid`, also for a quote of something else. */
export async function requestQuote(
  client: SellerClient,
  order: { readonly assetId: AssetId; readonly assetAmount: AssetAmount },
): Promise<SellerQuote> {
  const { quote } = await client.createQuote({
    assetId: Buffer.from(order.assetId, 'hex').reverse(),
    assetAmount: order.assetAmount,
  });
  const parsed = parseAnswer('quote', () => parseQuote(quote));
  if (parsed.assetId !== order.assetId || parsed.assetAmount !== order.assetAmount) {
    throw new BuyerError(
      'seller_answer_invalid',
      `expected a quote of ${order.assetAmount} of ${order.assetId}, found ${parsed.assetAmount} of ${parsed.assetId}`,
    );
  }
  return parsed;
}

/**
 * The seller's node id: given by the user, or pinned on first use in the data directory.
 *
 * @throws BuyerError `seller_node_changed` if the seller names another one.
 */
export function trustedNodeId(
  dir: string,
  seller: { readonly address: string; readonly given: Pubkey | undefined },
  named: Pubkey,
): Pubkey {
  const pinned = seller.given ?? pinnedSeller(dir, seller.address);
  if (pinned !== undefined && pinned !== named) {
    throw new BuyerError(
      'seller_node_changed',
      `expected Lightning node ${pinned} behind ${seller.address}, found ${named}; do not buy before you know why`,
    );
  }
  if (pinned === undefined) pinSeller(dir, seller.address, named);
  return named;
}
