/** Assets by the name a user types. Tickers are words of the seller, so the id is always shown beside them. */
import { BuyerError } from '../buyer/buyerError.js';
import { printable } from '../buyer/printable.js';
import type { AssetId } from '../core/units.js';

/** An asset with a name and its decimals. */
export type KnownAsset = {
  readonly assetId: AssetId;
  readonly ticker: string;
  readonly precision: number;
  /** For people. */
  readonly name?: string;
};

/**
 * Finds an asset by its id (64 hex digits) or its ticker, in any letter case.
 *
 * @param known assets whose id is known from elsewhere; a ticker of theirs means that id and no other.
 * @throws BuyerError `unknown_asset` if there is none, or more than one of that ticker.
 */
export function findAsset<A extends KnownAsset>(
  name: string,
  assets: readonly A[],
  known: readonly KnownAsset[] = [],
): A {
  const wanted = name.toLowerCase();
  const byTicker = (asset: KnownAsset): boolean => asset.ticker.toLowerCase() === wanted;
  const meant = known.find(byTicker);
  const id = meant?.assetId;
  const matches = assets.filter((asset) => asset.assetId === (id ?? wanted) || (id === undefined && byTicker(asset)));
  const [only, another] = matches;
  if (only !== undefined && another === undefined) return only;
  const listed = assets.map((asset) => `${printable(asset.ticker)} ${asset.assetId}`).join(', ');
  throw new BuyerError(
    'unknown_asset',
    `expected one of: ${listed === '' ? '(no offers)' : listed}; found ${describeMiss(name, meant, matches.length)}`,
  );
}

function describeMiss(name: string, meant: KnownAsset | undefined, matches: number): string {
  if (matches > 1) return `${matches} assets called "${name}"; give the id`;
  const typed = `"${printable(name).slice(0, 70)}"`;
  return meant === undefined ? typed : `${typed}, which your own list of assets says is ${meant.assetId}`;
}

/** What is wrong with the names that a seller gives an asset, or undefined. */
export function contradiction(offered: KnownAsset, known: readonly KnownAsset[]): string | undefined {
  const own = known.find(({ assetId }) => assetId === offered.assetId);
  const sameTicker = known.find(({ ticker }) => ticker.toLowerCase() === offered.ticker.toLowerCase());
  if (own === undefined) {
    if (sameTicker === undefined) return undefined;
    return `expected ${sameTicker.ticker} to be ${sameTicker.assetId}, found that the seller calls ${offered.assetId} so`;
  }
  if (own.precision !== offered.precision) {
    return `expected ${own.precision} decimals of ${own.ticker} ${own.assetId}, found that the seller counts ${offered.precision}`;
  }
  if (own.ticker.toLowerCase() === offered.ticker.toLowerCase()) return undefined;
  return `expected ${own.assetId} to be called ${own.ticker}, found that the seller calls it ${printable(offered.ticker)}`;
}

/** @throws BuyerError `seller_answer_invalid` if the seller's names contradict the user's own list. */
export function refuseContradiction(offered: KnownAsset, known: readonly KnownAsset[]): void {
  const problem = contradiction(offered, known);
  if (problem === undefined) return;
  throw new BuyerError(
    'seller_answer_invalid',
    `${problem}; do not buy before you know who is wrong (your own list: --assets)`,
  );
}
