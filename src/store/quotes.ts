/** Quotes and the operator's live changes of offers. */
import { PROFILES, type ProfileName } from '../core/timelock.js';
import {
  assetAmount,
  assetId,
  msat,
  quoteId,
  sat,
  toSafeNumber,
  unixSecs,
  type AssetAmount,
  type AssetId,
  type Msat,
  type QuoteId,
  type Sat,
  type UnixSecs,
} from '../core/units.js';
import type { Store } from './db.js';
import type { OfferRow, QuoteRow } from './schema.js';

/** A price fixed for a principal until it expires. */
export type Quote = {
  readonly id: QuoteId;
  readonly principal: string;
  readonly assetId: AssetId;
  readonly assetAmount: AssetAmount;
  readonly priceMsat: Msat;
  readonly feeSubsidySat: Sat;
  readonly profile: ProfileName;
  readonly minFundingConfs: number;
  readonly maxFundingConfs: number;
  readonly createdAt: UnixSecs;
  readonly expiresAt: UnixSecs;
};

export function insertQuote(store: Store, quote: Quote): void {
  store.run(
    store.q.insertInto('quotes').values({
      quote_id: quote.id,
      principal: quote.principal,
      asset_id: quote.assetId,
      asset_amount: quote.assetAmount,
      price_msat: quote.priceMsat,
      fee_subsidy_sat: quote.feeSubsidySat,
      profile: quote.profile,
      min_funding_confs: BigInt(quote.minFundingConfs),
      max_funding_confs: BigInt(quote.maxFundingConfs),
      created_at: BigInt(quote.createdAt),
      expires_at: BigInt(quote.expiresAt),
    }),
  );
}

function isProfile(name: string): name is ProfileName {
  return Object.hasOwn(PROFILES, name);
}

/** The quote of that principal, or undefined: nobody learns of another's quotes. */
export function findQuote(store: Store, principal: string, id: QuoteId): Quote | undefined {
  const row = store.first<QuoteRow>(
    store.q.selectFrom('quotes').selectAll().where('quote_id', '=', id).where('principal', '=', principal),
  );
  if (row === undefined) return undefined;
  if (!isProfile(row.profile)) throw new Error(`quote ${row.quote_id} has unknown profile ${row.profile}`);
  return {
    id: quoteId(row.quote_id),
    principal: row.principal,
    assetId: assetId(row.asset_id),
    assetAmount: assetAmount(row.asset_amount),
    priceMsat: msat(row.price_msat),
    feeSubsidySat: sat(row.fee_subsidy_sat),
    profile: row.profile,
    minFundingConfs: toSafeNumber(row.min_funding_confs),
    maxFundingConfs: toSafeNumber(row.max_funding_confs),
    createdAt: unixSecs(toSafeNumber(row.created_at)),
    expiresAt: unixSecs(toSafeNumber(row.expires_at)),
  };
}

/** True once a swap was made from the quote. */
export function isQuoteUsed(store: Store, id: QuoteId): boolean {
  return store.first(store.q.selectFrom('swaps').select('swap_id').where('quote_id', '=', id)) !== undefined;
}

/** Forgets quotes that expired before the moment and were never used. @returns how many. */
export function deleteExpiredQuotes(store: Store, before: UnixSecs): number {
  return store.run(
    store.q
      .deleteFrom('quotes')
      .where('expires_at', '<', BigInt(before))
      .where('quote_id', 'not in', (eb) => eb.selectFrom('swaps').select('quote_id')),
  );
}

/** Price and limits of an offer as changed live. */
export type OfferChange = {
  readonly assetId: AssetId;
  readonly priceMsatNumerator: bigint;
  readonly priceDenominator: bigint;
  readonly spreadPpm: number;
  readonly minAmount: AssetAmount;
  readonly maxAmount: AssetAmount;
};

/** All live changes, one per asset. */
export function findOfferChanges(store: Store): OfferChange[] {
  return store.all<OfferRow>(store.q.selectFrom('offers').selectAll()).map((row) => ({
    assetId: assetId(row.asset_id),
    priceMsatNumerator: row.price_msat_numerator,
    priceDenominator: row.price_denominator,
    spreadPpm: toSafeNumber(row.spread_ppm),
    minAmount: assetAmount(row.min_amount),
    maxAmount: assetAmount(row.max_amount),
  }));
}

export function saveOfferChange(store: Store, change: OfferChange, now: UnixSecs): void {
  const values = {
    price_msat_numerator: change.priceMsatNumerator,
    price_denominator: change.priceDenominator,
    spread_ppm: BigInt(change.spreadPpm),
    min_amount: change.minAmount,
    max_amount: change.maxAmount,
    updated_at: BigInt(now),
  };
  store.run(
    store.q
      .insertInto('offers')
      .values({ asset_id: change.assetId, ...values })
      .onConflict((oc) => oc.column('asset_id').doUpdateSet(values)),
  );
}
