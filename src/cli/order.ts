/** What a user orders and wishes, from options to the library's values. */
import { z } from 'zod';

import type { Wishes } from '../buyer/purchase.js';
import { listOffers, requestQuote, type SellerOffer } from '../buyer/quote.js';
import type { StoredQuote } from '../buyer/quoteFile.js';
import type { SellerClient } from '../buyer/rpcClient.js';
import { assetAmount, msat, sat } from '../core/units.js';
import { parseAmount } from './amount.js';
import { findAsset, refuseContradiction } from './asset.js';
import { confsOption, satOption } from './options.js';
import type { Run } from './run.js';

/** Limits and payout. */
export const wishOptions = z.object({
  confs: confsOption.optional(),
  maxPriceSat: satOption.optional(),
  maxFeeSat: satOption.optional(),
  payout: z.string().optional(),
});
/** Values of {@link wishOptions}. */
export type WishOptions = z.output<typeof wishOptions>;

/** The user's limits; the library has a default for each. */
export const limitsOf = (options: WishOptions): Omit<Wishes, 'payoutAddress'> => ({
  minFundingConfs: options.confs,
  maxPriceMsat: options.maxPriceSat === undefined ? undefined : msat(options.maxPriceSat * 1000n),
  maxFeeSat: options.maxFeeSat === undefined ? undefined : sat(options.maxFeeSat),
});

/**
 * Finds the offer of an asset by name and asks for a quote; nothing is stored here, and a quote binds nobody.
 *
 * @throws BuyerError `unknown_asset`, `seller_answer_invalid` (also if the seller contradicts the user's own list of
 *   assets); SwapError `invalid_argument` for the amount; RemoteError.
 */
export async function order(
  { settings }: Run,
  client: SellerClient,
  wanted: { readonly asset: string; readonly amount: string },
): Promise<StoredQuote & { readonly offer: SellerOffer }> {
  const { offers } = await listOffers(client);
  const offer = findAsset(wanted.asset, offers, settings.knownAssets);
  refuseContradiction(offer, settings.knownAssets);
  const amount = assetAmount(parseAmount('--amount', wanted.amount, offer.precision));
  const quote = await requestQuote(client, { assetId: offer.assetId, assetAmount: amount });
  return { ticker: offer.ticker, precision: offer.precision, quote, offer };
}
