/** What is for sale: the configured offers with the operator's live changes on top. */
import type { ProfileName } from '../core/timelock.js';
import type { AssetAmount, AssetId } from '../core/units.js';
import { SwapError } from '../errors.js';
import { findOfferChanges } from '../store/quotes.js';
import type { Store } from '../store/db.js';

/** An offer of the configuration. */
export type ConfiguredOffer = {
  readonly assetId: AssetId;
  readonly ticker: string;
  readonly precision: number;
  readonly priceMsatNumerator: bigint;
  readonly priceDenominator: bigint;
  readonly spreadPpm: number;
  readonly minAmount: AssetAmount;
  readonly maxAmount: AssetAmount;
  readonly profile: ProfileName;
  readonly minFundingConfs: number;
  readonly maxFundingConfs: number;
};

/** All offers as they are now. */
export function currentOffers(ctx: {
  readonly store: Store;
  readonly offers: readonly ConfiguredOffer[];
}): ConfiguredOffer[] {
  const changes = new Map(findOfferChanges(ctx.store).map((change) => [change.assetId, change]));
  return ctx.offers.map((offer) => ({ ...offer, ...changes.get(offer.assetId) }));
}

/** @throws SwapError `offer_not_found`. */
export function offerOf(
  ctx: { readonly store: Store; readonly offers: readonly ConfiguredOffer[] },
  asset: AssetId,
): ConfiguredOffer {
  const offer = currentOffers(ctx).find((each) => each.assetId === asset);
  if (offer === undefined) throw new SwapError('offer_not_found', `expected an asset that is for sale, found ${asset}`);
  return offer;
}
